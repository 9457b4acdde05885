"""Refit rules: which candidate they choose, alone and in whole searches."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcascade import make_cascade
from skcascade.metrics import (
    accuracy_cost_scorer,
    best_within,
    cheapest_within,
    make_cost_scorer,
    relative_cost_scorer,
    tradeoff_scorer,
)

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
ALPHAS = [0.001, 0.02, 0.1, 0.5]
ACCURACY, COST = "mean_test_accuracy", "mean_test_neg_relative_cost"

#: Few values, so that there are many ties, and failures.
FEW = st.sampled_from([0, 0.1, 0.2, 0.3, 0.6, 0.7, 1.0])
CANDIDATES = st.lists(st.tuples(FEW | st.just(np.nan), FEW), min_size=1, max_size=12)


def cascade_of(*members, **params):
    members = members or (GaussianNB(), KNeighborsClassifier())
    cost = [1.0, 10.0][: len(members)]
    return make_cascade(*members, **{"cost": cost, "random_state": 0, "alpha": 0.02, **params})


def results(score, cost, **more):
    return {
        ACCURACY: np.array(score, dtype=float),
        COST: -np.array(cost, dtype=float),
        "params": [{"alpha": i} for i in range(len(score))],
        **more,
    }


# The rules -----------------------------------------------------------------------------


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


@pytest.mark.parametrize("rule", [cheapest_within(0.01), best_within(0.3, score="f1")])
def test_pickles_and_copies_are_the_same(rule):
    copied, deep = pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule)
    assert repr(copied) == repr(deep) == repr(rule)
    assert copied == deep == rule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cheapest_within(-0.1), "`tol` must be a number, 0 or more, got -0.1"),
        (lambda: cheapest_within("1 %"), "`tol` must be a number"),
        (lambda: best_within(np.nan), "`max_cost` must be a number, 0 or more, got nan"),
        (lambda: best_within(None), "`max_cost` must be a number"),
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


# Searches ------------------------------------------------------------------------------


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
