"""Costs of the rows: what is accepted, how they are cut, and what a route cost."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, walk
from skcascade.costs import FixedCost
from skcascade.evidence._row_costs import (
    given_costs,
    incurred,
    relative_edges,
    stage_costs,
    with_costs,
)
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold

#: Three samples, two stages, two classes.
PROBA = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.6, 0.4], [0.1, 0.9]], [[0.3, 0.7], [0.2, 0.8]]])
TOKENS = np.array([[2.0, 30.0], [4.0, 50.0], [8.0, 70.0]])


class Skipping(BaseExitPolicy):
    """Routes by the answers, any stage to any later one."""

    may_skip = True

    def route(self, stage, proba):
        n_stages = 4
        to = stage + 1 + (proba[:, stage, 0] * 1000).astype(int) % (n_stages - stage)
        return np.where(to == n_stages, -1, to)


@st.composite
def traces(draw):
    """Four stages, costs of the rows, and a number of rows per block."""
    n = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    first = rng.random((n, 4))
    cost = rng.integers(0, 50, size=(n, 4)) + [0, 0, 0, 1]
    return Trace(np.stack([first, 1 - first], axis=2), cost=cost), draw(st.integers(1, n))


# What is accepted -------------------------------------------------------------------------


def test_costs_are_floats_and_a_copy():
    tokens = TOKENS.astype(int)
    trace = Trace(PROBA, cost=tokens)
    assert trace.cost.dtype == np.float64
    np.testing.assert_array_equal(trace.cost, TOKENS)
    given = TOKENS.copy()
    trace = Trace(PROBA, cost=given)
    given[:] = -1
    np.testing.assert_array_equal(trace.cost, TOKENS)
    assert Trace(PROBA).cost is None


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (TOKENS[:2], r"must have the shape \(n_samples, n_stages\) = \(3, 2\), got \(2, 2\)"),
        ([1.0, 2.0], r"must have the shape .* got \(2,\)"),
        (-TOKENS, "finite numbers, 0 or more"),
        (TOKENS * [[1, np.nan]], "finite numbers, 0 or more"),
        (TOKENS * [[np.inf, 1]], "finite numbers, 0 or more"),
        (TOKENS * [1, 0], "the last stage must cost more than 0"),
        ([["a", "b"]] * 3, "`cost` must hold real numbers"),
    ],
)
def test_costs_that_are_none(cost, message):
    with pytest.raises(ValueError, match=message):
        Trace(PROBA, cost=cost)


def test_some_rows_may_be_free():
    cost = [[0, 0], [0, 1], [0, 0]]
    np.testing.assert_array_equal(Trace(PROBA, cost=cost).cost, cost)


def test_a_reject_stage_is_free():
    zeros = np.concatenate([PROBA, np.zeros((3, 1, 2))], axis=1)
    trace = Trace(zeros, has_reject=True, cost=TOKENS)
    np.testing.assert_array_equal(trace.cost, np.column_stack([TOKENS, [0, 0, 0]]))
    np.testing.assert_array_equal(Trace(PROBA, cost=TOKENS).with_reject(0.2).cost, trace.cost)
    np.testing.assert_array_equal(trace.with_reject(0.1).cost, trace.cost)
    with pytest.raises(ValueError, match=r"= \(3, 2\) without the reject stage, got \(3, 3\)"):
        given_costs(trace.cost, (3, 3), has_reject=True)


# How they are cut -------------------------------------------------------------------------


@pytest.mark.parametrize("index", [slice(1, 3), [2, 0], np.array([True, False, True])])
def test_rows(index):
    part = Trace(PROBA, cost=TOKENS, loss=TOKENS / 100).rows(index)
    np.testing.assert_array_equal(part.cost, TOKENS[index])
    np.testing.assert_array_equal(part.loss, TOKENS[index] / 100)
    np.testing.assert_array_equal(part.proba, np.float32(PROBA)[index])


def test_stages_blocks_pickles_and_top1():
    trace = Trace(PROBA, cost=TOKENS)
    np.testing.assert_array_equal(trace.select_stages([1, 0]).cost, TOKENS[:, [1, 0]])
    np.testing.assert_array_equal(trace.block(1, 2).cost, TOKENS[1:2])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(trace)).cost, TOKENS)
    top1 = Trace.from_top1([[0, 1]] * 3, [[0.7, 0.9]] * 3, n_classes=2, cost=TOKENS)
    np.testing.assert_array_equal(top1.cost, TOKENS)
    same = with_costs(Trace(PROBA), TOKENS)
    np.testing.assert_array_equal(same.cost, TOKENS)


def test_repr():
    trace = Trace(PROBA, cost=TOKENS)
    assert repr(trace) == "Trace(n_samples=3, n_stages=2, n_classes=2, mean_cost=[4.667, 50])"


# What a route cost ------------------------------------------------------------------------


@given(traces())
@settings(max_examples=100, deadline=None)
def test_walk_adds_up_the_stages_visited(case):
    trace, size = case
    route = walk(trace, Skipping())
    by_hand = [
        sum(trace.cost[i, k] for k in range(4) if route.visited[i, k])
        for i in range(trace.n_samples)
    ]
    np.testing.assert_array_equal(route.cost, by_hand)
    np.testing.assert_array_equal(walk(trace, Skipping(), batch_size=size).cost, by_hand)
    assert route.cost.sum() == sum(by_hand)


@given(traces(), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_rows_keep_their_costs_in_any_order(case, seed):
    trace, _ = case
    order = np.random.default_rng(seed).permutation(trace.n_samples)
    there = walk(trace.rows(order), Skipping()).cost
    np.testing.assert_array_equal(there, walk(trace, Skipping()).cost[order])


@given(traces())
@settings(max_examples=50, deadline=None)
def test_a_rule_does_not_read_them(case):
    trace, _ = case
    bare = Trace(trace.proba)
    with_cost, without = walk(trace, Skipping()), walk(bare, Skipping())
    for one, other in zip(with_cost[:3], without[:3]):
        np.testing.assert_array_equal(one, other)
    assert without.cost is None


def test_incurred_without_costs_of_the_rows():
    """Then the edges count: from stage 0 the last stage costs 19."""
    policy = ConfidenceThreshold().with_thresholds([0.8, np.inf])
    cost = FixedCost([[1, 20], [0, 19]]).fit(2)
    np.testing.assert_array_equal(incurred(walk(Trace(PROBA), policy), cost), [1, 20, 20])
    with_cost = walk(Trace(PROBA, cost=TOKENS), policy)
    np.testing.assert_array_equal(incurred(with_cost, cost), [2, 54, 78])


def test_to_frame_shows_the_cost():
    pytest.importorskip("pandas")
    policy = ConfidenceThreshold().with_thresholds([0.8, np.inf])
    frame = walk(Trace(PROBA, cost=TOKENS), policy).to_frame()
    assert frame["cost"].tolist() == [2, 54, 78]
    assert "cost" not in walk(Trace(PROBA), policy).to_frame()


# Stages and edges -------------------------------------------------------------------------


def test_stage_costs():
    cost = FixedCost([1, 25]).fit(2)
    np.testing.assert_array_equal(stage_costs(Trace(PROBA), cost), [1, 25])
    np.testing.assert_array_equal(stage_costs(Trace(PROBA, cost=TOKENS), cost), TOKENS)


def test_relative_edges():
    cost = FixedCost([1, 25]).fit(2)
    edges = relative_edges(Trace(PROBA), cost)
    np.testing.assert_array_equal(edges, [[0.04, 1], [np.nan, 1]])
    edges = relative_edges(Trace(PROBA, cost=TOKENS), cost)
    assert edges.shape == (2, 2, 3)
    for source, stage in [(0, 0), (0, 1), (1, 1)]:
        np.testing.assert_array_equal(edges[source, stage], TOKENS[:, stage] / 25)
