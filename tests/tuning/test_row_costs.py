"""Tuning, curves and certificates with costs of the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Memory

from skcascade import Trace, fit_policy, sample_size, select_members, tradeoff_curve, walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, WeightedBinary, _threshold
from skcascade.tuning._bound_tests import bound_test
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._tuning import Tuning

#: Whose means are exact: equal costs of the rows then have the very same shares.
COSTS = np.array([1.0, 2.0, 8.0])


class Sure(BaseExitPolicy):
    """A rule with nothing to fit, pruned by replay."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.8


POLICIES = {
    "joint": ConfidenceThreshold(),
    "per_stage": ConfidenceThreshold(tuning="per_stage"),
    "learned": WeightedBinary(skip=True, random_state=0),
    "fixed": Sure(),
}


def recorded(n=300, seed=0, skill=(2.0, 1.0, 0.5), n_classes=3):
    """Probabilities and codes. Stages know how sure they are; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def tokens(n, seed=0):
    """Costs of rows: long inputs cost more at all stages."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(0, 0.6, size=(n, 1)) * COSTS * rng.uniform(0.5, 1.5, size=(n, 3))


def long_inputs(n=2000, seed=0):
    """Half of the inputs are long: the cheap stage is unsure of them, and they cost ten times."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    long = rng.random(n) < 0.5
    confidence = np.where(long, rng.uniform(0.5, 0.8, n), rng.uniform(0.9, 1, n))
    right = np.stack([rng.random(n) < confidence, rng.random(n) < 0.99], axis=1)
    pred = np.where(right, y[:, np.newaxis], 1 - y[:, np.newaxis])
    cost = np.where(long, 10.0, 1.0)[:, np.newaxis] * [1.0, 20.0]
    proba = Trace.from_top1(pred, np.column_stack([confidence, np.full(n, 0.99)]), 2).proba
    return Trace(proba, cost=cost), y


def fitted(trace, y, policy=None, random_state=0, **kwargs):
    policy = ConfidenceThreshold() if policy is None else policy
    return fit_policy(policy, trace, y, random_state=random_state, **kwargs)


def assert_close(one, other):
    """Whether two curves are the same up to rounding."""
    for name in ("accuracy", "cost", "relative_cost", "exit_rates", "stage_cost", "oracle"):
        values = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(*values, rtol=0, atol=1e-12, err_msg=name)
    assert one.reference == other.reference


# Constant costs ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("point", [{"alpha": 0.05}, {"max_accuracy_drop": 0.02}, {"max_cost": 0.5}])
def test_equal_costs_of_the_rows_are_costs_of_the_stages(name, point):
    trace, y = recorded()
    vector = fitted(trace, y, POLICIES[name], cost=COSTS, **point)
    rows = fitted(trace, y, POLICIES[name], cost=np.tile(COSTS, (len(y), 1)), **point)
    assert rows.tradeoff_index_ == vector.tradeoff_index_
    assert_close(rows.tradeoff_, vector.tradeoff_)
    routes = walk(trace, rows), walk(trace, vector)
    np.testing.assert_array_equal(routes[0].visited, routes[1].visited)


@pytest.mark.parametrize("point", [{"max_accuracy_drop": 0.05}, {"max_cost": 0.4}, {"max_cost": 1}])
def test_equal_costs_of_the_rows_are_certified_alike(point):
    trace, y = recorded(1500)
    vector = fitted(trace, y, cost=COSTS, confidence_level=0.9, **point)
    rows = fitted(trace, y, cost=np.tile(COSTS, (1500, 1)), confidence_level=0.9, **point)
    assert rows.tradeoff_index_ == vector.tradeoff_index_
    one, other = (
        sample_size(trace, y, cost=cost, n_splits=2, random_state=0, **point)
        for cost in (COSTS, np.tile(COSTS, (1500, 1)))
    )
    for given_vector, given_rows in zip(one, other):
        np.testing.assert_allclose(given_rows, given_vector, atol=1e-12)


def test_equal_costs_where_rows_are_screened_and_the_last_stage_rejects(monkeypatch):
    monkeypatch.setattr(_threshold, "SCREEN_ROWS", 100)
    trace, y = recorded()
    trace = trace.with_reject(0.3)
    vector = fitted(trace, y, cost=COSTS, alpha=0.05)
    rows = fitted(trace, y, cost=np.tile(COSTS, (len(y), 1)), alpha=0.05)
    assert rows.tradeoff_index_ == vector.tradeoff_index_
    assert_close(rows.tradeoff_, vector.tradeoff_)
    np.testing.assert_array_equal(rows.thresholds_, vector.thresholds_)


def test_tradeoff_curve_of_equal_costs():
    trace, y = recorded()
    weight = np.arange(len(y)) % 3
    given = {"points": 4, "n_bootstrap": 20, "random_state": 0, "sample_weight": weight}
    one = tradeoff_curve(trace, None, y, cost=COSTS, **given)
    other = tradeoff_curve(trace, None, y, cost=np.tile(COSTS, (len(y), 1)), **given)
    assert_close(one, other)
    np.testing.assert_allclose(one.cost_band, other.cost_band, atol=1e-12)


# Costs that differ ------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.01, 0.1, 1.0]))
@settings(max_examples=25, deadline=None)
def test_order_of_the_rows_does_not_matter(seed, alpha):
    trace, y = recorded(60, seed)
    trace = Trace(trace.proba, cost=tokens(60, seed))
    order = np.random.default_rng(seed).permutation(60)
    cost = FixedCost(trace.cost.mean(axis=0)).fit(3)
    policy = ConfidenceThreshold().fit(trace, y, cost, alpha)
    again = ConfidenceThreshold().fit(trace.rows(order), y[order], cost, alpha)
    assert policy.stages_ == again.stages_
    np.testing.assert_allclose(policy.thresholds_, again.thresholds_, atol=1e-9)


def test_the_curve_is_what_the_rows_cost():
    trace, y = recorded(200)
    trace = Trace(trace.proba, cost=tokens(200))
    policy = fitted(trace, y, max_cost=0.6)
    curve, mean = policy.tradeoff_, trace.cost.mean(axis=0)
    np.testing.assert_allclose(curve.stage_cost, mean / mean[2])
    np.testing.assert_allclose(curve.cost[-3:], mean)
    assert curve.relative_cost[policy.tradeoff_index_] <= 0.6 + 1e-12
    losses = trace.losses(y)
    cheapest = [trace.cost[i][losses[i] == losses[i].min()].min() for i in range(200)]
    assert curve.oracle[0] == pytest.approx(np.mean(cheapest) / mean[2])
    tuning = Tuning(policy, trace, y, FixedCost(mean).fit(3))
    assert tuning.replay(policy).cost[0] == pytest.approx(walk(trace, policy).cost.mean())


def test_stages_alone_cost_what_the_rows_of_the_curve_cost():
    """Those of a test split, or of a fold, may be cheaper than those the unit comes from."""
    trace, y = recorded(400)
    trace = Trace(trace.proba, cost=tokens(400))
    mean = trace.cost.mean(axis=0)
    cost = FixedCost(mean).fit(3)
    search = Tuning(ConfidenceThreshold(), trace, y, cost, random_state=0).search(certified=True)
    expected = trace.cost[search.rows].mean(axis=0) / mean[2]
    np.testing.assert_allclose(search.curve.stage_cost, expected)
    np.testing.assert_allclose(search.curve.relative_cost[-3:], expected)
    cheap = np.argsort(trace.cost[:, 2])[:200]
    part = Tuning(ConfidenceThreshold(), trace.rows(cheap), y[cheap], cost)
    curve = part.replay(search.policies[search.alone(1)])
    np.testing.assert_allclose(curve.stage_cost, trace.cost[cheap].mean(axis=0) / mean[2])
    assert curve.relative_cost[0] == pytest.approx(curve.stage_cost[1])


def test_a_cached_search_depends_on_the_costs_of_the_rows(tmp_path):
    """Also where their means are equal."""
    trace, y = recorded(200)
    cost, memory = tokens(200), Memory(tmp_path, verbose=0)
    curves = [
        Tuning(
            ConfidenceThreshold(),
            Trace(trace.proba, cost=rows),
            y,
            FixedCost(COSTS).fit(3),
            None,
            0,
        )
        .search(memory=memory)
        .curve
        for rows in (cost, cost, cost[::-1])
    ]
    np.testing.assert_array_equal(curves[0].cost, curves[1].cost)
    assert (curves[0].cost != curves[2].cost).any()


def test_a_weight_of_zero_is_a_row_removed():
    trace, y = recorded(200)
    trace = Trace(trace.proba, cost=tokens(200))
    kept = np.arange(200) % 4 > 0
    halves = np.split(np.arange(200), 2)
    given = {"points": [0.3, 0.6], "by": "max_cost", "cv": [halves]}
    weighted = tradeoff_curve(trace, None, y, sample_weight=kept.astype(float), **given)
    part = np.flatnonzero(kept)
    given["cv"] = [(np.flatnonzero(part < 100), np.flatnonzero(part >= 100))]
    removed = tradeoff_curve(trace.rows(kept), None, y[kept], **given)
    np.testing.assert_allclose(weighted.stage_cost, removed.stage_cost, atol=1e-12)
    np.testing.assert_allclose(weighted.oracle, removed.oracle, atol=1e-12)


def test_long_inputs_keep_max_cost_only_with_their_own_costs():
    trace, y = long_inputs()
    unit = trace.cost[:, 1].mean()
    rows = fitted(trace, y, max_cost=0.6)
    assert walk(trace, rows).cost.mean() / unit <= 0.62
    vector = fitted(Trace(trace.proba), y, cost=trace.cost.mean(axis=0), max_cost=0.6)
    assert walk(trace, vector).cost.mean() / unit > 0.9


def test_thresholds_weigh_errors_against_the_costs_of_their_rows():
    """Half of the unsure rows are short: they are worth deferring, the long ones are not.

    One threshold serves both, and the mean over the unsure rows decides.
    """
    proba = [[[0.9, 0.1], [0.9, 0.1]]] * 50 + [[[0.6, 0.4], [0.1, 0.9]]] * 50
    y = [0] * 50 + [1] * 50
    alpha, cost = 0.5, np.array([[0.0, 1.0]] * 100)
    cost[50:, 1] = 3.0  # mean 2: relative costs .5 and 1.5, times alpha: .25 and .75
    policy = ConfidenceThreshold().fit(
        Trace(proba, cost=cost), y, FixedCost(cost.mean(axis=0)).fit(2), alpha
    )
    assert policy.stages_ == [0, 1]
    alpha = 0.7  # 1.05 for an error less
    policy = ConfidenceThreshold().fit(
        Trace(proba, cost=cost), y, FixedCost(cost.mean(axis=0)).fit(2), alpha
    )
    assert policy.stages_ == [0]


# The certificate --------------------------------------------------------------------------


def cost_test(trace, y, max_cost, policy=None):
    cost = FixedCost(trace.cost.mean(axis=0)).fit(trace.n_stages)
    policy = ConfidenceThreshold() if policy is None else policy
    search = Tuning(policy, trace, y, cost, random_state=0).search(certified=True)
    return bound_test(search, OperatingPoint(max_cost=max_cost), trace, y, cost), search


def test_values_are_clipped_at_the_largest_seen_while_tuning():
    trace, y = recorded(400)
    trace = Trace(trace.proba, cost=tokens(400))
    test, search = cost_test(trace, y, 0.6)
    relative = trace.cost / trace.cost[:, 2].mean()
    last, every = search.alone(2), search.policies[0]
    assert every.stages_ == [0, 1, 2]
    most = (relative.sum(axis=1) + 0.6 * (1 - relative[:, 2]))[search.rows].max()
    assert test.upper(0) == pytest.approx(most)
    most = (relative[:, 2] + 0.6 * (1 - relative[:, 2]))[search.rows].max()
    assert test.upper(last) == pytest.approx(most)
    for rows in (search.rows, search.test_rows):
        expected = np.minimum(relative[rows, 2] + 0.6 * (1 - relative[rows, 2]), most)
        np.testing.assert_allclose(test.values(last, rows)[:, 0], expected)
    trace.cost[search.test_rows[0]] *= 1000
    assert test.values(last, search.test_rows)[0, 0] == test.upper(last)


def test_the_bound_does_not_depend_on_the_unit():
    """What is tested is cost - max_cost * cost of the last stage, whatever its estimated mean."""
    trace, y = recorded(400)
    trace = Trace(trace.proba, cost=tokens(400))
    test, search = cost_test(trace, y, 0.6)
    unit = trace.cost[:, 2].mean()
    for index in test.order[:3]:
        route = walk(trace, search.policies[index])
        excess = route.cost - 0.6 * trace.cost[:, 2]
        values = test.values(index, np.arange(400))[:, 0]
        below = values < test.upper(index)
        np.testing.assert_allclose((values - 0.6)[below] * unit, excess[below], atol=1e-9)


def test_a_stage_whose_cost_is_uncertain_has_to_pass_the_test():
    """The cheap stage costs .5 or .1 of the last one by chance, and the bound is its mean."""
    trace, y = recorded(400, skill=(1.0, 0.3))
    cost = np.column_stack([np.linspace(0.1, 0.5, 400), np.ones(400)])
    search = cost_test(Trace(trace.proba, cost=cost), y, 0.5)[1]
    for rows in (search.rows, search.test_rows):
        cost[rows, 0] = np.where(np.arange(len(rows)) % 2, 0.1, 0.5)
    trace = Trace(trace.proba, cost=cost)
    mean = 0.3
    test, search = cost_test(trace, y, mean)
    assert test.order[0] == test.fallback == search.alone(0)
    assert test.p_value(test.fallback, 0.1) > 0.1
    with pytest.warns(CascadeWarning, match="No operating point could be certified"):
        fitted(trace, y, max_cost=mean, confidence_level=0.9)
    test, search = cost_test(trace, y, 0.5)  # all rows keep this bound
    assert search.alone(0) == test.fallback
    assert test.p_value(test.fallback, 0.001) == 0


def test_a_certified_mean_cost():
    trace, y = recorded(3000, skill=(1.0, 0.3, 0.25))
    trace = Trace(trace.proba, cost=tokens(3000))
    policy = fitted(trace, y, max_cost=0.6, confidence_level=0.9)
    assert len(policy.stages_) > 1
    new, _ = recorded(20_000, seed=1, skill=(1.0, 0.3, 0.25))
    new = Trace(new.proba, cost=tokens(20_000, seed=1))
    assert walk(new, policy).cost.mean() <= 0.6 * new.cost[:, 2].mean()


# What is accepted -------------------------------------------------------------------------


def test_costs_may_be_given_in_the_trace_or_as_an_argument():
    trace, y = recorded()
    cost = tokens(len(y))
    one = fitted(trace, y, cost=cost, alpha=0.05)
    other = fitted(Trace(trace.proba, cost=cost), y, alpha=0.05)
    np.testing.assert_array_equal(one.thresholds_, other.thresholds_)
    assert trace.cost is None  # the given one is left alone
    curves = (
        tradeoff_curve(trace, None, y, cost=cost, points=3, random_state=0),
        tradeoff_curve(Trace(trace.proba, cost=cost), None, y, points=3, random_state=0),
    )
    assert_close(*curves)


@pytest.mark.parametrize(
    "call",
    [
        lambda trace, y, **given: fitted(trace, y, **given),
        lambda trace, y, **given: tradeoff_curve(trace, None, y, points=2, **given),
        lambda trace, y, **given: sample_size(trace, y, **given),
        lambda trace, y, **given: select_members(trace, y, **given),
    ],
)
def test_costs_given_twice_or_never(call):
    trace, y = recorded()
    with_cost = Trace(trace.proba, cost=tokens(len(y)))
    for cost in (COSTS, tokens(len(y))):
        with pytest.raises(ValueError, match="the trace has costs of its rows"):
            call(with_cost, y, cost=cost)
    with pytest.raises(ValueError, match="`cost`"):
        call(trace, y)


def test_as_many_rows_as_stages():
    trace, y = recorded(3)
    with pytest.raises(ValueError, match=r"Give costs of rows as Trace\(..., cost=...\)"):
        fitted(trace, y, cost=np.tile(COSTS, (3, 1)))
    fitted(Trace(trace.proba, cost=np.tile(COSTS, (3, 1))), y)
    fitted(trace, y, cost=FixedCost(np.tile(COSTS, (3, 1))))


def test_costs_of_another_number_of_rows():
    trace, y = recorded()
    with pytest.raises(ValueError, match=r"\(n_samples, n_stages\) = \(300, 3\), got \(299, 3\)"):
        fitted(trace, y, cost=tokens(299))


def test_members_are_sorted_by_their_mean_cost():
    trace, y = recorded()
    cost = tokens(len(y))
    trace = Trace(trace.proba[:, ::-1], cost=cost[:, ::-1])
    found = select_members(trace, y, names=["large", "middle", "small"], random_state=0)
    assert found.order == [2, 1, 0]
    np.testing.assert_array_equal(found.trace.cost, cost)
    mean = cost.mean(axis=0)
    np.testing.assert_allclose(found.tradeoff.stage_cost, mean / mean[2])
    assert found.tradeoff.stage_names == ("small", "middle", "large")
