"""Scorers and refit rules: their numbers, how often members run, and whole searches."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, check_scoring, cohen_kappa_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedShuffleSplit,
    cross_validate,
    validation_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcascade import CascadeClassifier, make_cascade
from skcascade.metrics import (
    accuracy_cost_scorer,
    best_within,
    cheapest_within,
    make_cost_scorer,
    relative_cost_scorer,
    tradeoff_scorer,
)
from skcascade.policies import ConfidenceThreshold

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ALPHAS = [0.001, 0.02, 0.1, 0.5]
ACCURACY, COST = "mean_test_accuracy", "mean_test_neg_relative_cost"


class Asked(GaussianNB):
    """Keeps how many rows it was asked for, call by call, all instances together."""

    rows = []

    def predict_proba(self, X):
        Asked.rows.append(len(X))
        return super().predict_proba(X)


class Second(KNeighborsClassifier):
    """Is asked in another list."""

    rows = []

    def predict_proba(self, X):
        Second.rows.append(len(X))
        return super().predict_proba(X)


def asked():
    """Rows asked of the two members since the last call."""
    rows = list(Asked.rows), list(Second.rows)
    Asked.rows.clear(), Second.rows.clear()
    return rows


@pytest.fixture(autouse=True)
def nobody_asked():
    asked()


def cascade_of(*members, **params):
    members = members or (GaussianNB(), KNeighborsClassifier())
    cost = [1.0, 10.0][: len(members)]
    return make_cascade(*members, **{"cost": cost, "random_state": 0, "alpha": 0.02, **params})


def counted(**params):
    return cascade_of(Asked(), Second(), **params)


def mean_cost(cascade, X=X, **kwargs):
    return np.average(cascade.cost_.relative(cascade.predict_cost(X)), **kwargs)


# --- numbers ------------------------------------------------------------------------


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
def test_no_answer_is_not_the_right_one(cached, tmp_path):
    cascade = cascade_of(reject_cost=0.2, memory=str(tmp_path) if cached else None)
    cascade.fit(X[:200], NAMES[:200])
    labels = cascade.predict(X[200:])
    assert "no answer" in labels
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
def test_any_score_less_alpha_times_the_cost(scoring):
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


# --- what is scored -----------------------------------------------------------------


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


# --- how often members run ----------------------------------------------------------


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


def test_what_is_kept_belongs_to_members_and_rows(tmp_path):
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


def test_predictions_never_look_at_what_is_kept(tmp_path):
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


# --- refit rules --------------------------------------------------------------------


def results(score, cost, **more):
    return {
        ACCURACY: np.array(score, dtype=float),
        COST: -np.array(cost, dtype=float),
        "params": [{"alpha": i} for i in range(len(score))],
        **more,
    }


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        (cheapest_within(0), 1),
        (cheapest_within(0.01), 2),
        (cheapest_within(0.03), 4),
        (cheapest_within(1), 6),
        (best_within(2), 1),
        (best_within(0.9), 2),
        (best_within(0.5), 2),
        (best_within(0.49), 4),
        (best_within(0.1), 6),
    ],
)
def test_rules_by_hand(rule, chosen):
    score = [0.98, 0.98, 0.97, 0.96, 0.96, 0.99, 0.80, np.nan]
    cost = [1.00, 0.95, 0.50, 0.40, 0.30, np.nan, 0.10, 0.01]
    assert rule(results(score, cost)) == chosen
    assert type(rule(results(score, cost))) is int


def test_rules_take_other_metrics():
    named = {"mean_test_f1": [0.9, 0.8], "mean_test_neg_seconds": [-4, -2], "params": [{}, {}]}
    assert cheapest_within(0.2, score="f1", cost="neg_seconds")(named) == 1
    assert best_within(4, score="f1", cost="neg_seconds")(named) == 0


#: Few values, so that there are many ties, and failures.
FEW = st.sampled_from([0, 0.1, 0.2, 0.3, 0.6, 0.7, 1.0])
CANDIDATES = st.lists(st.tuples(FEW | st.just(np.nan), FEW), min_size=1, max_size=12)


@given(CANDIDATES, FEW)
@settings(max_examples=150, deadline=None)
def test_no_candidate_within_tol_is_cheaper_than_the_chosen(candidates, tol):
    score, cost = map(np.array, zip(*candidates))
    if np.isnan(score).all():
        with pytest.raises(ValueError, match="Every candidate failed"):
            cheapest_within(tol)(results(score, cost))
        return
    i = cheapest_within(tol)(results(score, cost))
    lowest = np.nanmax(score) - tol - 1e-9
    assert score[i] >= lowest
    for other_score, other_cost in candidates:
        if other_score >= lowest:
            assert (other_cost, -other_score) >= (cost[i], -score[i])


@given(CANDIDATES, FEW)
@settings(max_examples=150, deadline=None)
def test_no_candidate_within_max_cost_is_better_than_the_chosen(candidates, max_cost):
    score, cost = map(np.array, zip(*candidates))
    allowed = ~np.isnan(score) & (cost <= max_cost + 1e-9)
    if not allowed.any():
        with pytest.raises(ValueError, match="Every candidate failed|No candidate has a mean"):
            best_within(max_cost)(results(score, cost))
        return
    i = best_within(max_cost)(results(score, cost))
    assert allowed[i]
    assert (-score[i], cost[i]) == min(zip(-score[allowed], cost[allowed]))


def test_nothing_cheap_enough_names_the_cheapest():
    with pytest.raises(ValueError, match=r"`max_cost`=0.1. .*\{'alpha': 1\}, costs 0.2: raise"):
        best_within(0.1)(results([0.9, 0.8, np.nan], [0.5, 0.2, 0.01]))


# --- searches -----------------------------------------------------------------------


@pytest.mark.parametrize("rule", [cheapest_within(0.02), best_within(0.8)])
def test_grid_search(rule):
    search = GridSearchCV(
        cascade_of(), {"alpha": ALPHAS}, scoring=tradeoff_scorer, refit=rule, cv=2
    ).fit(X, Y)
    assert search.best_index_ == rule(search.cv_results_)
    assert search.best_estimator_.alpha == ALPHAS[search.best_index_]
    assert search.predict(X).shape == Y.shape
    cost = -search.cv_results_[COST]
    assert (cost > 0).all()
    assert search.cv_results_["rank_test_neg_relative_cost"][cost.argmin()] == 1
    again = clone(search)
    assert again.refit == rule
    assert again.scoring is tradeoff_scorer


def test_search_in_parallel_with_a_cache(tmp_path):
    pipeline = make_pipeline(StandardScaler(), cascade_of(memory=str(tmp_path)))
    search = GridSearchCV(
        pipeline,
        {"cascadeclassifier__alpha": ALPHAS},
        scoring=tradeoff_scorer,
        refit=cheapest_within(0.02),
        cv=StratifiedShuffleSplit(1, test_size=0.2, random_state=0),
    )
    serial = clone(search).set_params(estimator__cascadeclassifier__memory=None).fit(X, Y)
    parallel = search.set_params(n_jobs=2).fit(X, Y)
    for column in (ACCURACY, COST):
        assert parallel.cv_results_[column] == pytest.approx(serial.cv_results_[column])
    assert parallel.best_index_ == serial.best_index_


def test_randomized_search_over_members_too():
    search = RandomizedSearchCV(
        cascade_of(),
        {"alpha": loguniform(1e-3, 0.5), "kneighborsclassifier__n_neighbors": [3, 9]},
        n_iter=4,
        scoring=tradeoff_scorer,
        refit=best_within(1.0),
        cv=2,
        random_state=0,
    ).fit(X, Y)
    assert -search.cv_results_[COST][search.best_index_] <= 1.0
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]


def test_halving_takes_a_single_metric_and_chooses_itself():
    search = HalvingGridSearchCV(
        cascade_of(),
        {"alpha": ALPHAS},
        scoring=accuracy_cost_scorer(0.1),
        cv=2,
        min_resources=100,
        factor=2,
        random_state=0,
    ).fit(X, Y)
    last = search.cv_results_["iter"] == search.cv_results_["iter"].max()
    assert last[search.best_index_]
    scores = search.cv_results_["mean_test_score"]
    assert search.best_score_ == scores[search.best_index_] == scores[last].max()
    assert search.best_estimator_.alpha in ALPHAS


def test_several_scores_by_a_dict():
    scoring = {
        "f1": make_cost_scorer("f1_macro", alpha=0),
        "neg_relative_cost": relative_cost_scorer,
    }
    rule = cheapest_within(0.05, score="f1")
    search = GridSearchCV(cascade_of(), {"alpha": ALPHAS}, scoring=scoring, refit=rule, cv=2)
    search.fit(X, Y)
    assert search.best_index_ == rule(search.cv_results_)


def test_cross_validation_and_validation_curves():
    scores = cross_validate(cascade_of(), X, Y, scoring=tradeoff_scorer, cv=3)
    assert (scores["test_neg_relative_cost"] < 0).all()
    assert scores["test_accuracy"].shape == (3,)
    _, cost = validation_curve(
        cascade_of(),
        X,
        Y,
        param_name="alpha",
        param_range=[0.001, 0.5],
        scoring=relative_cost_scorer,
        cv=2,
    )
    assert (np.diff(cost.mean(axis=1)) > 0).all()


def test_failed_candidates_are_not_chosen():
    search = GridSearchCV(
        cascade_of(),
        {"alpha": [-1.0, 0.02]},
        scoring=tradeoff_scorer,
        refit=cheapest_within(1.0),
        cv=2,
    )
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, Y)
    assert np.isnan(search.cv_results_[COST][0])
    assert search.best_index_ == 1


# --- the objects themselves ---------------------------------------------------------


@pytest.mark.parametrize(
    "thing",
    [
        tradeoff_scorer,
        relative_cost_scorer,
        accuracy_cost_scorer(0.1),
        make_cost_scorer("f1_macro", statistic=partial(np.quantile, q=0.9)),
        cheapest_within(0.01),
        best_within(0.3, score="f1"),
    ],
)
def test_pickles_and_copies_are_the_same(thing):
    copied, deep = pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)
    assert repr(copied) == repr(deep) == repr(thing) or "quantile" in repr(thing)
    if not hasattr(thing, "scorer"):
        assert copied == deep == thing
        return
    cascade = cascade_of().fit(X, Y)
    expected = thing(cascade, X, Y)
    assert copied(cascade, X, Y) == deep(cascade, X, Y) == expected


# --- bad input ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cheapest_within(-0.1), "`tol` must be a number, 0 or more, got -0.1"),
        (lambda: cheapest_within("1 %"), "`tol` must be a number"),
        (lambda: best_within(np.nan), "`max_cost` must be a number, 0 or more, got nan"),
        (lambda: best_within(None), "`max_cost` must be a number"),
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


@pytest.mark.parametrize("rule", [cheapest_within(0.1), best_within(0.5)])
def test_rules_need_their_metrics(rule):
    single = GridSearchCV(cascade_of(), {"alpha": [0.1]}, refit=rule, cv=2)
    with pytest.raises(
        ValueError, match=r"no metric 'accuracy', only \['score'\].*tradeoff_scorer"
    ):
        single.fit(X, Y)
    with pytest.raises(ValueError, match=r"no metric 'neg_relative_cost', only \['accuracy'\]"):
        rule({ACCURACY: [1.0], "params": [{}]})
    with pytest.raises(ValueError, match="names positive numbers.*give them negative"):
        rule(results([0.9, 0.8], [-0.5, -0.1]))
    with pytest.raises(ValueError, match="Every candidate failed"):
        rule(results([np.nan, 0.8], [0.5, np.nan]))


def test_weights_need_a_statistic_that_takes_them():
    cascade = cascade_of().fit(X, Y)
    with pytest.raises(ValueError, match="`sample_weight` needs a `statistic` that takes"):
        make_cost_scorer(statistic=np.median)(cascade, X, Y, sample_weight=np.ones(len(Y)))


def test_samples_are_checked():
    cascade = CascadeClassifier([("nb", GaussianNB())], cost=[1]).fit(X, Y)
    with pytest.raises(ValueError, match="features"):
        tradeoff_scorer(cascade, X[:, :5], Y)
