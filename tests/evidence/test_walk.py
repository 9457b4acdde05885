"""The walk: compared with one row at a time, and with what each stage was asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

from skcascade import EXIT, CascadeClassifier, Trace, Walk, walk
from skcascade.evidence._walk import stages_in_use
from skcascade.policies import BaseExitPolicy


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


class Send(BaseExitPolicy):
    """Answers `route` by a given function of (stage, proba)."""

    def __init__(self, to, stages=None):
        self.to = to
        self.stages_ = stages

    def route(self, stage, proba):
        return self.to(stage, proba)


class Counting:
    """A trace that notes which of its rows every stage is asked for."""

    def __init__(self, trace, asked, start=0):
        self.trace, self.asked, self.start = trace, asked, start
        self.n_samples, self.n_stages, self.n_classes = trace.proba.shape

    def block(self, start, stop):
        return Counting(self.trace.block(start, stop), self.asked, start)

    def observe(self, stage, rows):
        self.asked[rows + self.start, stage] += 1
        return self.trace.observe(stage, rows)


def random_trace(n, n_stages, n_classes, seed):
    rng = np.random.default_rng(seed)
    return Trace(rng.dirichlet(np.full(n_classes, 0.5), size=(n, n_stages)))


@st.composite
def traces_and_policies(draw):
    """A random trace, and a policy that uses some of its stages: a chain, or a DAG."""
    n, n_stages = draw(st.integers(1, 30)), draw(st.integers(1, 5))
    trace = random_trace(n, n_stages, draw(st.integers(1, 4)), draw(st.integers(0, 2**32 - 1)))
    stages = draw(st.none() | st.sets(st.integers(0, n_stages - 1), min_size=1).map(sorted))
    if draw(st.booleans()):
        return trace, Scatter(n_stages, stages)
    return trace, Sure(draw(st.floats(0.3, 1.0)), stages)


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


# By hand ----------------------------------------------------------------------------------


def test_chain_by_hand():
    trace = Trace(
        [
            [[0.95, 0.05], [0.5, 0.5], [0.5, 0.5]],
            [[0.60, 0.40], [0.1, 0.9], [0.5, 0.5]],
            [[0.60, 0.40], [0.6, 0.4], [0.7, 0.3]],
        ]
    )
    route = walk(trace, Sure(0.9))
    assert isinstance(route, Walk)
    assert route.exit.tolist() == [0, 1, 2]
    assert route.visited.tolist() == [[True, False, False], [True, True, False], [True] * 3]
    np.testing.assert_array_equal(route.proba, trace.proba[[0, 1, 2], [0, 1, 2]])


def test_level_that_is_just_reached_exits():
    assert walk(Trace([[[0.75, 0.25], [0.5, 0.5]]]), Sure(0.75)).exit.tolist() == [0]


@pytest.mark.parametrize(
    ("stages", "visited", "exits"),
    [
        (None, [[1, 0, 0], [1, 1, 1]], [0, 2]),
        ([0, 2], [[1, 0, 0], [1, 0, 1]], [0, 2]),
        ([1, 2], [[0, 1, 1], [0, 1, 1]], [2, 2]),  # entered late
        ([0, 1], [[1, 0, 0], [1, 1, 0]], [0, 1]),  # ends early
        ([2], [[0, 0, 1], [0, 0, 1]], [2, 2]),
        ((0, 2), [[1, 0, 0], [1, 0, 1]], [0, 2]),  # any sequence
    ],
)
def test_stages_in_use(stages, visited, exits):
    trace = Trace([[[0.95, 0.05], [0.6, 0.4], [0.5, 0.5]], [[0.6, 0.4]] * 3])
    route = walk(trace, Sure(0.9, stages))
    assert route.visited.astype(int).tolist() == visited
    assert route.exit.tolist() == exits


def test_skipped_stages_are_nan_to_the_policy():
    trace = random_trace(4, 4, 3, 0)
    seen = {}

    def to(stage, proba):
        seen[stage] = proba.copy()
        return {0: np.array([2, 1, 2, EXIT]), 1: np.array([3]), 2: np.array([3, EXIT])}[stage]

    route = walk(trace, Send(to))
    assert {stage: proba.shape for stage, proba in seen.items()} == {
        0: (4, 1, 3),
        1: (1, 2, 3),
        2: (2, 3, 3),
    }
    assert np.isnan(seen[2][:, 1]).all()
    np.testing.assert_array_equal(seen[2][:, [0, 2]], trace.proba[[0, 2]][:, [0, 2]])
    np.testing.assert_array_equal(seen[1], trace.proba[[1], :2])
    assert route.exit.tolist() == [3, 3, 2, 0]
    assert route.visited.astype(int).tolist() == [
        [1, 0, 1, 1],
        [1, 1, 0, 1],
        [1, 0, 1, 0],
        [1, 0, 0, 0],
    ]


def test_rows_from_several_stages_meet_in_order():
    """Rows 1 and 3 get to the last stage by another route than rows 0 and 2."""
    trace = random_trace(4, 3, 2, 1)
    targets = {0: np.array([1, 2, 1, 2]), 1: np.array([2, 2])}
    route = walk(trace, Send(lambda stage, proba: targets[stage]))
    np.testing.assert_array_equal(route.proba, trace.proba[:, 2])
    assert route.visited[:, 1].tolist() == [True, False, True, False]


def test_last_stage_in_use_never_asks_the_policy():
    asked = []

    def to(stage, proba):
        asked.append(stage)
        return np.full(len(proba), 2 if stage == 0 else 3)

    route = walk(random_trace(5, 4, 2, 0), Send(to, stages=[0, 2]))
    assert asked == [0]
    assert (route.exit == 2).all()


def test_no_rows():
    route = walk(random_trace(3, 2, 4, 0).rows(slice(0, 0)), Sure())
    assert [part.shape for part in route[:3]] == [(0, 4), (0,), (0, 2)]


# Properties -------------------------------------------------------------------------------


@given(traces_and_policies())
@settings(max_examples=150, deadline=None)
def test_walk_is_the_walk_of_every_row_alone(case):
    trace, policy = case
    route = walk(trace, policy)
    for i in range(trace.n_samples):
        proba, stage, visited = walk_of_one(trace, policy, i)
        np.testing.assert_array_equal(route.proba[i], proba)
        assert route.exit[i] == stage
        assert np.flatnonzero(route.visited[i]).tolist() == visited


@given(traces_and_policies(), st.integers(1, 31))
@settings(max_examples=100, deadline=None)
def test_batch_size_changes_nothing(case, batch_size):
    trace, policy = case
    for whole, in_blocks in zip(
        walk(trace, policy)[:3], walk(trace, policy, batch_size=batch_size)[:3]
    ):
        np.testing.assert_array_equal(whole, in_blocks)
        assert whole.dtype == in_blocks.dtype


@given(traces_and_policies(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_order_and_batch_mates_change_nothing(case, seed):
    trace, policy = case
    rng = np.random.default_rng(seed)
    some = rng.permutation(trace.n_samples)[: rng.integers(1, trace.n_samples + 1)]
    for whole, part in zip(walk(trace, policy)[:3], walk(trace.rows(some), policy)[:3]):
        np.testing.assert_array_equal(whole[some], part)


@given(traces_and_policies(), st.integers(1, 31))
@settings(max_examples=100, deadline=None)
def test_each_stage_is_asked_once_for_exactly_the_rows_that_reach_it(case, batch_size):
    trace, policy = case
    asked = np.zeros((trace.n_samples, trace.n_stages), dtype=int)
    route = walk(Counting(trace, asked), policy, batch_size=batch_size)
    np.testing.assert_array_equal(asked, route.visited.astype(int))


@given(traces_and_policies())
@settings(max_examples=100, deadline=None)
def test_visited_agrees_with_exit_and_stages(case):
    trace, policy = case
    route = walk(trace, policy)
    in_use = stages_in_use(policy, trace.n_stages)
    last_visited = trace.n_stages - 1 - route.visited[:, ::-1].argmax(axis=1)
    np.testing.assert_array_equal(route.exit, last_visited)
    assert route.visited[:, in_use[0]].all()
    unused = np.setdiff1d(np.arange(trace.n_stages), in_use)
    assert not route.visited[:, unused].any()


# A cascade --------------------------------------------------------------------------------


class Spy(GaussianNB):
    """Notes the rows of every call, by the name of the member."""

    calls = {}

    def __init__(self, name="", var_smoothing=1e-9):
        self.name = name
        super().__init__(var_smoothing=var_smoothing)

    def predict_proba(self, X):
        Spy.calls.setdefault(self.name, []).append(np.array(X))
        return super().predict_proba(X)


@pytest.fixture(scope="module")
def spied():
    """A cascade of members that note their calls, and samples."""
    X, y = load_iris(return_X_y=True)
    members = [("a", Spy("a", 0.5)), ("b", Spy("b", 0.1)), ("c", Spy("c"))]
    policy = Sure(0.8, [0, 1, 2])
    cascade = CascadeClassifier(members, policy=policy, cost=[1, 2, 4], random_state=0)
    cascade.fit(X, np.array(["x", "y", "z"])[y])
    cascade.policy_ = policy
    return cascade, X


def test_a_walk_runs_each_member_once_for_exactly_the_rows_that_visit_it(spied):
    cascade, X = spied
    Spy.calls.clear()
    route = cascade.walk(X)
    assert (np.bincount(route.exit, minlength=3) > 0).all()
    for stage, name in enumerate("abc"):
        (rows,) = Spy.calls[name]
        np.testing.assert_array_equal(rows, X[route.visited[:, stage]])


def test_a_member_that_no_row_visits_is_not_run(spied):
    cascade, X = spied
    Spy.calls.clear()
    sure = cascade.walk(X[:5])
    assert (sure.exit == 0).all()
    assert list(Spy.calls) == ["a"]


def test_predictions_are_views_of_the_walk(spied):
    cascade, X = spied
    route = cascade.walk(X)
    np.testing.assert_array_equal(cascade.predict(X), route.label)
    np.testing.assert_array_equal(cascade.predict_proba(X), route.proba)
    np.testing.assert_array_equal(cascade.predict_exit(X), route.exit)
    np.testing.assert_array_equal(cascade.predict_cost(X), route.cost)
    np.testing.assert_array_equal(cascade.decision_path(X), route.visited)
    np.testing.assert_array_equal(route.cost, route.visited @ [1.0, 2.0, 4.0])
    np.testing.assert_array_equal(route.label, cascade.classes_[route.proba.argmax(axis=1)])


# Errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        lambda stage, proba: np.full(len(proba), 0),  # stays
        lambda stage, proba: np.full(len(proba), 3),  # no such stage
        lambda stage, proba: np.full(len(proba), -2),
        lambda stage, proba: np.full(len(proba), 1),  # not in use
        lambda stage, proba: np.array([2] * (len(proba) - 1) + [7]),  # one of many
        lambda stage, proba: np.full((len(proba), 1), 2),
        lambda stage, proba: np.full((len(proba), 1), EXIT),
        lambda stage, proba: np.full(len(proba) + 1, EXIT),
        lambda stage, proba: EXIT,
        lambda stage, proba: np.full(len(proba), np.nan),
    ],
)
def test_bad_routes(to):
    trace = random_trace(5, 3, 2, 0)
    with pytest.raises(ValueError, match=r"`route` of Send .* \[2\] for each of the 5 rows at"):
        walk(trace, Send(to, stages=[0, 2]))


@pytest.mark.parametrize("stages", [[], [-1, 0], [0, 3], np.array([5])])
def test_bad_stages(stages):
    with pytest.raises(ValueError, match="`stages_` of Sure must hold one or more"):
        walk(random_trace(2, 3, 2, 0), Sure(stages=stages))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_bad_batch_size(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be 1 or more"):
        walk(random_trace(2, 3, 2, 0), Sure(), batch_size=batch_size)


def test_policy_without_a_rule():
    with pytest.raises(NotImplementedError, match="must override `exit_mask` or `route`"):
        walk(random_trace(2, 2, 2, 0), BaseExitPolicy())
