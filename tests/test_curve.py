"""The trade-off curve: its arrays agree with each other, and its best points are the best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import TradeoffCurve
from skcascade._curve import curve_of
from skcascade.costs import FixedCost


def curve_through(accuracy, relative_cost):
    """A curve of which nothing but these two matters."""
    return TradeoffCurve(None, np.array(accuracy), None, np.array(relative_cost), *[None] * 4, 0)


def computed(alphas, losses, visits, exits, *rest):
    """`curve_of` on arrays of shape (n_points, n_samples)."""
    return curve_of(alphas, zip(losses, visits, exits), *rest)


@st.composite
def sampled(draw):
    """Arguments of `curve_of`: random ways of random samples, 0/1 or real losses."""
    n_points, n = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    n_stages = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stage_losses = rng.random((n, n_stages))
    if draw(st.booleans()):
        stage_losses = stage_losses.round()
    exits = rng.integers(n_stages, size=(n_points, n))
    losses = stage_losses[np.arange(n), exits]
    visits = rng.random((n_points, n)) * 10
    cost = FixedCost(np.sort(rng.uniform(0.1, 9, n_stages))).fit(n_stages)
    weight = rng.integers(1, 4, size=n).astype(float) if draw(st.booleans()) else np.ones(n)
    return rng.random(n_points), losses, visits, exits, stage_losses, cost, weight


# Points that no other beats ---------------------------------------------------------------

#: Few values, so that there are many ties.
FEW = st.integers(0, 4).map(lambda i: i / 4)


@given(st.lists(st.tuples(FEW, FEW), min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_pareto_points_are_those_no_other_point_beats(points):
    curve = curve_through(*zip(*points))
    best = curve.pareto()
    assert len(curve) == len(points)

    def beats(a, b):
        return a[0] >= b[0] and a[1] <= b[1] and a != b

    unbeaten = {p for p in points if not any(beats(q, p) for q in points)}
    chosen = [points[i] for i in best]
    assert len(chosen) == len(set(chosen))  # one of several equal points
    assert set(chosen) == unbeaten
    assert (np.diff(curve.relative_cost[best]) > 0).all()
    assert (np.diff(curve.accuracy[best]) > 0).all()


def test_pareto_by_hand():
    curve = curve_through([0.9, 0.7, 0.8, 0.8, 0.95], [0.5, 0.1, 0.2, 0.3, 1.0])
    assert curve.pareto().tolist() == [1, 2, 0, 4]


# What is computed -------------------------------------------------------------------------


@given(sampled())
@settings(max_examples=150, deadline=None)
def test_exits_agree_with_accuracy(case):
    alphas, losses, visits, exits, _, cost, weight = case
    curve = computed(*case)
    np.testing.assert_allclose(curve.exit_rates.sum(axis=1), 1)
    np.testing.assert_array_equal(np.isnan(curve.exit_accuracy), curve.exit_rates == 0)
    total = (curve.exit_rates * np.nan_to_num(curve.exit_accuracy)).sum(axis=1)
    np.testing.assert_allclose(total, curve.accuracy, atol=1e-12)
    np.testing.assert_array_equal(curve.parameter, alphas)
    for point in range(len(curve)):
        accuracy = 1 - np.average(losses[point], weights=weight)
        assert curve.accuracy[point] == pytest.approx(accuracy, abs=1e-12)
        assert curve.cost[point] == pytest.approx(np.average(visits[point], weights=weight))
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


@pytest.mark.parametrize(("prices", "reference"), [([1, 2, 9], 1), ([3, 2, 9], 1), ([1, 9, 2], 2)])
def test_reference_is_the_cheaper_of_equals(prices, reference):
    stage_losses = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 0.0], [0, 0, 0]])
    cost = FixedCost(prices).fit(3)
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
