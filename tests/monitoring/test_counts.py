"""Counts of exits, moves and agreement, from walks and from logs."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import EXIT, ExitMonitor, Trace, walk
from skcascade.monitoring._counts import CountingEvidence, Counts, chain, check_exits, check_visited
from skcascade.policies import BaseExitPolicy


class Sure(BaseExitPolicy):
    """Exits where the most likely class reaches 0.9."""

    def __init__(self, stages=None):
        self.stages = stages
        self.stages_ = stages

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.9


class Scatter(Sure):
    """Sends every row to any later stage, by the digits of its probabilities."""

    def route(self, stage, proba):
        routes = np.array([EXIT, *(k for k in self.stages or range(5) if k > stage)])
        return routes[(proba[:, stage].max(axis=1) * 1e4).astype(int) % len(routes)]


def random_trace(n, n_stages=5, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return Trace(rng.dirichlet(np.full(n_classes, 0.3), size=(n, n_stages)))


def same_counts(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


@st.composite
def traces_and_policies(draw):
    """A random trace of five stages, and a chain or a DAG over some of them."""
    trace = random_trace(draw(st.integers(1, 60)), seed=draw(st.integers(0, 2**32 - 1)))
    stages = draw(st.none() | st.sets(st.integers(0, 4), min_size=2).map(sorted))
    return trace, draw(st.sampled_from([Sure, Scatter]))(stages)


# Walks ---------------------------------------------------------------------------------


def test_counts_by_hand():
    sure, torn, other = [0.95, 0.05], [0.6, 0.4], [0.4, 0.6]
    trace = Trace(
        [
            [sure, other, other],
            [torn, sure, other],
            [torn, other, sure],
            [other, other, other],
        ]
    )
    seen = ExitMonitor(Sure(), trace).held_out
    assert seen.n_samples == 4
    assert seen.reach.tolist() == [4, 3, 2]
    assert seen.exits.tolist() == [1, 1, 2]
    assert seen.moves.tolist() == [[0, 3, 0], [0, 0, 2], [0, 0, 0]]
    assert seen.agree.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]
    assert seen.rate(None, 1) == (1, 3)
    assert seen.rate(0, 1) == (2, 3)


@given(traces_and_policies())
@settings(max_examples=100, deadline=None)
def test_counts_are_those_of_the_rows_one_by_one(case):
    trace, policy = case
    counts = Counts(5)
    counted = walk(CountingEvidence(trace, counts), policy)
    plain = walk(trace, policy)
    for mine, theirs in zip(counted[:3], plain[:3]):
        np.testing.assert_array_equal(mine, theirs)
    moves, agree = np.zeros((2, 5, 5), dtype=int)
    for top, visited in zip(trace.proba.argmax(axis=2), plain.visited):
        stops = np.flatnonzero(visited)
        for j, k in pairwise(stops):
            moves[j, k] += 1
            agree[j, k] += top[j] == top[k]
    np.testing.assert_array_equal(counts.moves, moves)
    np.testing.assert_array_equal(counts.agree, agree)


@given(traces_and_policies(), st.lists(st.integers(0, 60), max_size=5), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_batches_and_order_do_not_change_counts(case, bounds, seed):
    trace, policy = case
    whole, parts = (ExitMonitor(policy, random_trace(200)) for _ in range(2))
    whole.walk(trace)
    order = np.random.default_rng(seed).permutation(trace.n_samples)
    for rows in np.split(order, sorted(min(bound, trace.n_samples) for bound in bounds)):
        parts.walk(trace.rows(rows))
    assert same_counts(whole.seen, parts.seen)
    assert parts.n_samples == trace.n_samples


@given(traces_and_policies(), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_order_in_a_batch_changes_nothing(case, seed):
    trace, policy = case
    mixed = trace.rows(np.random.default_rng(seed).permutation(trace.n_samples))
    a, b = (ExitMonitor(policy, random_trace(200), false_alarm_rate=0.9) for _ in range(2))
    for _ in range(3):
        a.walk(trace)
        b.walk(mixed)
    assert a.events == b.events
    assert a.report() == b.report()


def test_rejected_samples_agree_with_nothing():
    trace = random_trace(300, n_stages=2).with_reject(0.2)
    monitor = ExitMonitor(Sure(), trace)
    assert monitor.held_out.reach[2] > 0
    assert monitor.rates == [(None, 0), (0, 1), (None, 1)]


def test_no_rows_change_nothing():
    monitor = ExitMonitor(Sure(), random_trace(50))
    monitor.walk(random_trace(5).rows(slice(0, 0)))
    monitor.update([])
    assert monitor.n_samples == 0
    assert not monitor.alarm


def test_added_counts_are_those_of_all_samples():
    parts, whole = [Counts(3), Counts(3)], Counts(3)
    routes = random_trace(40, 3), random_trace(30, 3, seed=1)
    for trace, part in zip(routes, parts):
        for counts in (part, whole):
            route = walk(CountingEvidence(trace, counts), Sure())
            counts.add_routes(route.exit, route.visited)
    parts[0].add(parts[1])
    assert same_counts(parts[0], whole)
    assert whole.n_samples == 70


# Logs ----------------------------------------------------------------------------------


@given(traces_and_policies())
@settings(max_examples=100, deadline=None)
def test_logged_exits_count_as_walked_ones(case):
    trace, policy = case
    walked, logged = (ExitMonitor(policy, random_trace(200)) for _ in range(2))
    route = walked.walk(trace)
    logged.update(route.exit, route.visited)
    if type(policy) is Sure:
        walked.walk(trace)
        logged.update(route.exit.tolist())
    for name in ("n_samples", "reach", "exits"):
        np.testing.assert_array_equal(getattr(logged.seen, name), getattr(walked.seen, name))
    assert not logged.seen.moves.any()


@pytest.mark.parametrize(
    ("exits", "match"),
    [
        ([[0]], "`exits` must be stage indices"),
        ([0.0], "`exits` must be stage indices"),
        ([True], "`exits` must be stage indices"),
        (["a"], "`exits` must be stage indices"),
        (0, "`exits` must be stage indices"),
        ([0, 5], r"among the stages in use, \[0, 1, 3\], got \[5\]"),
        ([2], r"among the stages in use, \[0, 1, 3\], got \[2\]"),
        ([-1], r"got \[-1\]"),
    ],
)
def test_bad_exits(exits, match):
    monitor = ExitMonitor(Sure([0, 1, 3]), random_trace(50))
    with pytest.raises(ValueError, match=match):
        monitor.update(exits)
    assert monitor.n_samples == 0


@pytest.mark.parametrize(
    ("visited", "match"),
    [
        ([[1, 1]], "of the shape"),
        ([[1, 1, 0, 2, 0]], "of the shape"),
        ([1, 1, 0, 1, 0], "of the shape"),
        ([[1, 1, 0, 0, 0]], "does not match `exits`"),  # not its exit
        ([[0, 1, 0, 1, 0]], "does not match `exits`"),  # not the first
        ([[1, 0, 1, 1, 0]], "does not match `exits`"),  # one not in use
        ([[1, 0, 0, 1, 1]], "does not match `exits`"),  # one after its exit
    ],
)
def test_bad_visited(visited, match):
    monitor = ExitMonitor(Sure([0, 1, 3]), random_trace(50))
    with pytest.raises(ValueError, match=match):
        monitor.update([3], visited)


def test_checked_logs_are_integers_and_booleans():
    exits = check_exits([0, 3], [0, 1, 3])
    assert exits.dtype == np.intp
    visited = check_visited([[1, 0, 0, 0], [1, 0, 0, 1]], exits, [0, 1, 3], 4)
    assert visited.dtype == bool
    assert chain(exits, [0, 1, 3], 4).tolist() == [[True, *[False] * 3], [True, True, False, True]]
