"""The walk as a generator and as a coroutine, for all policies."""

import asyncio
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skcascade import EXIT, Trace, awalk, steps, walk
from skcascade.costs import FixedCost
from skcascade.evidence._walk import stages_in_use
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.policies._pruning import use_stages


class Sure(BaseExitPolicy):
    """Exits where the most likely class reaches `level`."""

    def __init__(self, level=0.9, stages=None):
        self.level = level
        self.stages = stages
        self.stages_ = stages

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= self.level


class Scatter(Sure):
    """Sends every row anywhere ahead, as the digits of its probabilities say."""

    def route(self, stage, proba):
        assert proba.shape[1] == stage + 1
        in_use = range(self.level) if self.stages is None else self.stages
        targets = np.array([EXIT, *(k for k in in_use if k > stage)])
        first = np.nan_to_num(proba[:, :, 0], nan=0.5)  # what was skipped matters too
        return targets[(first * 1e4).astype(int).sum(axis=1) % len(targets)]


def walk_of_one(trace, policy, i):
    """The route of row `i` alone, one stage at a time: (answer, exit, stages visited)."""
    in_use = stages_in_use(policy, trace.n_stages)
    seen = np.full((1, trace.n_stages, trace.n_classes), np.nan, dtype=np.float32)
    stage, visited = in_use[0], []
    while True:
        visited.append(stage)
        seen[0, stage] = trace.proba[i, stage]
        if stage == in_use[-1]:
            break
        to = int(policy.route(stage, seen[:, : stage + 1])[0])
        if to == EXIT:
            break
        stage = to
    return seen[0, stage], stage, visited


# The walk, step by step -------------------------------------------------------------------

#: Policies to be fitted; those without anything to learn are ready as they are.
POLICIES = {
    "calibrated": ConfidenceThreshold(),
    "uncalibrated": ConfidenceThreshold("margin", per_class=False),
    "per stage": ConfidenceThreshold(tuning="per_stage"),
    "chain": WeightedBinary(random_state=0),
    "skip": WeightedBinary(skip=True, random_state=0),
    "heads": Reinforce(hidden=(4,), random_state=0),
    "exit_mask": Sure(0.7),
    "route": Scatter(4),
}


#: Answers of four stages for four kinds of samples, of the classes 0, 1, 2 and 1.
ANSWERS = np.array(
    [
        [[0.9, 0.05, 0.05]] * 4,
        [[0.65, 0.25, 0.1], [0.05, 0.9, 0.05], [0.05, 0.9, 0.05], [0.05, 0.9, 0.05]],
        [[0.5, 0.1, 0.4], [0.45, 0.3, 0.25], [0.05, 0.05, 0.9], [0.05, 0.05, 0.9]],
        [[0.4, 0.32, 0.28], [0.45, 0.35, 0.2], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1]],
    ]
)


@cache
def fitted(name, reject):
    """A policy over four stages, the last of which may reject."""
    trace, y = skilled(300, 0, reject)
    return clone(POLICIES[name]).fit(trace, y, FixedCost([1, 3, 9, 20]).fit(4), 0.05)


def skilled(n, seed, reject):
    """Samples of four kinds, each of which has its stage; or three stages and a reject stage."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(4, n, p=[0.4, 0.2, 0.2, 0.2])
    proba = ANSWERS[kind] * np.exp(0.2 * rng.normal(size=(n, 4, 3)))
    trace = Trace(proba / proba.sum(axis=2, keepdims=True))
    trace = trace.select_stages(range(3)).with_reject(0.2) if reject else trace
    return trace, np.array([0, 1, 2, 1])[kind]


def drive(policy, trace):
    """The walk by `steps`, and the requests that it made."""
    walking, requests = steps(policy, trace.n_samples, trace.n_stages, trace.n_classes), []
    try:
        request = next(walking)
        while True:
            requests.append(request)
            stage, rows = request
            request = walking.send(trace.proba[rows, stage])
    except StopIteration as end:
        return end.value, requests


@pytest.mark.parametrize("reject", [False, True], ids=["", "reject"])
@pytest.mark.parametrize("name", POLICIES)
def test_policies_that_are_compared_use_several_stages(name, reject):
    route = walk(skilled(300, 0, reject)[0], fitted(name, reject))
    assert (np.bincount(route.exit, minlength=4) > 0).sum() > 2
    skips = (route.visited.sum(axis=1) <= route.exit).any()
    assert skips or name not in ("skip", "route")


@pytest.mark.parametrize("reject", [False, True], ids=["", "reject"])
@pytest.mark.parametrize("name", POLICIES)
@given(
    n=st.integers(1, 25),
    seed=st.integers(0, 2**32 - 1),
    stages=st.none() | st.sets(st.integers(0, 3), min_size=1).map(sorted),
    batch_size=st.integers(1, 25),
)
@settings(max_examples=25, deadline=None)
def test_steps_replay_the_walk_to_the_bit(name, reject, n, seed, stages, batch_size):
    """And both are the walk of every row alone, in blocks of any size."""
    trace, policy = skilled(n, seed, reject)[0], fitted(name, reject)
    if stages is not None and name != "route":
        policy = use_stages(policy, stages)
    by_hand, requests = drive(policy, trace)
    for whole, other in (
        (by_hand, walk(trace, policy)),
        (by_hand, walk(trace, policy, batch_size=batch_size)),
    ):
        for one, two in zip(whole[:3], other[:3]):
            np.testing.assert_array_equal(one, two)
            assert one.dtype == two.dtype
    for i in range(n):
        proba, stage, visited = walk_of_one(trace, policy, i)
        np.testing.assert_array_equal(by_hand.proba[i], proba)
        assert by_hand.exit[i] == stage
        assert np.flatnonzero(by_hand.visited[i]).tolist() == visited
    assert [stage for stage, _ in requests] == sorted({stage for stage, _ in requests})
    for stage, rows in requests:
        assert rows.tolist() == np.flatnonzero(by_hand.visited[:, stage]).tolist()


def test_each_stage_is_requested_once_although_some_rows_come_late():
    """Row 0 skips to stage 3 at once. Row 1 gets there over all stages, one by one."""

    class Routes(BaseExitPolicy):
        def route(self, stage, proba):
            return {0: np.array([3, 1]), 1: np.array([2]), 2: np.array([3])}.get(
                stage, np.full(len(proba), EXIT)
            )

    trace = Trace(np.full((2, 5, 2), 0.5))
    route, requests = drive(Routes(), trace)
    assert [(stage, rows.tolist()) for stage, rows in requests] == [
        *((0, [0, 1]), (1, [1]), (2, [1]), (3, [0, 1]))
    ]
    assert route.visited.astype(int).tolist() == [[1, 0, 0, 1, 0], [1, 1, 1, 1, 0]]


def test_steps_take_answers_as_lists():
    walking = steps(Sure(0.8), 2, 2, 2)
    assert next(walking)[0] == 0
    stage, rows = walking.send([[0.9, 0.1], [0.6, 0.4]])
    assert (stage, rows.tolist()) == (1, [1])
    with pytest.raises(StopIteration) as end:
        walking.send([[0.3, 0.7]])
    route = end.value.value
    assert route.exit.tolist() == [0, 1]
    np.testing.assert_array_equal(route.proba, np.float32([[0.9, 0.1], [0.3, 0.7]]))


@pytest.mark.parametrize("answer", [[[0.9, 0.1]], [0.9, 0.1], [[0.9], [0.6]], [[[0.9, 0.1]]] * 2])
@pytest.mark.parametrize("first", [True, False])
def test_an_answer_of_another_shape(answer, first):
    walking = steps(Sure(2.0), 2, 2, 2)
    next(walking)
    if not first:
        walking.send([[0.9, 0.1], [0.6, 0.4]])
    stage = 0 if first else 1
    with pytest.raises(ValueError, match=rf"stage {stage} must have the shape .* \(2, 2\), got"):
        walking.send(answer)


# Many walks at once -----------------------------------------------------------------------


@pytest.mark.parametrize("name", POLICIES)
def test_400_concurrent_walks_of_one_row_are_the_walk_of_all(name):
    trace, policy = skilled(400, 1, True)[0], fitted(name, True)
    rng = np.random.default_rng(0)
    waiting = most = 0

    async def one(i):
        async def observe(stage, rows):
            nonlocal waiting, most
            assert rows.tolist() == [0]
            waiting += 1
            most = max(most, waiting)
            for _ in range(rng.integers(5)):
                await asyncio.sleep(0)
            waiting -= 1
            return trace.proba[[i], stage]

        return await awalk(observe, policy, 1, trace.n_stages, trace.n_classes)

    async def all_rows():
        return await asyncio.gather(*(one(i) for i in range(400)))

    routes, whole = asyncio.run(all_rows()), walk(trace, policy)
    assert most > 100  # they do wait at the same time
    for part, rows in zip(whole[:3], zip(*(route[:3] for route in routes))):
        np.testing.assert_array_equal(np.concatenate(rows), part)


@pytest.mark.parametrize("batch_size", [1, 7, 400])
def test_concurrent_walks_of_batches(batch_size):
    trace, policy = skilled(400, 2, False)[0], fitted("skip", False)

    async def one(start):
        block = trace.block(start, min(start + batch_size, 400))

        async def observe(stage, rows):
            await asyncio.sleep(0)
            return block.observe(stage, rows)

        return await awalk(observe, policy, block.n_samples, 4, 3)

    async def all_batches():
        return await asyncio.gather(*(one(start) for start in range(0, 400, batch_size)))

    routes = asyncio.run(all_batches())
    np.testing.assert_array_equal(
        np.concatenate([r.exit for r in routes]), walk(trace, policy).exit
    )


def test_awalk_checks_the_shape_of_an_answer():
    async def observe(stage, rows):
        return np.full((len(rows), 3), 1 / 3)

    with pytest.raises(ValueError, match=r"answer of stage 0 must have the shape"):
        asyncio.run(awalk(observe, Sure(), 2, 2, 2))
