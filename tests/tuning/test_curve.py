"""What can be read off a trade-off curve."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, TradeoffCurve, tradeoff_curve

COSTS = [1.0, 3.0, 9.0]
UNIT = st.floats(0.01, 1)


def recorded(n=400, seed=0, skill=(2.0, 1.0, 0.3)):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


def curve_through(points, stages=((0.1, 0.7), (1.0, 0.9))):
    cost, accuracy = np.array(points, dtype=float).T
    stage_cost, stage_accuracy = np.array(stages, dtype=float).T
    rates = np.tile([0.5] * 2, (len(points), 1))
    return TradeoffCurve(
        np.arange(len(points)) / 10, accuracy, cost * 7, cost, rates, rates,
        stage_accuracy, stage_cost, int(stage_accuracy.argmax()), stage_names=("a", "b"),
    )  # fmt: skip


def test_at():
    curve = curve_through([(0.2, 0.8), (0.3, 0.88), (0.6, 0.91)])
    assert curve.at(max_cost=0.5).index == 1
    assert curve.at(max_accuracy_drop=0.02).relative_cost == 0.3
    assert curve.at().accuracy == 0.91
    point = curve.at(alpha=1.0)
    assert (point.index, point.parameter, point.cost) == (0, 0.0, pytest.approx(1.4))
    with pytest.raises(ValueError, match=r"No point .* max_cost=0.15: the cheapest costs 0.2"):
        curve.at(max_cost=0.15)
    worse = curve_through([(0.2, 0.8), (0.3, 0.85)])
    with pytest.raises(ValueError, match=r"max_accuracy_drop=0.01: .* best accuracy is 0.85"):
        worse.at(max_accuracy_drop=0.01)
    with pytest.raises(ValueError, match=r"max_accuracy_drop=0.01: .* best 1 - cost is 0.85"):
        replace(worse, metric="1 - cost").at(max_accuracy_drop=0.01)
    with pytest.raises(ValueError, match="At most one of"):
        curve.at(alpha=0.1, max_cost=0.5)


def test_area_by_hand():
    """Budgets from .1 to 1: .7 for all of them without the cascade."""
    curve = curve_through([(0.2, 0.8), (0.55, 0.9)])
    assert curve.area() == pytest.approx((0.35 * 0.1 + 0.45 * 0.2) / 0.9)
    assert curve_through([(0.3, 0.6), (1.5, 0.95)]).area() == 0
    assert np.isnan(curve_through([(0.2, 0.8)], stages=[(0.1, 0.9), (1.0, 0.8)]).area())


@given(
    st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8),
    st.lists(st.tuples(UNIT, UNIT), min_size=2, max_size=4),
    st.tuples(UNIT, UNIT),
)
@settings(max_examples=150, deadline=None)
def test_area_never_falls_with_a_point_more(points, stages, another):
    area = curve_through(points, stages).area()
    if not np.isnan(area):
        assert -1e-12 <= area <= 1
        assert curve_through([*points, another], stages).area() >= area - 1e-12


@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_random_mixture_is_above_every_stage(stages):
    curve = curve_through([(0.5, 0.5)], stages)
    corners = curve.random_mixture()
    cost, accuracy = curve.stage_cost[corners], curve.stage_accuracy[corners]
    assert (np.diff(cost) > 0).all()
    assert (np.diff(np.diff(accuracy) / np.diff(cost)) < 1e-9).all()  # concave
    assert curve.reference in corners or curve.stage_accuracy[curve.reference] == accuracy[-1]
    for c, a in stages:
        assert np.interp(c, cost, accuracy, left=2) >= a - 1e-9


def test_answered_by():
    trace, y = recorded()
    curve = tradeoff_curve(trace, None, y, cost=COSTS, points=4, random_state=0)
    share, accuracy = curve.answered_by([0, 1, 2])
    np.testing.assert_allclose(share, 1)
    np.testing.assert_allclose(accuracy, curve.accuracy)
    share, accuracy = curve.answered_by([])
    np.testing.assert_array_equal(share, 0)
    assert np.isnan(accuracy).all()


def test_to_frame():
    pytest.importorskip("pandas")
    trace, y = recorded()
    curve = tradeoff_curve(
        trace, None, y, cost=COSTS, points=3, by="max_cost", n_bootstrap=5, random_state=0
    )
    frame = curve.to_frame()
    assert list(frame.columns) == [
        "max_cost", "accuracy", "cost", "relative_cost", "exit_rate 0", "exit_rate 1",
        "exit_rate 2", "accuracy low", "accuracy high", "relative_cost low", "relative_cost high",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["accuracy"], curve.accuracy)


def points_alone(accuracy, relative_cost):
    """A curve of which nothing but these two matters."""
    return TradeoffCurve(None, np.array(accuracy), None, np.array(relative_cost), *[None] * 4, 0)


# Points that no other beats ---------------------------------------------------------------

#: Few values, so that there are many ties.
FEW = st.integers(0, 4).map(lambda i: i / 4)


@given(st.lists(st.tuples(FEW, FEW), min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_pareto_points_are_those_no_other_point_beats(points):
    curve = points_alone(*zip(*points))
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
    curve = points_alone([0.9, 0.7, 0.8, 0.8, 0.95], [0.5, 0.1, 0.2, 0.3, 1.0])
    assert curve.pareto().tolist() == [1, 2, 0, 4]
