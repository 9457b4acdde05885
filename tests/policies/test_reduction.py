"""The reduction of learned rules to weighted binary classification."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.tree import DecisionTreeClassifier

from skcascade import EXIT, Trace, walk
from skcascade.costs import FixedCost
from skcascade.evidence._row_costs import incurred, relative_edges
from skcascade.policies import WeightedBinary
from skcascade.policies._edges import INPUT, Always
from skcascade.policies._features import show_only, stage_features
from skcascade.policies._reduction import Reduction, find_routes

N_COPIES = 3


class Lookup(ClassifierMixin, BaseEstimator):
    """The weighted majority of each distinct row, label 1 among equals."""

    def fit(self, X, y, sample_weight):
        assert len(np.unique(y)) == 2, "one class is no problem for an estimator"
        assert (sample_weight > 0).all()
        self.classes_ = np.unique(y)
        self.table_ = {}
        for row, label, weight in zip(X, y, sample_weight):
            self.table_[tuple(row)] = self.table_.get(tuple(row), 0) + (2 * label - 1) * weight
        return self

    def predict(self, X):
        return np.array([int(self.table_.get(tuple(row), 0) >= -1e-9) for row in X])


def seen_answers(stage, proba):
    """First probability of every stage up to `stage`, -1 where it was skipped."""
    return np.nan_to_num(proba[:, :, 0], nan=-1.0)


class EdgeCosts(FixedCost):
    """Relative costs as they come."""

    def __init__(self, edges=()):
        self.edges = edges

    def fit(self, stages, X=None):
        self.edge_costs_ = np.asarray(self.edges, dtype=float)
        return self


@st.composite
def problems(draw):
    """Trace, cost, alpha, weight: few answers, known losses, `N_COPIES` copies of each row.

    In half of the problems rows have costs.
    """
    n, n_stages = draw(st.integers(1, 10)), draw(st.integers(1, 4))
    alpha = draw(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    answer = rng.integers(1, 4, size=(n, n_stages)) / 4
    loss = rng.choice([0.0, 0.0, 1.0, 1.0, 0.5], size=(n, n_stages))
    edges = rng.integers(0, 9, size=(n_stages, n_stages)) / 8
    edges[np.tril_indices(n_stages, -1)] = np.nan
    edges[0, -1] = 1.0
    rows = np.repeat(np.arange(n), N_COPIES)
    proba = np.stack([answer, 1 - answer], axis=2)[rows]
    weight = rng.integers(1, 4, size=n).astype(float)[rows]
    row_costs = rng.integers(1, 9, size=(n, n_stages))[rows] / 8 if draw(st.booleans()) else None
    return (
        Trace(proba, loss=loss[rows], cost=row_costs),
        EdgeCosts(edges).fit(n_stages),
        alpha,
        weight,
    )


def objective(policy, trace, losses, cost, alpha, weight=None):
    route = walk(trace, policy)
    lost = losses[np.arange(len(losses)), route.exit]
    return np.average(lost + alpha * cost.relative(incurred(route, cost)), weights=weight)


def all_later(stage, in_use):
    """Successors where stages may be skipped."""
    return [k for k in in_use if k > stage]


def the_next(stage, in_use):
    """Successors in a chain."""
    return all_later(stage, in_use)[:1]


def with_rules(policy, solution):
    """`policy` as if it had been fitted to `solution`."""
    policy.stages_, policy.rules_ = list(solution.stages), {}
    for (source, stage), rule in solution.rules.items():
        policy.rules_.setdefault(stage, {})[source] = rule
    return policy


def subsets(n_stages):
    stages = range(n_stages)
    return chain.from_iterable(combinations(stages, m) for m in range(1, n_stages + 1))


# The value --------------------------------------------------------------------------------


@given(problem=problems())
@settings(max_examples=40, deadline=None)
def test_value_is_that_of_the_walk(problem):
    """The value, estimated on other folds, is exact where all folds are equal."""
    trace, cost, alpha, weight = problem
    reduction = Reduction(
        lambda stage, shown: seen_answers(stage, show_only(trace.proba[:, : stage + 1], shown)),
        trace.loss,
        relative_edges(trace, cost),
        weight,
        np.arange(trace.n_samples) % N_COPIES,
        Lookup(),
        all_later,
    )
    for stages in subsets(trace.n_stages):
        solution = reduction.fitted(reduction.learn(stages, alpha))
        fitted = with_rules(WeightedBinary(skip=True, features=seen_answers), solution)
        value = objective(fitted, trace, trace.loss, cost, alpha, weight)
        assert solution.value == pytest.approx(value, abs=1e-9)


# Cross-fitting ----------------------------------------------------------------------------


def gamble(n, seed):
    """A middle stage that is correct by luck; its answer does not show when."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    right = rng.uniform(size=(n, 3)) < [0.5, 0.5, 1.0]
    top = rng.uniform(0.5, 1, size=(n, 3))
    first = np.where(right == (y == 0)[:, np.newaxis], top, 1 - top)
    return Trace(np.stack([first, 1 - first], axis=2)), y


def overfitted(cv):
    """Estimated value and objective on new rows, of an unpruned tree over all three stages."""
    trace, y = gamble(600, 0)
    cost, losses = FixedCost([1, 1, 10]).fit(3), trace.losses(y)
    fold = np.arange(600) % cv
    reduction = Reduction(
        lambda stage, shown: stage_features(stage, trace.proba[:, : stage + 1]),
        *(losses, cost.relative(cost.edge_costs_), np.ones(600), fold),
        *(DecisionTreeClassifier(random_state=0), the_next),
    )
    solution = reduction.fitted(reduction.learn((0, 1, 2), 0.3))
    new, codes = gamble(4000, 1)
    fitted = with_rules(WeightedBinary(), solution)
    return solution.value, objective(fitted, new, new.losses(codes), cost, 0.3)


def test_values_are_honest_although_the_estimator_overfits():
    estimated, measured = overfitted(cv=3)
    assert estimated == pytest.approx(measured, abs=0.03)
    estimated, measured = overfitted(cv=1)  # the same without folds
    assert estimated < measured - 0.2


def test_an_overfitting_estimator_falls_back_on_one_stage():
    trace, y = gamble(600, 0)
    cost = FixedCost([1, 1, 10]).fit(3)
    policy = WeightedBinary(DecisionTreeClassifier(), random_state=0).fit(trace, y, cost, 0.3)
    assert policy.stages_ == [2]


def test_skipping_must_earn_its_place():
    """Nothing shows which samples need the middle stage, so all that are deferred skip it."""
    trace, y = gamble(600, 0)
    losses, cost = trace.losses(y), FixedCost([1, 1, 10]).fit(3)
    reduction = Reduction(
        lambda stage, shown: stage_features(stage, trace.proba[:, : stage + 1]),
        *(losses, cost.relative(cost.edge_costs_), np.ones(600), np.arange(600) % 3),
        *(DecisionTreeClassifier(random_state=0), all_later),
    )
    rule = reduction.fitted(reduction.learn((0, 1, 2), 0.3)).rules[INPUT, 0]
    assert rule.actions == (EXIT, 1, 2)
    ((_, model),) = rule.models[1]
    assert isinstance(model, Always) and not model.label


# Routes -----------------------------------------------------------------------------------


def test_edges_show_what_all_routes_have_seen():
    assert find_routes((0, 1, 2, 3), the_next) == {
        (INPUT, 0): (0,),
        (0, 1): (0, 1),
        (1, 2): (0, 1, 2),
        (2, 3): (0, 1, 2, 3),
    }
    shown = find_routes((0, 2, 3, 5), all_later)
    assert shown[2, 3] == (0, 2, 3)
    assert shown[3, 5] == (0, 3, 5)  # some came to 3 over 2, some did not
    some = {0: [1], 1: [3]}
    assert list(find_routes((0, 1, 2, 3), lambda stage, in_use: some.get(stage, []))) == [
        (INPUT, 0),
        (0, 1),
        (1, 3),
    ]
