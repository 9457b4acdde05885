"""Scorers: their numbers, and how often members run."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, check_scoring, cohen_kappa_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcascade import CascadeClassifier, make_cascade
from skcascade.metrics import (
    accuracy_cost_scorer,
    make_cost_scorer,
    relative_cost_scorer,
    tradeoff_scorer,
)
from skcascade.policies import ConfidenceThreshold

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ACCURACY, COST = "mean_test_accuracy", "mean_test_neg_relative_cost"


#: Rows of each call of the two members. No attributes of the classes, which are part of keys.
ROWS = {"first": [], "second": []}


class Asked(GaussianNB):
    """Keeps the number of rows of each call, all instances together."""

    def predict_proba(self, X):
        ROWS["first"].append(len(X))
        return super().predict_proba(X)


class Second(KNeighborsClassifier):
    """Keeps them in another list."""

    def predict_proba(self, X):
        ROWS["second"].append(len(X))
        return super().predict_proba(X)


def asked():
    """Rows that the two members predicted since the last call."""
    rows = list(ROWS["first"]), list(ROWS["second"])
    ROWS["first"].clear(), ROWS["second"].clear()
    return rows


@pytest.fixture(autouse=True)
def no_calls_before():
    asked()


def cascade_of(*members, **params):
    members = members or (GaussianNB(), KNeighborsClassifier())
    cost = [1.0, 10.0][: len(members)]
    return make_cascade(*members, **{"cost": cost, "random_state": 0, "alpha": 0.02, **params})


def counted(**params):
    return cascade_of(Asked(), Second(), **params)


def mean_cost(cascade, X=X, **kwargs):
    return np.average(cascade.cost_.relative(cascade.predict_cost(X)), **kwargs)


# Numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("policy", [None, ConfidenceThreshold("margin")])
def test_scorers_agree_with_the_cascade(cached, policy, tmp_path):
    memory = str(tmp_path) if cached else None
    cascade = cascade_of(policy=policy, memory=memory).fit(X[:200], NAMES[:200])
    test = X[200:], NAMES[200:]
    accuracy, cost = cascade.score(*test), mean_cost(cascade, X[200:])
    assert 0.11 < cost < 1.1
    scores = tradeoff_scorer(cascade, *test)
    assert scores == pytest.approx({"accuracy": accuracy, "neg_relative_cost": -cost})
    assert relative_cost_scorer(cascade, *test) == pytest.approx(-cost)
    assert accuracy_cost_scorer(0.3)(cascade, *test) == pytest.approx(accuracy - 0.3 * cost)
    assert make_cost_scorer()(cascade, X[200:]) == pytest.approx(-cost)
    assert all(type(score) is float for score in scores.values())


@pytest.mark.parametrize("cached", [False, True])
def test_rejected_samples_are_errors(cached, tmp_path):
    cascade = cascade_of(reject_cost=0.2, memory=str(tmp_path) if cached else None)
    cascade.fit(X[:200], NAMES[:200])
    labels = cascade.predict(X[200:])
    assert "reject" in labels
    scores = tradeoff_scorer(cascade, X[200:], NAMES[200:])
    assert (
        scores["accuracy"] == cascade.score(X[200:], NAMES[200:]) == (labels == NAMES[200:]).mean()
    )
    assert scores["neg_relative_cost"] == pytest.approx(-mean_cost(cascade, X[200:]))
    answered = cascade.set_params(reject_cost=None).fit(X[:200], NAMES[:200])
    assert tradeoff_scorer(answered, X[200:], NAMES[200:])["accuracy"] > scores["accuracy"]


@pytest.mark.parametrize(
    "scoring",
    [
        "f1_macro",
        "neg_log_loss",
        "roc_auc_ovr",
        "balanced_accuracy",
        make_scorer(cohen_kappa_score),
    ],
)
def test_any_score_minus_alpha_times_the_cost(scoring):
    cascade = cascade_of().fit(X, NAMES)
    alone = check_scoring(scoring=scoring)(cascade, X, NAMES)
    assert make_cost_scorer(scoring, alpha=0)(cascade, X, NAMES) == pytest.approx(alone)
    expected = alone - 0.2 * mean_cost(cascade)
    assert make_cost_scorer(scoring, alpha=0.2)(cascade, X, NAMES) == pytest.approx(expected)


def test_other_statistics_and_units():
    cascade = cascade_of().fit(X, Y)
    cost = cascade.predict_cost(X)
    assert set(cost) == {1, 11}
    assert make_cost_scorer(relative=False)(cascade, X, Y) == pytest.approx(-cost.mean())
    tail = make_cost_scorer(statistic=partial(np.quantile, q=0.99), relative=False, alpha=2)
    assert tail(cascade, X, Y) == -22
    assert make_cost_scorer(statistic=max)(cascade, X, Y) == pytest.approx(-1.1)


@pytest.mark.parametrize(
    "scorer",
    [
        tradeoff_scorer,
        relative_cost_scorer,
        accuracy_cost_scorer(0.1),
        make_cost_scorer("f1_macro", relative=False),
        make_cost_scorer("neg_log_loss"),
    ],
)
def test_weights_are_repetitions(scorer):
    cascade = cascade_of().fit(X, Y)
    weight = np.random.default_rng(0).integers(3, size=len(Y))
    weighted = scorer(cascade, X, Y, sample_weight=weight)
    assert weighted == pytest.approx(scorer(cascade, X.repeat(weight, 0), Y.repeat(weight)))
    assert weighted != pytest.approx(scorer(cascade, X, Y))


# What is scored ------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True])
def test_cascades_in_other_estimators(cached, tmp_path):
    cascade = cascade_of(memory=str(tmp_path) if cached else None)
    inner = Pipeline([("keep", "passthrough"), ("select", SelectKBest(k=6)), ("cascade", cascade)])
    outer = make_pipeline(StandardScaler(), inner).fit(X, Y)
    before = inner["select"].transform(outer[0].transform(X))
    expected = tradeoff_scorer(inner["cascade"], before, Y)
    assert expected["accuracy"] == outer.score(X, Y)
    search = GridSearchCV(outer, {"pipeline__cascade__alpha": [0.02]}, cv=2).fit(X, Y)
    for whole in (outer, FrozenEstimator(outer), make_pipeline(outer), search):
        assert tradeoff_scorer(whole, X, Y) == pytest.approx(expected)
        assert relative_cost_scorer(whole, X) == pytest.approx(expected["neg_relative_cost"])


def test_only_cascades_are_scored():
    for other in (
        GaussianNB().fit(X, Y),
        make_pipeline(StandardScaler(), GaussianNB()).fit(X, Y),
        make_pipeline(cascade_of(), FunctionTransformer()),
        GridSearchCV(cascade_of(), {"alpha": [0.1]}, cv=2, refit=False).fit(X, Y),
    ):
        with pytest.raises(ValueError, match="Only a cascade has a cost, got .*last step"):
            tradeoff_scorer(other, X, Y)
    with pytest.raises(NotFittedError):
        tradeoff_scorer(make_pipeline(StandardScaler().fit(X), cascade_of()), X, Y)


def test_samples_are_checked():
    cascade = CascadeClassifier([("nb", GaussianNB())], cost=[1]).fit(X, Y)
    with pytest.raises(ValueError, match="features"):
        tradeoff_scorer(cascade, X[:, :5], Y)


# How often members run -----------------------------------------------------------------


@pytest.mark.parametrize(
    "scorer", [tradeoff_scorer, accuracy_cost_scorer(0.1), make_cost_scorer("neg_log_loss")]
)
def test_one_walk(scorer):
    cascade = counted().fit(X, Y)
    asked()
    visited = cascade.decision_path(X[:250]).sum(axis=0)
    walked = asked()
    assert 0 < visited[1] < 250
    assert walked == ([250], [visited[1]])
    scorer(cascade, X[:250], Y[:250])
    assert asked() == walked


def test_a_search_with_a_cache_runs_members_once_per_fold(tmp_path):
    search = GridSearchCV(
        counted(memory=str(tmp_path)),
        {"alpha": [0.02, 0.5], "policy": [None, ConfidenceThreshold("entropy")]},
        scoring=tradeoff_scorer,
        refit=False,
        cv=3,
    ).fit(X, Y)
    # Of the 200 rows that are not scored, 40 are held out.
    assert [rows.count(100) for rows in asked()] == [3, 3]
    assert len(set(search.cv_results_[COST])) > 2
    plain = clone(search).set_params(estimator__memory=None).fit(X, Y)
    assert asked()[0].count(100) == 4 * 3
    for column in (ACCURACY, COST):
        assert plain.cv_results_[column] == pytest.approx(search.cv_results_[column])


def test_what_is_cached_belongs_to_members_and_rows(tmp_path):
    cascade = counted(memory=str(tmp_path)).fit(X, Y)
    asked()
    first = tradeoff_scorer(cascade, X[:150], Y[:150])
    assert asked() == ([150], [150])
    copied = pickle.loads(pickle.dumps(cascade))
    for same in (cascade, copied, clone(cascade).fit(X, Y)):
        assert tradeoff_scorer(same, X[:150], Y[:150]) == first
    other_labels = tradeoff_scorer(cascade, X[:150], Y[:150][::-1])
    assert other_labels["accuracy"] < first["accuracy"]
    assert asked() == ([], [])
    moved = clone(cascade).fit(X, Y).set_operating_point(alpha=0.5)
    assert tradeoff_scorer(moved, X[:150], Y[:150])["neg_relative_cost"] > -0.2
    assert asked() == ([], [])
    assert tradeoff_scorer(cascade, X[:149], Y[:149]) != first
    assert asked() == ([149], [149])
    refitted = clone(cascade).set_params(second__n_neighbors=50).fit(X, Y)
    asked()
    with_other = tradeoff_scorer(refitted, X[:150], Y[:150])
    assert asked() == ([150], [150])
    assert with_other["accuracy"] == refitted.score(X[:150], Y[:150])


def test_predictions_never_read_the_cache(tmp_path):
    cascade = counted(memory=str(tmp_path)).fit(X, Y)
    tradeoff_scorer(cascade, X, Y)
    asked()
    cascade.predict(X)
    assert asked()[0] == [300]
    n_files = len(list(tmp_path.rglob("*")))
    cascade.predict(X[:77])
    cascade.score(X[:78], Y[:78])
    assert len(list(tmp_path.rglob("*"))) == n_files


def test_without_a_cache_at_either_time_members_run(tmp_path):
    dropped = counted(memory=str(tmp_path)).fit(X, Y).set_params(memory=None)
    added = counted().fit(X, Y).set_params(memory=str(tmp_path))
    for cascade in (dropped, added):
        asked()
        expected = cascade.score(X, Y)
        walked = asked()
        assert tradeoff_scorer(cascade, X, Y)["accuracy"] == expected
        assert asked() == walked
        assert walked[1][0] < 300


class Retrained(ConfidenceThreshold):
    """As if it trained the members on: other stages than those that were fitted."""

    def fine_tune(self, stages, *args):
        return copy.copy(stages)


@pytest.mark.parametrize("cv", [0.2, 3])
def test_fine_tuned_members_are_never_fetched(cv, tmp_path):
    plain = counted(memory=str(tmp_path), cv=cv).fit(X, Y)
    tuned = counted(memory=str(tmp_path), cv=cv, policy=Retrained()).fit(X, Y)
    tradeoff_scorer(plain, X, Y)
    asked()
    for _ in range(2):
        scores = tradeoff_scorer(tuned, X, Y)
        assert asked()[0] == [300]
        assert scores["accuracy"] == tuned.score(X, Y)
        asked()


# The objects themselves ----------------------------------------------------------------


@pytest.mark.parametrize(
    "scorer",
    [
        tradeoff_scorer,
        relative_cost_scorer,
        accuracy_cost_scorer(0.1),
        make_cost_scorer("f1_macro", statistic=partial(np.quantile, q=0.9)),
    ],
)
def test_pickles_and_copies_are_the_same(scorer):
    copied, deep = pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)
    assert repr(copied) == repr(deep) == repr(scorer) or "quantile" in repr(scorer)
    if not hasattr(scorer, "scorer"):
        assert copied == deep == scorer
        return
    cascade = cascade_of().fit(X, Y)
    expected = scorer(cascade, X, Y)
    assert copied(cascade, X, Y) == deep(cascade, X, Y) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: accuracy_cost_scorer(-1), "`alpha` must be a number, 0 or more, got -1"),
        (lambda: accuracy_cost_scorer(np.inf), "`alpha` must be a number"),
        (lambda: make_cost_scorer("f2_macro"), "f2_macro"),
        (lambda: make_cost_scorer(["accuracy"]), "`scoring` must be one scikit-learn scorer"),
        (lambda: make_cost_scorer(accuracy_score), "looks like it is a metric function"),
        (lambda: make_cost_scorer(statistic="mean"), "`statistic` must be a function"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_need_a_statistic_that_takes_them():
    cascade = cascade_of().fit(X, Y)
    with pytest.raises(ValueError, match="`sample_weight` needs a `statistic` that takes"):
        make_cost_scorer(statistic=np.median)(cascade, X, Y, sample_weight=np.ones(len(Y)))
