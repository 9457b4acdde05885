"""Candidates for the operating point, and their cross-fitted curve."""

from copy import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold
from skcascade.tuning import _search
from skcascade.tuning._expected_loss import ExpectedLoss
from skcascade.tuning._fit_policy import add_free_stage
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import Search
from skcascade.tuning._tuning import Tuning

COSTS = [1, 3, 9]


COST = FixedCost(COSTS).fit(3)


def recorded(n=200, seed=0, skill=(2.0, 1.0, 0.5), n_classes=3):
    """A trace, and its codes. Stages know how sure they are; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def fitted(trace, y, policy=None, cost=COSTS, random_state=0, **kwargs):
    policy = ConfidenceThreshold() if policy is None else policy
    return fit_policy(policy, trace, y, cost=cost, random_state=random_state, **kwargs)


def same(one, other):
    """Whether two fitted ConfidenceThreshold are the same rule."""
    return one.stages_ == other.stages_ and np.array_equal(one.thresholds_, other.thresholds_)


# The curve --------------------------------------------------------------------------------


def test_candidates_do_not_depend_on_the_target():
    trace, y = recorded()
    curves = [
        fitted(trace, y, **point).tradeoff_
        for point in ({}, {"alpha": 0.3}, {"max_cost": 0.3}, {"max_accuracy_drop": 0.2})
    ]
    for points in curves[1:]:
        np.testing.assert_array_equal(points.accuracy, curves[0].accuracy)


def test_curve_is_honest():
    """A rule that memorizes noise has a curve that shows it."""

    class Memorizing(BaseExitPolicy):
        def fit(self, trace, y, cost, alpha, sample_weight=None):
            wrong = trace.losses(y)[:, 0] == 1
            self.known_ = set(trace.proba[~wrong, 0].max(axis=1).tolist())
            return self

        def exit_mask(self, stage, proba):
            return np.array([p in self.known_ for p in proba[:, stage].max(axis=1).tolist()])

    trace, y = recorded(200, skill=(2.0, 0.4))
    policy = fitted(trace, y, Memorizing(), cost=[1, 10], alpha=0.1)
    # A fit knows no sample that it has not seen: all are deferred, and incur both costs.
    np.testing.assert_allclose(policy.tradeoff_.relative_cost[:-2].max(), 1.1, atol=0.1)
    np.testing.assert_allclose(
        policy.tradeoff_.accuracy[:-2].max(), policy.tradeoff_.stage_accuracy.max(), atol=1e-9
    )


# Many rows --------------------------------------------------------------------------------


def test_search_on_a_part_and_refit_on_all(monkeypatch):
    monkeypatch.setattr(_search, "SEARCH_ROWS", 300)
    trace, y = recorded(1200)
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    policy, search, index = tuning.fit(OperatingPoint(alpha=0.1))
    assert len(np.unique(search.rows)) == 300
    assert search.refit
    share = np.bincount(y[search.rows]) / 300 - np.bincount(y) / 1200
    assert np.abs(share).max() < 0.01  # stratified
    alpha, expected = search.curve.parameter[index], ExpectedLoss.fit(trace, y, np.ones(1200))
    (direct,) = ConfidenceThreshold().fit_alphas(expected.of(trace), y, COST, [alpha])
    assert same(policy, direct)
    assert not same(policy, search.policies[index])


def test_a_stage_alone_needs_no_refit(monkeypatch):
    monkeypatch.setattr(_search, "SEARCH_ROWS", 100)
    trace, y = recorded(300)
    trace.proba[:, 1:] = trace.proba[:, :1]
    assert fitted(trace, y).stages_ == [0]


def test_few_rows_are_all_searched():
    trace, y = recorded(150)
    _, search, index = Tuning(ConfidenceThreshold(), trace, y, COST).fit(OperatingPoint(alpha=0.1))
    assert sorted(search.rows) == list(range(150))
    assert not search.refit
    assert index < len(search.policies)


# The test split ---------------------------------------------------------------------------


def test_test_rows_are_not_those_of_tuning():
    trace, y = recorded(500)
    search = Search.run(ConfidenceThreshold(), trace, y, COST, certify=True, random_state=0)
    assert len(search.rows) == 150
    assert len(search.test_rows) == 350
    assert sorted([*search.rows, *search.test_rows]) == list(range(500))
    curve, losses = search.curve, trace.losses(y)[search.rows]
    observed = 1 - losses.mean(axis=0)
    assert curve.stage_accuracy[curve.reference] == pytest.approx(observed[curve.reference])


def test_tuning_does_not_depend_on_the_test_rows():
    """Neither candidates, nor the curve, nor the reference: answers there may be anything."""
    trace, y = recorded(500, skill=(2.0, 0.6, 0.5))
    search = Search.run(ConfidenceThreshold(), trace, y, COST, certify=True, random_state=0)
    assert search.curve.reference == 2
    spoilt = Trace(trace.proba.copy())
    spoilt.proba[search.test_rows, 2] = np.eye(3)[(y[search.test_rows] + 1) % 3]
    assert spoilt.losses(y).mean(axis=0).argmin() != 2
    other = Search.run(ConfidenceThreshold(), spoilt, y, COST, certify=True, random_state=0)
    assert other.curve.reference == 2
    np.testing.assert_array_equal(other.rows, search.rows)
    np.testing.assert_array_equal(other.curve.accuracy, search.curve.accuracy)
    for one, two in zip(search.policies, other.policies):
        assert same(one, two)


# The rule that is deployed ----------------------------------------------------------------


@st.composite
def evidence(draw):
    """A few rows of stages, some with rejected samples, and costs."""
    n, n_stages = draw(st.integers(8, 60)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    trace, y = recorded(n, rng.integers(9999), skill=rng.uniform(0.3, 3, n_stages))
    cost = FixedCost(rng.uniform(0.1, 5, n_stages)).fit(n_stages)
    if draw(st.booleans()):
        trace, cost = trace.with_reject(rng.uniform(0, 0.9)), add_free_stage(cost)
    return trace, y, cost


@given(evidence())
@settings(max_examples=25, deadline=None)
def test_the_curve_is_of_the_rules_that_can_be_deployed(drawn):
    """Not of rules of the folds, which may use other stages."""
    trace, y, cost = drawn
    tuning = Tuning(ConfidenceThreshold(), trace, y, cost, random_state=0)
    search = tuning.search()
    for policy, spent, rates in zip(search.policies, search.curve.cost, search.curve.exit_rates):
        route = walk(trace, policy)
        assert spent == pytest.approx(cost.path_cost(route.visited).mean())
        np.testing.assert_allclose(rates, np.bincount(route.exit, minlength=len(rates)) / len(y))
    budget = search.curve.stage_cost.min() * 1.3 + 0.01
    policy, _, _ = tuning.fit(OperatingPoint(max_cost=float(budget)))
    visited = walk(trace, policy).visited
    assert cost.relative(cost.path_cost(visited)).mean() <= budget + 1e-9


def test_a_rule_that_is_bad_on_all_rows_is_no_better_than_that():
    """Fitted on six of seven folds it is the last stage; fitted on all it is the bad first one."""

    class Odd(BaseExitPolicy):
        def fit_alphas(self, trace, y, cost, alphas, sample_weight=None):
            self.all_ = len(y) == 70
            return [copy(self) for _ in alphas]  # not pruned

        def exit_mask(self, stage, proba):
            return np.full(len(proba), self.all_)

    trace, y = recorded(70, skill=(9.0, 0.01))
    search = Search.run(Odd(), trace, y, FixedCost([1, 9]).fit(2), random_state=0)
    assert search.curve.accuracy[0] < 0.4
    assert search.curve.accuracy[0] == pytest.approx(search.curve.stage_accuracy[0])
    policy, _, _ = Tuning(Odd(), trace, y, FixedCost([1, 9]).fit(2), random_state=0).fit(
        OperatingPoint(max_accuracy_drop=0.05)
    )
    assert policy.stages_ == [1]


def test_no_label_judges_its_own_row():
    """Expected losses of a fold, and its rules, come from the labels of the other folds."""
    trace, y = recorded(70)
    fold = np.arange(70) % _search.N_FOLDS == 3
    others = y.copy()
    others[fold] = (y[fold] + 1) % 3
    given = ConfidenceThreshold(), trace
    one, two = (
        _search._held_out_losses(*given, codes, COST, np.ones(70), len(_search.ALPHAS) + 3)
        for codes in (y, others)
    )
    np.testing.assert_array_equal(one[0][:, fold], two[0][:, fold])
    np.testing.assert_array_equal(one[1][fold], two[1][fold])
    assert (one[1][~fold] != two[1][~fold]).any()


def test_a_rule_that_has_memorized_its_rows_gains_nothing():
    """It defers rows that it has seen, where that helps; all others exit at the bad first stage."""

    class Memorized(BaseExitPolicy):
        def fit_alphas(self, trace, y, cost, alphas, sample_weight=None):
            losses = trace.objective_losses(y)
            helps = losses[:, 0] > losses[:, 1]
            self.deferred_ = set(trace.proba[helps, 0].max(axis=1).tolist())
            return [copy(self) for _ in alphas]  # not pruned

        def exit_mask(self, stage, proba):
            return np.array([p not in self.deferred_ for p in proba[:, 0].max(axis=1).tolist()])

    trace, y = recorded(210, skill=(2.0, 0.3))
    search = Search.run(Memorized(), trace, y, FixedCost([1, 9]).fit(2), random_state=0)
    curve = search.curve
    assert curve.accuracy[0] == pytest.approx(curve.stage_accuracy[0])
    assert curve.exit_rates[0, 1] > 0.3  # the rule that would be deployed does defer
