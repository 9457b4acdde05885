"""Curves of measured points: their arrays agree with each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.costs import FixedCost
from skcascade.tuning._build_curve import build_curve, measure_outcome, reference_stage


def computed(alphas, losses, spent, exits, *rest):
    """`build_curve` on arrays of shape (n_points, n_samples)."""
    stage_losses, _, weight = rest
    n_stages = stage_losses.shape[1]
    outcomes = zip(losses, spent, exits)
    points = [measure_outcome(*outcome, weight, n_stages) for outcome in outcomes]
    return build_curve(alphas, points, *rest)


@st.composite
def sampled(draw):
    """Arguments of `build_curve`: random routes of random samples, 0/1 or real losses."""
    n_points, n = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    n_stages = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stage_losses = rng.random((n, n_stages))
    if draw(st.booleans()):
        stage_losses = stage_losses.round()
    exits = rng.integers(n_stages, size=(n_points, n))
    losses = stage_losses[np.arange(n), exits]
    spent = rng.random((n_points, n)) * 10
    cost = FixedCost(np.sort(rng.uniform(0.1, 9, n_stages))).fit(n_stages)
    weight = rng.integers(1, 4, size=n).astype(float) if draw(st.booleans()) else np.ones(n)
    return rng.random(n_points), losses, spent, exits, stage_losses, cost, weight


# What is computed -------------------------------------------------------------------------


@given(sampled())
@settings(max_examples=150, deadline=None)
def test_exits_agree_with_accuracy(case):
    alphas, losses, spent, exits, _, cost, weight = case
    curve = computed(*case)
    np.testing.assert_allclose(curve.exit_rates.sum(axis=1), 1)
    np.testing.assert_array_equal(np.isnan(curve.exit_accuracy), curve.exit_rates == 0)
    total = (curve.exit_rates * np.nan_to_num(curve.exit_accuracy)).sum(axis=1)
    np.testing.assert_allclose(total, curve.accuracy, atol=1e-12)
    np.testing.assert_array_equal(curve.parameter, alphas)
    for point in range(len(curve)):
        accuracy = 1 - np.average(losses[point], weights=weight)
        assert curve.accuracy[point] == pytest.approx(accuracy, abs=1e-12)
        assert curve.cost[point] == pytest.approx(np.average(spent[point], weights=weight))
        for k in range(cost.edge_costs_.shape[1]):
            here = exits[point] == k
            assert curve.exit_rates[point, k] == pytest.approx(weight[here].sum() / weight.sum())
            if here.any():
                accuracy = 1 - np.average(losses[point, here], weights=weight[here])
                assert curve.exit_accuracy[point, k] == pytest.approx(accuracy, abs=1e-12)
    np.testing.assert_allclose(curve.relative_cost, curve.cost / cost.edge_costs_[0, -1])


@given(sampled())
@settings(max_examples=150, deadline=None)
def test_reference_is_the_most_accurate_stage(case):
    *_, stage_losses, cost, weight = case
    curve = computed(*case)
    accuracy = 1 - np.average(stage_losses, axis=0, weights=weight)
    np.testing.assert_allclose(curve.stage_accuracy, accuracy, atol=1e-12)
    np.testing.assert_allclose(curve.stage_cost, cost.edge_costs_[0] / cost.edge_costs_[0, -1])
    assert accuracy[curve.reference] == pytest.approx(accuracy.max(), abs=1e-12)
    equals = np.isclose(accuracy, accuracy.max(), atol=1e-12, rtol=0)
    assert curve.stage_cost[curve.reference] == curve.stage_cost[equals].min()


@pytest.mark.parametrize(("costs", "reference"), [([1, 2, 9], 1), ([3, 2, 9], 1), ([1, 9, 2], 2)])
def test_reference_is_the_cheaper_of_equals(costs, reference):
    stage_losses = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 0.0], [0, 0, 0]])
    cost = FixedCost(costs).fit(3)
    curve = computed(
        [0.1],
        np.zeros((1, 4)),
        np.ones((1, 4)),
        np.zeros((1, 4), int),
        stage_losses,
        cost,
        np.ones(4),
    )
    np.testing.assert_allclose(curve.stage_accuracy, [0.25, 0.75, 0.75])
    assert curve.reference == reference


def test_the_stage_that_rejects_is_no_reference():
    accuracy, cost = np.array([0.7, 0.9, 0.95]), np.array([0.1, 1.0, 0.0])
    assert reference_stage(accuracy, cost, has_reject=True) == 1
    assert reference_stage(accuracy, cost, has_reject=False) == 2
