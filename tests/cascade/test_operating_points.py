"""Operating points of a cascade: changed on the kept trace, certified, without the trace."""

import copy
import pickle
import pickletools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcascade import CascadeClassifier, ExitMonitor, Trace, fit_policy, make_cascade, sample_size
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold, WeightedBinary

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[:200], ROWS[200:])]
THREE_FOLDS = [(ROWS[ROWS % 3 != i], ROWS[ROWS % 3 == i]) for i in range(3)]


@pytest.fixture(scope="module")
def fitted():
    members = [
        ("tree", DecisionTreeClassifier(max_depth=2)),
        ("nb", GaussianNB()),
        ("forest", RandomForestClassifier(10)),
    ]
    return CascadeClassifier(members, cost=[1, 3, 20], random_state=0).fit(X, NAMES)


# Changing it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point", [{"alpha": 0.3}, {"max_accuracy_drop": 0.1}, {"max_cost": 0.3}, {}], ids=str
)
def test_another_operating_point_is_a_fit_there(fitted, point):
    moved = copy.copy(fitted).set_operating_point(alpha=2.0).set_operating_point(**point)
    params = {"alpha": None, "max_accuracy_drop": None, "max_cost": None, **point}
    assert {name: moved.get_params()[name] for name in params} == params
    assert {name: clone(moved).get_params()[name] for name in params} == params
    fresh = clone(fitted).set_params(**params).fit(X, NAMES)
    assert moved.policy_.stages_ == fresh.policy_.stages_
    assert np.array_equal(moved.policy_.thresholds_, fresh.policy_.thresholds_)
    assert moved.tradeoff_index_ == fresh.tradeoff_index_
    assert np.array_equal(moved.tradeoff_.accuracy, fresh.tradeoff_.accuracy)
    assert np.array_equal(moved.predict_proba(X), fresh.predict_proba(X))
    assert moved.summary() == fresh.summary()


def test_fit_uses_fit_policy(recorded, sure_or_not):
    proba, y = sure_or_not()
    cascade = recorded(cv="prefit", max_accuracy_drop=0.01)
    cascade.members = [(name, member.fit(proba, y)) for name, member in cascade.members]
    cascade.fit(proba, y)
    policy = fit_policy(
        ConfidenceThreshold(), Trace(proba), y, cost=[1, 10], max_accuracy_drop=0.01, random_state=3
    )
    # Folds are drawn from another place, so only the candidates are the same, up to rounding.
    candidates = cascade.tuning_.searches[False].policies
    assert any(np.allclose(policy.thresholds_, c.thresholds_, rtol=1e-12) for c in candidates)
    assert policy.stages_ == cascade.policy_.stages_ == [0, 1]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"max_cost": 1e-3}, "`max_cost`=0.001 cannot be reached.*Raise `max_cost`"),
        ({"alpha": -1}, "`alpha` must be"),
        ({"alpha": 1, "max_cost": 1}, "At most one of"),
    ],
)
def test_an_operating_point_that_fails_changes_nothing(fitted, point, message, unchanged):
    cascade = copy.copy(fitted).set_operating_point(alpha=0.1)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match=message):
        cascade.set_operating_point(**point)
    unchanged(before, vars(cascade))


def test_the_error_rate_is_kept_at_every_operating_point(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_not=0.2, second=0.8)
    cascade = recorded(cv=0.5, max_error=0.05).fit(proba, y)
    for point in ({"alpha": 0.1}, {}, {"max_cost": 0.4}):
        cascade.set_operating_point(**point)
        fresh = recorded(cv=0.5, max_error=0.05, **point).fit(proba, y)
        assert cascade.reject_cost_ == fresh.reject_cost_ == cascade.tuning_.reject_cost
        assert cascade.trace_.loss.reject_cost == cascade.reject_cost_
        assert np.array_equal(cascade.predict(proba), fresh.predict(proba))


# Without the trace ------------------------------------------------------------------------


def test_size_of_the_trace(recorded, sure_or_not):
    n = 5000
    proba, y = sure_or_not(n=n)
    cascade = recorded(cv=0.8).fit(proba, y)
    trace = cascade.trace_
    assert trace is cascade.tuning_.trace
    assert trace.proba.nbytes == 0.8 * n * 2 * 2 * 4  # rows, stages, classes, bytes
    assert trace.proba.nbytes <= len(pickle.dumps(trace)) < trace.proba.nbytes + 1000
    small = clone(cascade).set_params(store_trace=False).fit(proba, y)
    assert len(pickle.dumps(small)) <= len(pickle.dumps(cascade)) - trace.proba.nbytes
    small.set_params(store_trace=True).fit(proba, y)
    assert small.trace_.n_samples == 0.8 * n


def contents(cascade):
    """Strings and bytes in the pickle of `cascade`."""
    found = [arg for _, arg, _ in pickletools.genops(pickle.dumps(cascade, protocol=5))]
    strings = {arg for arg in found if isinstance(arg, str)}
    return strings, [bytes(arg) for arg in found if isinstance(arg, bytes | bytearray)]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"reject_cost": 0.2},
        {"max_error": 0.1},
        {"confidence_level": 0.9, "max_accuracy_drop": 0.3},
        {"policy": WeightedBinary(random_state=0)},
    ],
    ids=str,
)
def test_without_the_trace_neither_labels_nor_searches_are_kept(params):
    members = [("nb", FrozenEstimator(GaussianNB().fit(X[:200], Y[:200])))]
    members += [("lr", FrozenEstimator(LogisticRegression().fit(X[:200], Y[:200])))]
    split = [(ROWS[:100], ROWS[100:])]
    cascade = CascadeClassifier(members, cost=[1, 9], cv=split, random_state=0, **params)
    whole = cascade.fit(X, Y)
    small = clone(whole).set_params(store_trace=False).fit(X, Y)
    for name in ("trace_", "tuning_"):
        assert hasattr(whole, name)
        assert not hasattr(small, name)
        with pytest.raises(AttributeError):
            getattr(small, name)
    kinds, labels, answers = ("Tuning", "Search", "Trace"), Y[100:], whole.trace_.proba
    strings, arrays = contents(whole)
    assert {*kinds} <= strings
    assert labels.tobytes() in arrays
    assert answers.tobytes() in arrays
    strings, arrays = contents(small)
    assert strings.isdisjoint(kinds)
    assert labels.tobytes() not in arrays
    assert max(map(len, arrays)) < answers.nbytes


def test_size_without_the_trace_does_not_depend_on_the_rows(recorded, sure_or_not):
    sizes = []
    for n in (500, 5000):
        proba, y = sure_or_not(n=n)
        sizes.append(len(pickle.dumps(recorded(cv=0.8, store_trace=False).fit(proba, y))))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


@pytest.mark.parametrize(
    "params",
    [{}, {"alpha": 0.05}, {"reject_cost": 0.2}, {"max_error": 0.1}, {"cv": 3}],
    ids=str,
)
def test_without_the_trace_all_answers_are_the_same(fitted, params):
    whole = clone(fitted).set_params(**params).fit(X, NAMES)
    small = clone(whole).set_params(store_trace=False).fit(X, NAMES)
    for one, other in ((whole, small), (whole, pickle.loads(pickle.dumps(small)))):
        for a, b in zip(one.walk(X)[:5], other.walk(X)[:5]):
            assert np.array_equal(a, b)
        assert np.array_equal(one.record(X).proba, other.record(X).proba)
        assert one.summary() == other.summary()
        assert one.reject_cost_ == other.reject_cost_
        assert one.tradeoff_index_ == other.tradeoff_index_
        for name, values in vars(one.tradeoff_).items():
            np.testing.assert_array_equal(getattr(other.tradeoff_, name), values, err_msg=name)
    names = {name for name in vars(whole) if name.endswith("_")}
    assert {name for name in vars(small) if name.endswith("_")} == names - {"tuning_"}


def test_what_needs_the_trace_names_the_parameter(fitted, unchanged):
    cascade = clone(fitted).set_params(store_trace=False).fit(X, NAMES)
    before = dict(vars(cascade))
    for method in (
        cascade.set_operating_point,
        lambda: cascade.set_operating_point(alpha=5.0),
        cascade.monitor,
        lambda: sample_size(cascade),
    ):
        with pytest.raises(ValueError, match=r"Fit again with\s+store_trace=True"):
            method()
    unchanged(before, vars(cascade))
    assert isinstance(cascade.monitor(X), ExitMonitor)


def test_a_later_fit_without_the_trace_forgets_that_of_the_first(fitted):
    cascade = clone(fitted).fit(X, NAMES)
    assert cascade.trace_.n_samples == 60
    cascade.set_params(store_trace=False).fit(X, NAMES)
    assert not hasattr(cascade, "tuning_")
    assert not hasattr(cascade, "trace_")


def test_store_trace_takes_effect_in_the_next_fit(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_not=0.2, second=0.8)
    cascade = recorded(cv=0.5, max_error=0.05).fit(proba, y)
    cascade.set_params(store_trace=False).set_operating_point(alpha=0.1)
    fresh = recorded(cv=0.5, max_error=0.05, alpha=0.1).fit(proba, y)
    assert fresh.reject_cost_ != recorded(cv=0.5, max_error=0.05).fit(proba, y).reject_cost_
    assert cascade.reject_cost_ == fresh.reject_cost_
    # The trace that is kept belongs to the operating point that was chosen last.
    assert cascade.tuning_.reject_cost == cascade.reject_cost_


# With a certificate -----------------------------------------------------------------------


def test_certified_point(recorded, sure_or_not):
    proba, y = sure_or_not(n=4000, correct_if_not=0.0)
    cascade = recorded(cv=0.5, confidence_level=0.9, max_accuracy_drop=0.02).fit(proba, y)
    assert cascade.policy_.stages_ == [0, 1]
    assert cascade.tuning_.searches.keys() == {True}
    with pytest.warns(CascadeWarning, match="No operating point could be certified"):
        recorded(cv=0.5, confidence_level=0.9).fit(proba[:60], y[:60])


@pytest.mark.parametrize(
    "cv", [3, THREE_FOLDS, SPLIT, KFold(3)], ids=["int", "list", "one", "KFold"]
)
def test_confidence_level_refuses_members_that_are_not_deployed(cv):
    cascade = make_cascade(GaussianNB(), cv=cv, confidence_level=0.9)
    with pytest.raises(ValueError, match="`confidence_level` needs held-out answers of the very"):
        cascade.fit(X, Y)


@pytest.mark.parametrize("cv", [0.5, "prefit", 3])
def test_confidence_level_accepts_members_that_are_deployed(cv, recorded, sure_or_not):
    proba, y = sure_or_not()
    cascade = recorded(cv=cv, confidence_level=0.9, max_accuracy_drop=0.5)
    if cv != 0.5:
        cascade.members = [
            (name, FrozenEstimator(member.fit(proba, y))) for name, member in cascade.members
        ]
    assert cascade.fit(proba, y).policy_.stages_ == [0]  # a drop of 0.35, by 250 rows or more


@pytest.mark.parametrize(
    ("params", "weight", "match"),
    [
        ({"cv": 3}, None, "`confidence_level` needs held-out answers"),
        ({}, np.ones(len(Y)), "cannot be combined with `sample_weight`"),
        ({"max_error": 0.2, "cv": 3}, None, "`confidence_level` needs held-out answers"),
    ],
)
def test_no_certificate_by_changing_the_operating_point(params, weight, match):
    """What `fit` refuses to certify is refused later too."""
    cascade = make_cascade(
        GaussianNB(), RandomForestClassifier(5), cost=[1, 20], random_state=0, **params
    ).fit(X, Y, sample_weight=weight)
    policy = cascade.policy_
    cascade.set_params(confidence_level=0.9)
    with pytest.raises(ValueError, match=match):
        cascade.set_operating_point(max_accuracy_drop=0.05)
    assert cascade.policy_ is policy
