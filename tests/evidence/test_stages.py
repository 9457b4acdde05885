"""Live evidence: columns, errors, what is run for which rows, what is cached and freed."""

import asyncio
import gc
import weakref
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from skcascade import EXIT, Trace, awalk, steps, walk
from skcascade.evidence._stages import CachedState, Live, Stages, num_rows, take
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold

C = 3


class Answering:
    """A member of one stage that answers a given function of X."""

    n_exits = 1

    def __init__(self, answer, labels=None):
        self.answer, self.labels = answer, labels

    def step(self, exit, X, cached):
        assert (exit, cached) == (0, None)
        return self.answer(X), None


class State:
    """What `Net` caches: `state[index]` selects rows, and nothing else is known of it."""

    alive = weakref.WeakSet()

    def __init__(self, hidden):
        self.hidden = hidden
        State.alive.add(self)

    def __getitem__(self, index):
        return State(self.hidden[index])


class Net:
    """A member whose exits are layers; notes (from exit, to exit) of every row it runs.

    Every operation works on rows on their own and rounds alike in every batch, so answers
    can be compared bit by bit.
    """

    labels = None

    def __init__(self, n_exits=1, seed=0):
        self.n_exits = n_exits
        self.slope, self.shift = np.random.default_rng(seed).uniform(0.3, 2, (2, n_exits, C))
        self.ran = Counter()

    def forward(self, X, first, last):
        """Hidden layers `first` to `last`."""
        for layer in range(first, last + 1):
            X = np.abs(X * self.slope[layer] - self.shift[layer])
        return X

    def head(self, hidden):
        return hidden / hidden.sum(axis=1, keepdims=True)

    def step(self, exit, X, cached):
        assert cached is None or len(cached.state.hidden) == len(X)
        source = -1 if cached is None else cached.exit
        hidden = X if cached is None else cached.state.hidden
        hidden = self.forward(hidden, source + 1, exit)
        self.ran[source, exit] += len(X)
        return self.head(hidden), State(hidden) if exit < self.n_exits - 1 else None


class Scatter(BaseExitPolicy):
    """Sends every row anywhere ahead, as the digits of its probabilities say."""

    def __init__(self, n_stages, stages=None):
        self.n_stages = n_stages
        self.stages_ = stages

    def route(self, stage, proba):
        in_use = range(self.n_stages) if self.stages_ is None else self.stages_
        targets = np.array([EXIT, *(k for k in in_use if k > stage)])
        return targets[(np.nan_to_num(proba).sum(axis=1)[:, 0] * 1e4).astype(int) % len(targets)]


class Follow(BaseExitPolicy):
    """Sends row i along `routes[i]`."""

    def __init__(self, routes):
        self.routes = routes

    def route(self, stage, proba):
        return np.array([path[path.index(stage) + 1] for path in self.routes if stage in path])


def nets(*n_exits, seed=0):
    members = [(f"m{i}", Net(n, seed + i)) for i, n in enumerate(n_exits)]
    return Stages(members, range(C))


def samples(n, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 3, (n, C))


def full_pass(stages, X):
    """The answer of every stage for every row, each run from the input."""
    answers = [
        net.head(net.forward(X, 0, exit))
        for _, net in stages.members
        for exit in range(net.n_exits)
    ]
    return np.stack(answers, axis=1).astype(np.float32)


def runs_expected(stages, visited):
    """Rows to be run from each exit to each exit of each member, if nothing is run twice."""
    expected = {name: Counter() for name, _ in stages.members}
    for row in visited:
        at = {}  # member -> the exit last visited
        for stage in np.flatnonzero(row):
            name, exit = stages.names[stage].split(":")[0], stages.get_exit(stage)
            expected[name][at.get(name, -1), exit] += 1
            at[name] = exit
    return expected


# Columns and errors -----------------------------------------------------------------------


def test_names_and_counts():
    stages = nets(1, 3, 2)
    assert stages.names == ["m0", "m1:0", "m1:1", "m1:2", "m2:0", "m2:1"]
    assert (stages.n_stages, stages.n_classes) == (6, 3)
    assert [list(stages.earlier_exits(k)) for k in range(6)] == [[], [], [1], [2, 1], [], [4]]


@pytest.mark.parametrize(
    ("labels", "answer", "aligned"),
    [
        (None, [0.1, 0.2, 0.7], [0.1, 0.2, 0.7]),
        (["ant", "bee", "cat"], [0.1, 0.2, 0.7], [0.1, 0.2, 0.7]),
        (["cat", "ant", "bee"], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1]),
        (["ant", "cat"], [0.4, 0.6], [0.4, 0.0, 0.6]),  # never saw a bee
        (["cat", "ant"], [0.4, 0.6], [0.6, 0.0, 0.4]),
        (["bee"], [1.0], [0.0, 1.0, 0.0]),
    ],
)
def test_columns_by_label(labels, answer, aligned):
    labels = None if labels is None else np.array(labels)
    member = Answering(lambda X: np.tile(answer, (len(X), 1)), labels)
    stages = Stages([("m", member)], ["ant", "bee", "cat"])
    proba, state = stages.step(0, np.zeros((2, 1)))
    np.testing.assert_array_equal(proba, [aligned, aligned])
    assert state is None


def test_label_that_y_lacks():
    known = Answering(None, np.array(["ant", "dodo", "bee"]))
    with pytest.raises(ValueError, match=r"'old' knows classes that `y` lacks: \['dodo'\]"):
        Stages([("new", Answering(None)), ("old", known)], ["ant", "bee"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answer_that_is_no_number(value, dtype):
    def answer(X):
        proba = np.full((len(X), 2), 0.5, dtype=dtype)
        proba[-1, 0] = value
        return proba

    stages = Stages([("good", Answering(lambda X: X)), ("bad", Answering(answer))], [0, 1])
    X = np.full((4, 2), 0.5)
    stages.step(0, X)
    with pytest.raises(ValueError, match="Member 'bad' answered NaN or infinity"):
        stages.step(1, X)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ([3.0, -4.0], "numbers from -4 to 3"),
        ([0.5, 0.2], "rows that add up to 0.7"),
        ([0.0, 0.0], "rows that add up to 0 to 1"),
        ([1, 0], None),
        ([True, False], "values of type bool"),
        ([0.5 + 1j, 0.5], "values of type complex128"),
    ],
)
def test_answer_that_is_no_probability(answer, match):
    """Also of one row among many."""
    rows = np.array([[1, 0]] * 9 + [answer]).astype(np.asarray(answer).dtype)
    stages = Stages([("bad", Answering(lambda X: rows))], [0, 1])
    if match is None:
        stages.step(0, np.ones((10, 2)))
        return
    with pytest.raises(ValueError, match=f"Member 'bad' answered {match}"):
        stages.step(0, np.ones((10, 2)))


def test_answer_in_half_precision():
    """Of so many rows that float16 cannot count them."""
    stages = Stages([("half", Answering(lambda X: X))], [0, 1])
    half = np.tile(np.array([1, 0], dtype=np.float16), (70_000, 1))
    assert stages.step(0, half)[0] is half


@pytest.mark.parametrize("labels", [None, np.array([0, 2]), np.array([2, 1, 0])])
@pytest.mark.parametrize("shape", [(4, 1), (4, 4), (3, 3), (3, 2), (4,), (2,), (3,), (4, 3, 1)])
def test_answer_of_another_shape(labels, shape):
    """Also where NumPy would spread it over the columns of the member."""
    stages = Stages([("odd", Answering(lambda X: np.full(shape, 0.5), labels))], [0, 1, 2])
    with pytest.raises(ValueError, match="Member 'odd' answered probabilities of shape"):
        stages.step(0, np.zeros((4, 1)))


# What is run ------------------------------------------------------------------------------


def test_row_that_skips_continues_from_the_nearest_earlier_exit():
    stages = nets(4)
    routes = [[0, 1, 3, EXIT], [0, 3, EXIT], [0, 1, 2, 3, EXIT], [0, 1, EXIT], [0, 2, 3, EXIT]]
    routes += [[0, EXIT]]
    X = samples(6)
    route = walk(Live(stages, X), Follow(routes))
    assert route.exit.tolist() == [3, 3, 3, 1, 3, 0]
    assert stages.members[0][1].ran == {
        (-1, 0): 6,
        (0, 1): 3,
        (0, 2): 1,
        (1, 2): 1,
        (0, 3): 1,
        (1, 3): 1,
        (2, 3): 2,
    }
    np.testing.assert_array_equal(route.proba, full_pass(stages, X)[np.arange(6), route.exit])


def test_entering_late_starts_from_the_input():
    stages = nets(1, 3)
    policy = Follow([[2, 3, EXIT]] * 5)
    policy.stages_ = [2, 3]
    route = walk(Live(stages, samples(5)), policy)
    assert not stages.members[0][1].ran
    assert stages.members[1][1].ran == {(-1, 1): 5, (1, 2): 5}
    np.testing.assert_array_equal(route.proba, full_pass(stages, samples(5))[:, 3])


def test_another_member_in_between_changes_nothing():
    """State is cached past other stages, and no member continues from the state of another."""
    stages = nets(2, 1, 2)
    walk(Live(stages, samples(3)), Follow([[0, 1, 2, 3, 4, EXIT]] * 3))
    assert [net.ran for _, net in stages.members] == [
        {(-1, 0): 3, (0, 1): 3},
        {(-1, 0): 3},
        {(-1, 0): 3, (0, 1): 3},
    ]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 25),
    st.integers(1, 30),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=120, deadline=None)
def test_nothing_is_run_twice_and_answers_are_those_of_full_passes(
    n_exits, n, batch_size, some, seed
):
    rng = np.random.default_rng(seed)
    stages, X = nets(*n_exits, seed=seed % 1000), samples(n, seed)
    in_use = None
    if some:
        in_use = np.flatnonzero(rng.random(stages.n_stages) < 0.6).tolist() or [0]
    policy = Scatter(stages.n_stages, in_use)
    route = walk(Live(stages, X), policy, batch_size=batch_size)
    trace = Trace(full_pass(stages, X))
    for live, replayed in zip(route[:3], walk(trace, policy)[:3]):
        np.testing.assert_array_equal(live, replayed)
    ran = {name: net.ran for name, net in stages.members}
    assert ran == runs_expected(stages, route.visited)


async def awalk_live(live, policy):
    """The walk over live evidence that is awaited."""

    async def observe(stage, rows):
        await asyncio.sleep(0)
        return live.observe(stage, rows)

    return await awalk(observe, policy, live.n_samples, live.n_stages, live.n_classes)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 25),
    st.integers(1, 30),
    st.floats(0.3, 1.0) | st.none(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_steps_and_awalk_over_members_with_states_are_the_walk(
    n_exits, n, batch_size, threshold, seed
):
    """With skips, or with thresholds; each answer computed once, from the nearest state."""
    stages, X = nets(*n_exits, seed=seed % 1000), samples(n, seed)
    policy, answers = Scatter(stages.n_stages), full_pass(stages, X)
    if threshold is not None:
        policy = ConfidenceThreshold().with_thresholds([threshold] * stages.n_stages)
    walking = steps(policy, n, stages.n_stages, C)
    stage, rows = next(walking)
    with pytest.raises(StopIteration) as end:
        while True:
            stage, rows = walking.send(answers[rows, stage])
    whole = walk(Live(stages, X), policy)
    for _, net in stages.members:
        net.ran.clear()
    awaited = asyncio.run(awalk_live(Live(stages, X), policy))
    assert {name: net.ran for name, net in stages.members} == runs_expected(stages, whole.visited)
    in_blocks = walk(Live(stages, X), policy, batch_size=batch_size)
    for other in (end.value.value, awaited, in_blocks):
        for one, two in zip(whole[:3], other[:3]):
            np.testing.assert_array_equal(one, two)
            assert one.dtype == two.dtype


@given(st.lists(st.floats(0.3, 1.0), min_size=5, max_size=5), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_live_walk_is_the_replay_of_the_trace(thresholds, seed):
    stages, X = nets(1, 3, 1, seed=seed % 1000), samples(20, seed)
    policy = ConfidenceThreshold().with_thresholds(thresholds)
    recorded = Trace.record(stages, X)
    for live, replayed in zip(walk(Live(stages, X), policy)[:3], walk(recorded, policy)[:3]):
        np.testing.assert_array_equal(live, replayed)


def test_live_walk_of_classifiers_is_the_replay():
    X, y = load_iris(return_X_y=True)
    trees = [
        DecisionTreeClassifier(max_depth=d, random_state=0).fit(X[::2], y[::2]) for d in (1, 4)
    ]
    members = [
        (f"d{i}", Answering(tree.predict_proba, tree.classes_)) for i, tree in enumerate(trees)
    ]
    stages = Stages(members, [0, 1, 2])
    policy = ConfidenceThreshold().with_thresholds([0.9, np.inf])
    route, replay = walk(Live(stages, X), policy), walk(Trace.record(stages, X), policy)
    assert 0 < (route.exit == 0).sum() < len(X)
    for live, replayed in zip(route[:3], replay[:3]):
        np.testing.assert_array_equal(live, replayed)


# Recording --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1, 3, 100])
def test_record_is_every_stage_one_step_after_another(batch_size):
    stages, X = nets(1, 3), samples(7)
    trace = Trace.record(stages, X, classes=["a", "b", "c"], batch_size=batch_size)
    net = stages.members[1][1]
    assert net.ran == {(-1, 0): 7, (0, 1): 7, (1, 2): 7}
    np.testing.assert_array_equal(trace.proba, full_pass(stages, X))
    cached = None
    for exit in range(3):
        proba, state = stages.step(1 + exit, X, cached)
        np.testing.assert_array_equal(trace.proba[:, 1 + exit], proba.astype(np.float32))
        cached = CachedState(exit, state)
    assert trace.codes(["b"] * 7).tolist() == [1] * 7


def test_record_keeps_the_loss():
    trace = Trace.record(nets(1), samples(2), loss=[[0.25], [0.5]])
    assert trace.losses([0, 0]).tolist() == [[0.25], [0.5]]


# Freeing states -------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["walk", "record"])
def test_state_is_freed_after_each_block(run):
    """When a block is entered, nothing that an earlier block cached is alive."""
    stages = nets(3)
    net, at_entry = stages.members[0][1], []

    def step(exit, X, cached):
        if exit == 0:
            gc.collect()
            at_entry.append(len(State.alive))
        return Net.step(net, exit, X, cached)

    net.step = step
    gc.collect()
    assert len(State.alive) == 0
    if run == "walk":
        policy = ConfidenceThreshold().with_thresholds(np.full(3, np.inf))
        walk(Live(stages, samples(10)), policy, batch_size=4)
    else:
        Trace.record(stages, samples(10), batch_size=4)
    gc.collect()
    assert at_entry == [0, 0, 0]
    assert len(State.alive) == 0


# One edge -----------------------------------------------------------------------------------


def test_call_runs_one_edge():
    stages, X = nets(1, 3), samples(4)
    call = stages.call(1, 3, X)
    net = stages.members[1][1]
    assert (call.name, call.member, call.exit, call.cached.exit) == ("m1", net, 2, 0)
    net.ran.clear()
    proba, _ = call()
    assert net.ran == {(0, 2): 4}
    np.testing.assert_array_equal(proba.astype(np.float32), full_pass(stages, X)[:, 3])
    other = call.on(samples(6, seed=1))
    assert len(other.cached.state.hidden) == 6
    assert stages.call(0, 3, X).cached is None  # another member's stage caches nothing
    assert stages.call(None, 3, X).cached is None


# Rows of anything -------------------------------------------------------------------------

NUMBERS = np.arange(12).reshape(4, 3)
WORDS = ["ant", "bee", "cat", "dog"]
LABELS = [3, 2, 1, 0]  # an index that would mislead
KINDS = {
    "ndarray": (NUMBERS, lambda X: X.tolist()),
    "images": (NUMBERS.reshape(4, 3, 1, 1), lambda X: X[:, :, 0, 0].tolist()),
    "list": (WORDS, list),
    "csr_array": (csr_array(NUMBERS), lambda X: X.toarray().tolist()),
    "csr_matrix": (csr_matrix(NUMBERS), lambda X: X.toarray().tolist()),
    "pandas": (pd.DataFrame(NUMBERS, LABELS, list("abc")), lambda X: X.to_numpy().tolist()),
    "pandas.Series": (pd.Series(WORDS, LABELS), lambda X: X.tolist()),
    "polars": (pl.DataFrame(NUMBERS, list("abc"), orient="row"), lambda X: X.to_numpy().tolist()),
    "polars.Series": (pl.Series(WORDS), lambda X: X.to_list()),
    "tensor": (torch.as_tensor(NUMBERS), lambda X: X.tolist()),
    "dict": ({"x": NUMBERS, "w": np.array(WORDS)}, lambda X: [X["x"].tolist(), X["w"].tolist()]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", [slice(1, 3), slice(0, 4), np.array([0, 2]), np.array([3])])
def test_take_and_num_rows(kind, index):
    X, content = KINDS[kind]
    part = take(X, index)
    if kind == "dict":
        expected = [NUMBERS[index].tolist(), np.array(WORDS)[index].tolist()]
    elif isinstance(content(X)[0], str):
        expected = np.array(WORDS)[index].tolist()
    else:
        expected = NUMBERS[index].tolist()
    assert content(part) == expected
    assert type(part) is type(X)
    assert num_rows(X) == 4
    assert num_rows(part) == len(np.arange(4)[index])


@pytest.mark.parametrize("kind", ["list", "pandas.Series", "pandas", "csr_array", "tensor", "dict"])
def test_live_of_any_kind_of_rows(kind):
    """The rows that a member gets are the rows that reached it."""
    X, content = KINDS[kind]
    got = []

    def first(X):
        return np.array([[0.9, 0.1], [0.6, 0.4], [0.9, 0.1], [0.6, 0.4]])

    def second(X):
        got.append(content(X))
        return np.full((num_rows(X), 2), 0.5)

    stages = Stages([("first", Answering(first)), ("second", Answering(second))], [0, 1])
    policy = ConfidenceThreshold().with_thresholds([0.8, np.inf])
    route = walk(Live(stages, X), policy)
    assert route.exit.tolist() == [0, 1, 0, 1]
    assert got == [content(take(X, np.array([1, 3])))]
