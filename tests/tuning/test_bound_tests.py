"""The candidates that are tested for a bound, their order, and their p-values."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, walk
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning import _bound_tests
from skcascade.tuning._bound_tests import bound_test, most_expensive_route
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._tuning import Tuning

COSTS = [1.0, 3.0, 9.0]
COST = FixedCost(COSTS).fit(3)


def recorded(n, seed=0, skill=(1.0, 0.3, 0.25), n_classes=3):
    """Stages that know how sure they are, and codes; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


# The candidates ---------------------------------------------------------------------------


def certifying(trace, y, **point):
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    target = OperatingPoint(**point)
    policy, search, index = tuning.fit(target, 0.9)
    return bound_test(search, target, trace, y, COST), search, index, policy


def test_a_stage_alone_is_no_obstacle():
    """The middle one, far too inaccurate, costs what good cascades cost."""
    trace, y = recorded(4000, skill=(1.0, 6.0, 0.2))
    test, search, index, policy = certifying(trace, y, max_accuracy_drop=0.03)
    assert search.alone(1) not in test.order
    assert search.curve.relative_cost[index] < 0.8
    assert policy.stages_ == [0, 2]


def test_a_stage_alone_that_is_beaten_is_not_tested():
    trace, y = recorded(2000)
    test, search, _, _ = certifying(trace, y, max_cost=0.5)
    curve, last = search.curve, search.alone(2)
    assert curve.accuracy[last] > curve.accuracy[test.fallback]
    assert last not in curve.pareto()
    assert last not in test.order


def test_order_and_fallback():
    trace, y = recorded(2000)
    test, search, _, _ = certifying(trace, y, max_accuracy_drop=0.03)
    assert test.fallback == search.alone(search.curve.reference)
    assert (np.diff(search.curve.relative_cost[test.order]) <= 1e-12).all()
    test, search, index, _ = certifying(trace, y, max_cost=0.5)
    assert (np.diff(search.curve.relative_cost[test.order]) >= -1e-12).all()
    assert search.curve.accuracy[index] >= search.curve.accuracy[test.fallback]


def test_of_all_that_are_certified_the_most_accurate_is_taken():
    trace, y = recorded(6000)
    test, search, index, _ = certifying(trace, y, max_cost=0.5)
    passed = [test.fallback]
    for candidate in test.order:
        if test.p_value(candidate, 0.1) > 0.1:
            break
        passed.append(candidate)
    assert len(passed) > 3
    assert search.curve.accuracy[index] == search.curve.accuracy[passed].max()


def test_losses_that_are_not_zero_or_one_are_bet_on():
    trace, y = recorded(3000)
    half = Trace(trace.proba, loss=trace.losses(y) / 2)
    test, *_ = certifying(half, y, max_accuracy_drop=0.03)
    assert not test.zero_one
    exact, *_ = certifying(trace, y, max_accuracy_drop=0.03)
    assert exact.zero_one
    assert test.deviations(0.1) / exact.deviations(0.1) == pytest.approx(1.674, abs=1e-3)


@st.composite
def edge_matrices(draw):
    n = draw(st.integers(1, 5))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).uniform(0, 9, (n, n))


@given(edge_matrices())
@settings(max_examples=60, deadline=None)
def test_most_expensive_route_is_that_of_all(edges):
    """The largest value of a mean cost: a skip may cost more than the stages it skips."""
    n = len(edges)
    cost = FixedCost(edges).fit(n)
    routes = [r for m in range(1, n + 1) for r in combinations(range(n), m)]
    visited = np.array([[k in route for k in range(n)] for route in routes])
    assert most_expensive_route(cost.edge_costs_) == pytest.approx(cost.path_cost(visited).max())


# The p-values ---------------------------------------------------------------------------


@pytest.mark.parametrize("point", [{"max_accuracy_drop": 0.03}, {"max_cost": 0.5}])
@pytest.mark.parametrize("halved", [False, True], ids=["exact", "by betting"])
def test_p_values_read_the_test_rows_and_bets_the_tuned_ones(point, halved, monkeypatch):
    trace, y = recorded(800)
    if halved:
        trace = Trace(trace.proba, loss=trace.losses(y) / 2)
    target = OperatingPoint(**point)
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    search = tuning.search(certified=True)
    test = bound_test(search, target, trace, y, COST)
    index, given = test.order[-1 if "max_cost" in point else 0], []
    exact = "max_cost" not in point and not halved
    name = "paired_p_value" if exact else "betting_p_value"
    p_values = iter([0.1, 0.5, 0.2, 0.3])
    monkeypatch.setattr(
        _bound_tests, name, lambda *args, **kwargs: given.append((args, kwargs)) or next(p_values)
    )
    largest = 0.1 if "max_cost" in point else 0.5  # the largest of all counts
    assert test.p_value(index, 0.1) == largest
    route = walk(trace, search.policies[index])
    if "max_cost" in point:
        columns = [COST.relative(COST.path_cost(route.visited))]
        bound, upper = 0.5, COST.relative(sum(COSTS))
        assert search.policies[index].stages_ == [0, 1, 2]
    else:
        losses = trace.losses(y)
        values = losses[np.arange(800), route.exit]
        columns = [values - losses[:, k] for k in (0, 1, 2, search.curve.reference)]
        bound, upper = 0.03, 1.0
    assert len(given) == len(columns)
    for values, (args, kwargs) in zip(columns, given):
        if exact:
            values = values[search.test_rows]
            assert args == ((values > 0).sum(), (values < 0).sum(), len(values), bound)
            assert kwargs == {"missed": 0.01 * 0.1}  # part of the p-value
        else:
            np.testing.assert_array_equal(args[0], values[search.rows])
            np.testing.assert_array_equal(args[1], values[search.test_rows])
            assert args[2:] == (bound, upper, 0.1)
