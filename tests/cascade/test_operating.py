"""The operating point chosen anew: bounds on rejected samples, groups, and other rows."""

import copy
import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skcascade import CascadeClassifier
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold

X, Y = make_classification(900, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
MEMBERS = [("small", GaussianNB()), ("large", KNeighborsClassifier(7))]
FIRST, THEN = slice(0, 600), slice(600, 900)


def make(**params):
    return CascadeClassifier(MEMBERS, cost=[1, 10], random_state=0, **params)


@pytest.fixture(scope="module")
def fitted():
    return make(max_accuracy_drop=0.02).fit(X[FIRST], NAMES[FIRST])


# Bounds on rejected samples ---------------------------------------------------------------


@pytest.mark.parametrize("bound", [{"reject_rate": 0.2}, {"max_error": 0.15}], ids=str)
def test_a_bound_on_rejected_samples_stays(bound):
    cascade = make(**bound, alpha=0.01).fit(X, NAMES)
    cascade.set_operating_point(max_cost=0.5)
    fresh = make(**bound, max_cost=0.5).fit(X, NAMES)
    assert cascade.reject_cost_ == fresh.reject_cost_
    assert np.array_equal(cascade.predict(X), fresh.predict(X))
    rejected = cascade.predict_exit(X) == 2
    if "reject_rate" in bound:
        assert cascade._exits.exit_rates[0, 2] <= 0.2
        assert rejected.mean() < 0.3
    assert cascade.get_params()["max_error"] == bound.get("max_error")


@pytest.mark.parametrize("bound", [{"reject_rate": 0.2}, {"max_error": 0.4}], ids=str)
def test_a_certified_bound_on_rejected_samples(bound):
    cascade = make(**bound, alpha=0.01, confidence_level=0.9, cv=0.4).fit(X, NAMES)
    assert cascade.certified_ is True
    assert cascade.policy_.certified_ is True
    assert pickle.loads(pickle.dumps(cascade)).certified_
    cascade.set_params(confidence_level=None).set_operating_point(alpha=0.02)
    assert cascade.certified_ is False


def test_reject_rate_is_searched():
    search = GridSearchCV(make(), {"reject_rate": [0.0, 0.3]}, cv=2).fit(X, Y)
    assert search.best_params_["reject_rate"] in (0.0, 0.3)
    assert clone(search.best_estimator_).reject_rate == search.best_params_["reject_rate"]


# Groups -----------------------------------------------------------------------------------


def test_held_out_rows_of_the_subgroups_are_used():
    rows = np.arange(900)
    group = np.where(rows % 3 == 0, "third", "rest")
    split = [(rows[:500], rows[500:])]
    cascade = make(cv=0.4, confidence_level=0.9, max_accuracy_drop=0.5)
    cascade.fit(X, NAMES, subgroups=group)
    assert cascade.certified_
    frozen = make(cv="prefit", confidence_level=0.9, max_accuracy_drop=0.5)
    frozen.members = [(name, clone(m).fit(X[split[0][0]], NAMES[:500])) for name, m in MEMBERS]
    frozen.fit(X[500:], NAMES[500:], subgroups=group[500:])
    groups = frozen.tuning_.groups
    assert [groups.labels[code] for code in groups.codes] == group[500:].tolist()


def test_set_operating_point_keeps_the_subgroups():
    group = np.arange(900) % 450 == 0  # two rows of 900
    cascade = make(cv=0.4, confidence_level=0.9, max_cost=1.0)
    with pytest.warns(CascadeWarning, match="The smallest group, True, has . of 252 test rows"):
        cascade.fit(X, NAMES, subgroups=group).set_operating_point(max_accuracy_drop=0.3)
    assert not cascade.certified_


@pytest.mark.parametrize(
    ("params", "group", "match"),
    [
        ({}, np.zeros(120), "Set `confidence_level`, or drop `subgroups`"),
        ({"confidence_level": 0.9}, np.zeros(119), "`subgroups` must have the shape"),
        ({"confidence_level": 0.9}, np.full(120, np.nan), "`subgroups` has missing values"),
    ],
)
def test_subgroups_that_are_refused(params, group, match, refuses):
    refuses(match, fit_params={"subgroups": group}, **params)


def test_a_search_routes_subgroups_to_the_cascade():
    group = np.arange(900) % 2
    cascade = make(cv=0.4, confidence_level=0.9, max_accuracy_drop=0.5)
    grid = {"alpha": [None]}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(cascade, grid, cv=2).fit(X, Y, subgroups=group)
        assert len(search.best_estimator_.tuning_.groups.labels) == 2
        renamed = GridSearchCV(cascade.set_fit_request(subgroups="site"), grid, cv=2)
        renamed.fit(X, Y, site=group)
        assert len(renamed.best_estimator_.tuning_.groups.labels) == 2
    plain = GridSearchCV(clone(cascade), grid, cv=2).fit(X, Y, subgroups=group)
    assert len(plain.best_estimator_.tuning_.groups.labels) == 2


# Other rows -------------------------------------------------------------------------------


def test_rejudged_is_tuned_on_the_new_rows_alone(fitted):
    cascade = copy.copy(fitted)
    assert cascade.rejudge(X[THEN], NAMES[THEN]) is cascade
    prefit = make(max_accuracy_drop=0.02, cv="prefit")
    prefit.members = list(fitted.members_.items())
    prefit.fit(X[THEN], NAMES[THEN])
    assert np.array_equal(cascade.trace_.proba, prefit.trace_.proba)
    assert np.array_equal(cascade.tuning_.y, prefit.tuning_.y)
    assert cascade.stages_ is fitted.stages_
    assert cascade.cost_ is fitted.cost_
    candidates = prefit.tuning_.searches[False].policies
    assert any(_same(cascade.policy_, policy) for policy in candidates)
    assert len(cascade._exits) == 1
    assert cascade.tradeoff_.chosen[0] == cascade.tradeoff_.relative_cost[cascade.tradeoff_index_]
    assert fitted.trace_.n_samples == 120  # a copy, so that this one is as it was


def _same(policy, other):
    return policy.stages_ == other.stages_ and np.allclose(policy.thresholds_, other.thresholds_)


def test_extended_by_the_new_rows(fitted):
    cascade = copy.copy(fitted).rejudge(X[THEN], NAMES[THEN], extend=True)
    old, new = fitted.trace_, copy.copy(fitted).rejudge(X[THEN], NAMES[THEN]).trace_
    assert np.array_equal(cascade.trace_.proba, np.concatenate([old.proba, new.proba]))
    assert np.array_equal(cascade.tuning_.y, np.r_[fitted.tuning_.y, Y[THEN]])
    twice = copy.copy(cascade).rejudge(X[:50], NAMES[:50], extend=True)
    assert twice.trace_.n_samples == 470


def test_weights_of_the_new_rows(fitted):
    weight = np.random.default_rng(0).uniform(0.5, 2, size=300)
    alone = copy.copy(fitted).rejudge(X[THEN], NAMES[THEN], sample_weight=weight)
    assert np.array_equal(alone.tuning_.sample_weight, weight)
    both = copy.copy(fitted).rejudge(X[THEN], NAMES[THEN], sample_weight=weight, extend=True)
    assert np.array_equal(both.tuning_.sample_weight, np.r_[np.ones(120), weight])
    again = both.rejudge(X[THEN], NAMES[THEN])
    assert again.tuning_.sample_weight is None


def test_operating_point_and_confidence_level_are_those_of_now(fitted):
    cascade = copy.copy(fitted).set_operating_point(max_cost=0.3)
    cascade.set_params(confidence_level=0.9).rejudge(X[THEN], NAMES[THEN])
    assert cascade.certified_
    assert cascade.tuning_.searches.keys() == {True}
    route = cascade.walk(X[THEN])
    assert cascade.cost_.relative(route.cost).mean() <= 0.3


def test_new_rows_can_be_certified_after_folds():
    folds = make(cv=3, max_accuracy_drop=0.3).fit(X[FIRST], NAMES[FIRST])
    folds.set_params(confidence_level=0.9)
    with pytest.raises(ValueError, match="`confidence_level` needs held-out answers"):
        folds.rejudge(X[THEN], NAMES[THEN], extend=True)
    assert not folds._recorded  # so that `monitor` needs other rows
    folds.rejudge(X[THEN], NAMES[THEN])
    assert folds.certified_
    assert folds._recorded
    folds.rejudge(X[:100], NAMES[:100], extend=True)
    assert folds.trace_.n_samples == 400


def test_rejudged_in_groups(fitted):
    cascade = copy.copy(fitted).set_params(confidence_level=0.9, max_accuracy_drop=0.4)
    group = np.arange(300) % 2
    cascade.rejudge(X[THEN], NAMES[THEN], subgroups=group)
    assert cascade.certified_
    cascade.rejudge(X[:90], NAMES[:90], subgroups=["third"] * 90, extend=True)
    assert cascade.tuning_.groups.labels == [0, 1, "third"]
    assert len(cascade.tuning_.groups.codes) == 390
    with pytest.raises(ValueError, match="`subgroups` are needed for all rows or for none"):
        cascade.rejudge(X[:90], NAMES[:90], extend=True)
    cascade.rejudge(X[THEN], NAMES[THEN])
    assert cascade.tuning_.groups is None


@pytest.mark.parametrize("params", [{"reject_cost": 0.2}, {"reject_rate": 0.2}], ids=str)
def test_samples_are_still_rejected(params):
    cascade = make(**params, alpha=0.01, loss="balanced").fit(X[FIRST], NAMES[FIRST])
    for extend in (False, True):
        cascade.rejudge(X[THEN], NAMES[THEN], extend=extend)
        assert cascade.trace_.has_reject
        assert cascade.trace_.loss.reject_cost == cascade.reject_cost_
        assert set(cascade.predict(X)) <= {"ash", "oak", "yew", "reject"}
        assert np.array_equal(cascade.record(X[THEN]).proba, cascade.trace_.proba[-300:])
    if "reject_cost" in params:
        assert cascade.reject_cost_ == 0.2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"y": NAMES[:299]}, r"`y` must have one label for each sample, the shape \(300,\)"),
        ({"y": np.where(Y[THEN] == 2, "elm", NAMES[THEN])}, r"`y` contains labels .*\['elm'\]"),
        ({"X": X[THEN, :5]}, "X has 5 features, but CascadeClassifier is expecting 8"),
        ({"X": X[:0], "y": NAMES[:0]}, "0 sample"),
        ({"sample_weight": np.ones(3)}, "sample_weight"),
        ({"sample_weight": np.zeros(300)}, "at least one non-zero number"),
        ({"subgroups": np.ones(300)}, "Set `confidence_level`, or drop `subgroups`"),
    ],
)
def test_rows_that_are_refused_change_nothing(fitted, arguments, match, unchanged):
    cascade = copy.copy(fitted)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match=match):
        cascade.rejudge(**{"X": X[THEN], "y": NAMES[THEN], **arguments})
    unchanged(before, vars(cascade))


def test_an_operating_point_out_of_reach_changes_nothing(fitted, unchanged):
    cascade = copy.copy(fitted).set_params(max_accuracy_drop=None, max_cost=1e-3)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match="`max_cost`=0.001 cannot be reached"):
        cascade.rejudge(X[THEN], NAMES[THEN])
    unchanged(before, vars(cascade))


def test_what_has_no_rows_to_replace():
    small = make(store_trace=False).fit(X[FIRST], NAMES[FIRST])
    with pytest.raises(ValueError, match=r"Fit again with\s+store_trace=True"):
        small.rejudge(X[THEN], NAMES[THEN])
    with pytest.raises(NotFittedError):
        make().rejudge(X[THEN], NAMES[THEN])


def test_after_a_change_of_the_samples(recorded, sure_or_not):
    """A first stage that became worse is no longer trusted."""
    proba, y = sure_or_not(correct_if_sure=1.0)
    cascade = recorded(cv=0.5, max_accuracy_drop=0.01).fit(proba, y)
    assert cascade.policy_.stages_ == [0, 1]
    later, labels = sure_or_not(correct_if_sure=0.6, seed=1)
    assert np.mean(cascade.predict(later) != labels) > 0.15
    cascade.rejudge(later, labels)
    assert cascade.policy_.stages_ == [1]
    assert (cascade.predict(later) == labels).all()
    assert isinstance(cascade.tuning_.policy, ConfidenceThreshold)
