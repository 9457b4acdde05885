"""Certified operating points: the order of the candidates, their tests, and what is certified."""

import re
import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.tuning import _risk_control
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._risk_control import bound_test, certify, most_expensive_route
from skcascade.tuning._tuning import Tuning

COSTS = [1.0, 3.0, 9.0]
COST = FixedCost(COSTS).fit(3)
#: Skill of three stages further apart.
WEAK = (2.0, 1.0, 0.5)


def recorded(n, seed=0, skill=(1.0, 0.3, 0.25), n_classes=3):
    """Stages that know how sure they are, and codes; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def fitted(trace, y, policy=None, cost=COSTS, random_state=0, **kwargs):
    policy = ConfidenceThreshold() if policy is None else policy
    return fit_policy(policy, trace, y, cost=cost, random_state=random_state, **kwargs)


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


# The sequence -----------------------------------------------------------------------------


@pytest.mark.parametrize("point", [{"max_accuracy_drop": 0.03}, {"max_cost": 0.5}])
@pytest.mark.parametrize("n_passed", [0, 1, 3])
def test_the_sequence_stops_at_its_first_failure(point, n_passed, monkeypatch):
    """Candidates after it are not tested, so one that passes there is not certified either."""
    trace, y = recorded(3000)
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    target = OperatingPoint(**point)
    search = tuning.search(certified=True)
    test = bound_test(search, target, trace, y, COST)
    assert len(test.order) > n_passed + 2
    asked = []

    def p_value(self, index, level):
        asked.append(index)
        return 0.9 if len(asked) == n_passed + 1 else 0.0

    monkeypatch.setattr(type(test), "p_value", p_value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if n_passed == 0 else "error", CascadeWarning)
        index = certify(search, target, 0.9, trace, y, COST)
    assert asked == test.order[: n_passed + 1].tolist()
    assert index in [test.fallback, *test.order[:n_passed]]


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
    index, given = test.order[0], []
    exact = "max_cost" not in point and not halved
    name = "paired_p_value" if exact else "betting_p_value"
    monkeypatch.setattr(
        _risk_control, name, lambda *args, **kwargs: given.append((args, kwargs)) or 0.5
    )
    assert test.p_value(index, 0.1) == 0.5
    ((args, kwargs),) = given
    walks = walk(trace, search.policies[index]), walk(trace, search.policies[test.fallback])
    if "max_cost" in point:
        values = COST.relative(COST.path_cost(walks[0].visited))
        bound, upper = 0.5, COST.relative(sum(COSTS))
    else:
        losses, rows = trace.losses(y), np.arange(800)
        values = losses[rows, walks[0].exit] - losses[rows, walks[1].exit]
        bound, upper = 0.03, 1.0
    if exact:
        values = values[search.test_rows]
        assert args == ((values > 0).sum(), (values < 0).sum(), len(values), bound)
        assert kwargs == {"missed": 0.01 * 0.1}  # part of the p-value
    else:
        np.testing.assert_array_equal(args[0], values[search.rows])
        np.testing.assert_array_equal(args[1], values[search.test_rows])
        assert args[2:] == (bound, upper, 0.1)


# Certified points -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold("entropy"),
        WeightedBinary(random_state=0),
        WeightedBinary(skip=True, random_state=0),
        Reinforce(random_state=0),
    ],
    ids=str,
)
def test_every_policy_can_be_certified(policy):
    trace, y = recorded(1500)
    new, labels = recorded(20_000, seed=1)
    losses = new.losses(labels)
    tuning = Tuning(policy, trace, y, COST, random_state=0)
    by_drop, *_ = tuning.fit(OperatingPoint(max_accuracy_drop=0.05), 0.9)
    by_cost, *_ = tuning.fit(OperatingPoint(max_cost=0.6), 0.9)
    assert min(len(by_drop.stages_), len(by_cost.stages_)) > 1
    exits = walk(new, by_drop).exit
    assert losses[np.arange(20_000), exits].mean() - losses.mean(axis=0).min() < 0.06
    assert COST.relative(COST.path_cost(walk(new, by_cost).visited)).mean() < 0.62


def test_certified_drop():
    trace, y = recorded(2000, skill=(1.0, 0.3, 0.25))
    policy = fitted(trace, y, max_accuracy_drop=0.05, confidence_level=0.9)
    points, at = policy.tradeoff_, policy.tradeoff_index_
    assert points.relative_cost[at] < 0.8 * points.stage_cost[points.reference]
    plain = fitted(trace, y, max_accuracy_drop=0.05)
    cost = [np.mean(COST.path_cost(walk(trace, p).visited)) for p in (policy, plain)]
    assert cost[0] > cost[1]  # a certified policy is safer than an estimated one


def test_more_confidence_is_more_expensive():
    trace, y = recorded(2000, skill=(1.0, 0.3, 0.25))
    spent = []
    for level in (0.5, 0.9, 0.999):
        policy = fitted(trace, y, max_accuracy_drop=0.05, confidence_level=level)
        spent.append(policy.tradeoff_.relative_cost[policy.tradeoff_index_])
    assert spent[0] <= spent[1] <= spent[2]
    assert spent[0] < spent[2]


def test_certified_max_cost():
    trace, y = recorded(3000, skill=WEAK)
    policy = fitted(trace, y, max_cost=0.5, confidence_level=0.9)
    points, at = policy.tradeoff_, policy.tradeoff_index_
    affordable = points.stage_cost <= 0.5
    assert points.accuracy[at] > points.stage_accuracy[affordable].max()
    assert len(policy.stages_) > 1
    new, _ = recorded(100_000, seed=1, skill=WEAK)
    assert COST.relative(COST.path_cost(walk(new, policy).visited)).mean() < 0.5  # the true cost
    with pytest.raises(ValueError, match="`max_cost`=0.05 cannot be reached"):
        fitted(trace, y, max_cost=0.05, confidence_level=0.9)


def test_nothing_certified_is_the_reference_alone_and_warns_how_many_rows_would_do():
    skill = (1.0, 0.3, 0.25)
    with pytest.warns(CascadeWarning, match="No operating point could be certified") as caught:
        policy = fitted(*recorded(100, skill=skill), max_accuracy_drop=0.05, confidence_level=0.99)
    assert policy.stages_ == [policy.tradeoff_.reference]
    n_rows = int(re.search(r"About (\d+) held-out rows", str(caught[0].message))[1])
    assert n_rows > 100
    more = recorded(3 * n_rows, seed=1, skill=skill)
    enough = fitted(*more, max_accuracy_drop=0.05, confidence_level=0.99)  # warns no more
    assert len(enough.stages_) > 1


def test_nothing_certified_where_no_number_of_rows_would_do():
    trace, y = recorded(100, skill=(9.0, 0.1), n_classes=2)
    trace = Trace(np.where(trace.proba >= 0.5, 0.9, 0.1))  # the confidence tells nothing
    with pytest.warns(CascadeWarning, match="more rows are unlikely to help"):
        policy = fitted(trace, y, cost=[1, 4], confidence_level=0.9)
    assert policy.stages_ == [1]


def test_nothing_certified_for_max_cost_is_the_best_stage_within_it():
    trace, y = recorded(40, skill=WEAK)
    with pytest.warns(CascadeWarning, match="No operating point could be certified"):
        policy = fitted(trace, y, max_cost=0.34, confidence_level=0.999)
    affordable = policy.tradeoff_.stage_accuracy[:2]
    assert policy.stages_ == [int(affordable.argmax())]


def test_certify_refuses_weights():
    trace, y = recorded(100, skill=WEAK)
    with pytest.raises(ValueError, match="cannot be combined with `sample_weight`"):
        fitted(trace, y, confidence_level=0.9, sample_weight=np.ones(100))


@pytest.mark.parametrize("loss", [-0.5, 1.5])
def test_certify_refuses_losses_without_bounds(loss):
    trace, y = recorded(100, skill=WEAK)
    losses = trace.losses(y)
    losses[3, 1] = loss
    trace = Trace(trace.proba, loss=losses)
    fitted(trace, y)  # fine where nothing is to be certified
    with pytest.raises(ValueError, match="`confidence_level` needs a `loss` between 0 and 1"):
        fitted(trace, y, confidence_level=0.9)


@pytest.mark.slow
@pytest.mark.parametrize("point", [{"max_accuracy_drop": 0.03}, {"max_cost": 0.5}])
def test_certified_points_keep_their_bound_in_the_population(point):
    """Of 200 draws of 400 rows, at most 20 % (and three standard deviations) break the bound."""
    population, y = recorded(40_000, skill=(1.0, 0.3, 0.25))
    losses = population.losses(y)
    rng = np.random.default_rng(0)
    broken = certified = 0
    for _ in range(200):
        rows = rng.integers(40_000, size=400)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            policy = fitted(population.rows(rows), y[rows], confidence_level=0.8, **point)
        route = walk(population, policy)
        certified += len(policy.stages_) > 1
        if "max_cost" in point:
            broken += COST.relative(COST.path_cost(route.visited)).mean() > 0.5
        else:
            reference = losses[:, policy.tradeoff_.reference].mean()
            broken += losses[np.arange(40_000), route.exit].mean() > reference + 0.03
    assert broken <= 200 * 0.2 + 3 * np.sqrt(200 * 0.2 * 0.8)
    assert certified > 50
