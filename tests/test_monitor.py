"""The monitor: its counts, its tests, its false alarms, and what it finds."""

import pickle
from copy import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import EXIT, CascadeClassifier, ExitMonitor, Trace, walk
from skcascade._exit_counts import Counts, Witness
from skcascade._shift import FIRST, RateWatch, fisher_exact
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, WeightedBinary


class Sure(BaseExitPolicy):
    """Leaves where the most likely class reaches 0.9."""

    def __init__(self, stages=None):
        self.stages = stages
        self.stages_ = stages

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.9


class Scatter(Sure):
    """Sends every row anywhere ahead, as the digits of its probabilities say."""

    def route(self, stage, proba):
        ways = np.array([EXIT, *(k for k in self.stages or range(5) if k > stage)])
        return ways[(proba[:, stage].max(axis=1) * 1e4).astype(int) % len(ways)]


def random_trace(n, n_stages=5, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return Trace(rng.dirichlet(np.full(n_classes, 0.3), size=(n, n_stages)))


def made_up(n, rng, *, sure=(0.6, 0.5), agree=(0.8, 0.7)):
    """Three stages: who is sure at the first two, and who repeats the answer before."""
    confidence = np.full((n, 3), 0.95)
    confidence[:, :2] = np.where(rng.uniform(size=(n, 2)) < sure, 0.95, 0.6)
    pred = np.zeros((n, 3), dtype=int)
    for k, rate in enumerate(agree):
        pred[:, k + 1] = np.where(rng.uniform(size=n) < rate, pred[:, k], 1 + pred[:, k])
    return Trace.from_top1(pred, confidence, n_classes=4)


def feed(monitor, trace, batch=50):
    for start in range(0, trace.n_samples, batch):
        monitor.walk(trace.rows(slice(start, start + batch)))
        if monitor.alarm:
            break
    return monitor


def same_counts(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


@st.composite
def traces_and_policies(draw):
    """A random trace of five stages, and a chain or a DAG over some of them."""
    trace = random_trace(draw(st.integers(1, 60)), seed=draw(st.integers(0, 2**32 - 1)))
    stages = draw(st.none() | st.sets(st.integers(0, 4), min_size=2).map(sorted))
    return trace, draw(st.sampled_from([Sure, Scatter]))(stages)


# Counts -----------------------------------------------------------------------------------


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
    assert seen.leave.tolist() == [1, 1, 2]
    assert seen.moves.tolist() == [[0, 3, 0], [0, 0, 2], [0, 0, 0]]
    assert seen.agree.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]
    assert seen.of(None, 1) == (1, 3)
    assert seen.of(0, 1) == (2, 3)


@given(traces_and_policies())
@settings(max_examples=100, deadline=None)
def test_counts_are_those_of_the_rows_one_by_one(case):
    trace, policy = case
    counts = Counts(5)
    way = walk(Witness(trace, counts), policy)
    plain = walk(trace, policy)
    for mine, theirs in zip(way, plain):
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
def test_batches_and_order_do_not_change_counts(case, cuts, seed):
    trace, policy = case
    whole, parts = (ExitMonitor(policy, random_trace(200)) for _ in range(2))
    whole.walk(trace)
    order = np.random.default_rng(seed).permutation(trace.n_samples)
    for rows in np.split(order, sorted(min(cut, trace.n_samples) for cut in cuts)):
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


@given(traces_and_policies())
@settings(max_examples=100, deadline=None)
def test_logged_exits_count_as_walked_ones(case):
    trace, policy = case
    walked, logged = (ExitMonitor(policy, random_trace(200)) for _ in range(2))
    way = walked.walk(trace)
    logged.update(way.exit, way.visited)
    if type(policy) is Sure:
        walked.walk(trace)
        logged.update(way.exit.tolist())
    for name in ("n_samples", "reach", "leave"):
        np.testing.assert_array_equal(getattr(logged.seen, name), getattr(walked.seen, name))
    assert not logged.seen.moves.any()


def test_no_answer_agrees_with_nothing():
    trace = random_trace(300, n_stages=2).with_no_answer(0.2)
    monitor = ExitMonitor(Sure(), trace)
    assert monitor.held_out.reach[2] > 0
    assert monitor.rates == [(None, 0), (0, 1), (None, 1)]


def test_no_rows_change_nothing():
    monitor = ExitMonitor(Sure(), random_trace(50))
    monitor.walk(random_trace(5).rows(slice(0, 0)))
    monitor.update([])
    assert monitor.n_samples == 0
    assert not monitor.alarm


# The test of one rate ---------------------------------------------------------------------


@given(st.tuples(*[st.integers(0, 40)] * 4))
@settings(max_examples=200, deadline=None)
def test_fisher_exact_is_twice_a_tail(n):
    a, b, c, d = n
    fewer = c * (a + b) < a * (c + d)
    tail = stats.fisher_exact([[c, d], [a, b]], alternative="less" if fewer else "greater")[1]
    assert fisher_exact(a, a + b, c, c + d) == pytest.approx(min(1, 2 * tail), rel=1e-8)


def test_fisher_exact_is_valid_for_large_counts():
    m, n, rate = 2_000_000, 30_000_000, 0.3
    z = 5.0
    seen = rate + z * np.sqrt(rate * (1 - rate) * (1 / m + 1 / n))
    p = fisher_exact(int(rate * m), m, int(seen * n), n)
    assert p == pytest.approx(2 * stats.norm.sf(z), rel=0.05)
    assert fisher_exact(0, m, n, n) == 0
    assert fisher_exact(0, 5, 0, n) == 1


@pytest.mark.parametrize("held_out", [1, 300, 10**6])
@pytest.mark.parametrize("step", [1, 7, 50, 5000])
def test_levels_add_up_to_less_than_the_level(step, held_out, monkeypatch):
    levels = []
    monkeypatch.setattr(RateWatch, "_look", lambda self, h, n, level: levels.append(level))
    watch = RateWatch(1, held_out, level=0.1)
    for _ in range(20_000 // step):
        watch.update(0, step)
    assert sum(levels) < 0.1
    whole = sum(watch._level(s, 1) * 2 for s in range(10_000))  # two: the sum over all windows
    assert whole < 0.1
    if held_out > 1:
        assert whole > 0.08


def test_windows_follow_one_another(monkeypatch):
    looks = []
    monkeypatch.setattr(RateWatch, "_look", lambda self, h, n, level: looks.append((h, n)))
    watch = RateWatch(5, 10, level=0.1)
    for i in range(1, 9):
        watch.update(i, FIRST)
    # Those of the first size, and all there is whenever it doubled.
    one, two = FIRST, 2 * FIRST
    expected = [(1, one), (2, one), (3, two), (3, one), (4, one), (7, two), (10, 4 * FIRST)]
    assert looks[:7] == expected
    assert looks[-1] == (36, 8 * FIRST)


def test_large_batch_is_one_look():
    watch = RateWatch(900, 1000, level=1e-3)
    finding = watch.update(8_500, 10_000)
    assert finding.n_seen == 10_000
    sizes = [6, 5, 4, 3, 2, 1, 0, 1, 2]  # how far they are from 2,048, the nearest to 2 * 1,000
    parts = [1 / ((d + 1) * (d + 2)) for d in sizes]
    assert finding.level == pytest.approx(1e-3 * 2 / 3 / 2 * sum(parts))
    assert finding.p_value == fisher_exact(900, 1000, 8_500, 10_000)
    assert watch.update(0, 10_000) is None
    assert watch.finding is finding


def test_shift_after_a_long_quiet_time_is_not_diluted():
    watch = RateWatch(4_500, 5_000, level=0.01)
    for _ in range(3_000):
        assert watch.update(29, 32) is None
    late = 0
    while watch.finding is None:
        watch.update(19, 32)
        late += 32
    assert watch.finding.n_seen <= late <= 8 * FIRST


# Alarms -----------------------------------------------------------------------------------


def test_false_alarm_rate():
    """Streams like the reference, many times: alarms are as rare as promised, but not absent."""
    alarms, n_streams = 0, 200
    for seed in range(n_streams):
        rng = np.random.default_rng(seed)
        monitor = ExitMonitor(Sure(), made_up(300, rng), false_alarm_rate=0.2)
        alarms += feed(monitor, made_up(1_500, rng), batch=100).alarm
    # More than this many have a chance of 1 in 1,000 if the rate is 0.2.
    assert 0 < alarms <= stats.binom.isf(1e-3, n_streams, 0.2)


@pytest.mark.parametrize(
    ("shift", "stage", "source", "direction"),
    [
        ({"sure": (0.4, 0.5)}, "a", None, "fewer leave at a"),
        ({"sure": (0.6, 0.8)}, "b", None, "more leave at b"),
        ({"agree": (0.5, 0.7)}, "b", "a", "fewer keep the answer of a at b"),
        ({"agree": (0.8, 0.3)}, "c", "b", "fewer keep the answer of b at c"),
    ],
)
@pytest.mark.parametrize("quiet", [0, 2_000])
def test_a_shift_is_found_where_it_is(shift, stage, source, direction, quiet):
    rng = np.random.default_rng(0)
    monitor = ExitMonitor(Sure(), made_up(1_000, rng), stage_names=["a", "b", "c"])
    if quiet:
        assert not feed(monitor, made_up(quiet, rng)).alarm
    feed(monitor, made_up(5_000, rng, **shift))
    (event,) = monitor.events
    assert (event.stage, event.source) == (stage, source)
    assert str(event).startswith(direction)
    assert event.p_value <= event.level < 0.01
    assert quiet < event.n_samples == monitor.n_samples
    held_out = monitor.held_out.of(source and "abc".index(source), "abc".index(stage))
    assert (event.held_out, event.n_held_out) == (held_out[0] / held_out[1], held_out[1])
    assert direction in monitor.report()
    assert "ALARM, 1 of 4 rates moved" in monitor.report()


def test_an_alarm_stays_and_each_rate_is_named_once():
    rng = np.random.default_rng(1)
    monitor = ExitMonitor(Sure(), made_up(1_000, rng))
    for _ in range(5):
        monitor.walk(made_up(1_000, rng, sure=(0.3, 0.5)))
    for _ in range(5):
        monitor.walk(made_up(1_000, rng))
    assert monitor.alarm
    assert [event.stage for event in monitor.events] == ["stage 0"]


def test_report():
    monitor = ExitMonitor(Sure(), made_up(1_000, np.random.default_rng(0)))
    monitor.update([0, 0, 1, 2])
    report = monitor.report()
    assert report.startswith("4 samples fed, 1,000 held out. False alarm rate 0.01: no alarm.")
    assert len(report.splitlines()) == 6
    assert "0.5000 of 4" in report
    assert "none" in report  # agreement: no answers were fed


# With a cascade ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    X, y = load_digits(return_X_y=True)
    members = [
        ("nb", GaussianNB()),
        ("linear", LogisticRegression(C=0.01, solver="newton-cholesky")),
        ("forest", RandomForestClassifier(50)),
    ]
    cascade = CascadeClassifier(members, cost=[1, 5, 50], cv=0.4, alpha=0.05, random_state=0)
    return cascade.fit(X[:1_200], y[:1_200]), X[1_200:]


def make(cascade, **kwargs):
    return ExitMonitor(cascade.policy_, cascade.trace_, cascade=cascade, **kwargs)


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("policy", [None, Scatter([0, 1, 2])])
def test_predicts_as_the_cascade(fitted, policy, batch_size):
    cascade = copy(fitted[0]).set_params(batch_size=batch_size)
    cascade.policy_ = policy or cascade.policy_
    X = fitted[1]
    monitor = make(cascade)
    np.testing.assert_array_equal(monitor.predict(X), cascade.predict(X))
    np.testing.assert_array_equal(monitor.predict_proba(X), cascade.predict_proba(X))
    np.testing.assert_array_equal(
        monitor.seen.leave, 2 * np.bincount(cascade.predict_exit(X), minlength=3)
    )
    np.testing.assert_array_equal(monitor.seen.reach, 2 * cascade.decision_path(X).sum(axis=0))
    assert monitor.stage_names == ["nb", "linear", "forest"]


def test_live_and_recorded_count_alike(fitted):
    cascade, X = fitted
    live, recorded = make(cascade), make(cascade)
    live.predict(X)
    recorded.walk(Trace.record(cascade._stages, X))
    assert same_counts(live.seen, recorded.seen)
    assert live.seen.moves.any()


def test_noise_raises_the_alarm(fitted):
    cascade, X = fitted
    monitor = make(cascade)
    noise = np.random.default_rng(0).normal(scale=6, size=X.shape)
    monitor.predict(X + noise)
    assert monitor.alarm


def test_members_run_once(fitted, monkeypatch):
    cascade, X = fitted
    monitor, rows = make(cascade), []
    member = cascade._stages.members[0][1]
    step = type(member).step
    monkeypatch.setattr(
        type(member),
        "step",
        lambda self, exit, X, held: rows.append(len(X)) or step(self, exit, X, held),
    )
    monitor.predict(X)
    assert sum(rows) == monitor.seen.reach.sum()


def test_pickle_goes_on_alike(fitted):
    cascade, X = fitted
    monitor = make(cascade)
    monitor.predict(X[:100])
    again = pickle.loads(pickle.dumps(monitor))
    for one in (monitor, again):
        one.predict(X[100:])
    assert again.report() == monitor.report()
    assert again.events == monitor.events


def test_keeps_no_samples():
    monitor = ExitMonitor(Sure(), random_trace(20_000))
    for seed in range(20):
        monitor.walk(random_trace(2_000, seed=seed))
    assert len(pickle.dumps(monitor)) < 10_000


def test_another_operating_point_needs_another_monitor(fitted):
    cascade, X = fitted
    cascade = pickle.loads(pickle.dumps(cascade))
    monitor = make(cascade)
    cascade.set_operating_point(alpha=0.01)
    with pytest.raises(ValueError, match="since this monitor was made"):
        monitor.predict(X)
    assert monitor.n_samples == 0


def test_live_reference(fitted):
    """Rows without labels do as a reference."""
    cascade, X = fitted
    monitor = ExitMonitor(cascade.policy_, cascade._live(X), cascade=cascade)
    monitor.predict(X)
    assert same_counts(monitor.held_out, monitor.seen)
    assert not monitor.alarm


@pytest.mark.parametrize("policy", [ConfidenceThreshold(), WeightedBinary(skip=True, cv=2)])
def test_policies_fitted_on_recorded_answers(policy):
    rng = np.random.default_rng(0)
    trace, fresh, other = (
        made_up(1_000, rng, sure=sure) for sure in [(0.6, 0.5)] * 2 + [(0.2, 0.5)]
    )
    # Right where it is sure; the last stage always is.
    y = np.where(
        trace.proba[:, 0].max(axis=1) > 0.9,
        trace.proba[:, 0].argmax(axis=1),
        trace.proba[:, 2].argmax(axis=1),
    )
    policy.fit(trace, y, FixedCost([1, 2, 4]).fit(trace), alpha=0.05)
    monitor = ExitMonitor(policy, trace)
    assert not feed(monitor, fresh).alarm
    assert feed(monitor, other).alarm
    assert monitor.events[0].stage == "stage 0"


def test_one_stage_in_use():
    with pytest.warns(CascadeWarning, match="can never raise an alarm"):
        monitor = ExitMonitor(Sure([2]), random_trace(50))
    monitor.walk(random_trace(500, seed=1))
    monitor.update([2, 2])
    assert not monitor.alarm
    assert monitor.report() == (
        "502 samples fed, 50 held out. One stage in use: there is nothing to test."
    )


def test_pruned_stages_are_not_tested():
    monitor = ExitMonitor(Sure([1, 3]), random_trace(500))
    assert monitor.rates == [(None, 1), (1, 3)]


# Errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2, np.nan, "0.1", None])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match="`false_alarm_rate` must be a number between 0 and 1"):
        ExitMonitor(Sure(), random_trace(5), false_alarm_rate=rate)


def test_dropped_trace():
    with pytest.raises(ValueError, match="held-out trace of this cascade was dropped"):
        ExitMonitor(Sure(), None)


def test_bad_names():
    with pytest.raises(ValueError, match="`stage_names` must name the 5 stages, got 1"):
        ExitMonitor(Sure(), random_trace(5), stage_names=["a"])


def test_no_cascade():
    with pytest.raises(ValueError, match=r"Make the monitor by `cascade.monitor\(\)`"):
        ExitMonitor(Sure(), random_trace(5)).predict([[0.0]])


@pytest.mark.parametrize("shape", [(4, 3), (5, 2)])
def test_bad_evidence(shape):
    monitor = ExitMonitor(Sure(), random_trace(5))
    with pytest.raises(ValueError, match="`evidence` has"):
        monitor.walk(random_trace(5, *shape))


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
        ([[1, 1, 0, 0, 0]], "does not go with `exits`"),  # not its exit
        ([[0, 1, 0, 1, 0]], "does not go with `exits`"),  # not the first
        ([[1, 0, 1, 1, 0]], "does not go with `exits`"),  # one not in use
        ([[1, 0, 0, 1, 1]], "does not go with `exits`"),  # one after its exit
    ],
)
def test_bad_ways(visited, match):
    monitor = ExitMonitor(Sure([0, 1, 3]), random_trace(50))
    with pytest.raises(ValueError, match=match):
        monitor.update([3], visited)


def test_policies_that_skip_need_ways():
    monitor = ExitMonitor(Scatter(), random_trace(50))
    with pytest.raises(ValueError, match="`visited` must be given"):
        monitor.update([0])
