"""The monitor: its false alarms, the changes it finds, and its use with a cascade."""

import pickle
from copy import copy

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import EXIT, CascadeClassifier, ExitMonitor, Trace
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, WeightedBinary


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


def made_up(n, rng, *, sure=(0.6, 0.5), agree=(0.8, 0.7)):
    """Three stages: shares that are sure at the first two, and that repeat the answer before."""
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


# Alarms --------------------------------------------------------------------------------


def test_false_alarm_rate():
    """Streams like the reference, many times: alarms are as rare as stated, but not absent."""
    alarms, n_streams = 0, 200
    for seed in range(n_streams):
        rng = np.random.default_rng(seed)
        monitor = ExitMonitor(Sure(), made_up(300, rng), false_alarm_rate=0.2)
        alarms += feed(monitor, made_up(1_500, rng), batch=100).alarm
    # More than this many have a probability of 1 in 1,000 if the rate is 0.2.
    assert 0 < alarms <= stats.binom.isf(1e-3, n_streams, 0.2)


@pytest.mark.parametrize(
    ("shift", "stage", "source", "direction"),
    [
        ({"sure": (0.4, 0.5)}, "a", None, "fewer exit at a"),
        ({"sure": (0.6, 0.8)}, "b", None, "more exit at b"),
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
    held_out = monitor.held_out.rate(source and "abc".index(source), "abc".index(stage))
    assert (event.held_out, event.n_held_out) == (held_out[0] / held_out[1], held_out[1])
    assert direction in monitor.report()
    assert "ALARM, 1 of 4 rates changed" in monitor.report()


def test_an_alarm_stays_and_each_rate_is_reported_once():
    rng = np.random.default_rng(1)
    monitor = ExitMonitor(Sure(), made_up(1_000, rng))
    for _ in range(5):
        monitor.walk(made_up(1_000, rng, sure=(0.3, 0.5)))
    for _ in range(5):
        monitor.walk(made_up(1_000, rng))
    assert monitor.alarm
    assert [event.stage for event in monitor.events] == ["stage 0"]


def test_keeps_no_samples():
    monitor = ExitMonitor(Sure(), random_trace(20_000))
    for seed in range(20):
        monitor.walk(random_trace(2_000, seed=seed))
    assert len(pickle.dumps(monitor)) < 10_000


@pytest.mark.parametrize("policy", [ConfidenceThreshold(), WeightedBinary(skip=True, cv=2)])
def test_policies_fitted_on_recorded_answers(policy):
    rng = np.random.default_rng(0)
    trace, alike, other = (
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
    assert not feed(monitor, alike).alarm
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


def test_one_stage_in_use_warns_at_the_line_of_the_user():
    with pytest.warns(CascadeWarning) as caught:
        ExitMonitor(Sure([2]), random_trace(50))
    assert caught[0].filename == __file__


def test_report():
    monitor = ExitMonitor(Sure(), made_up(1_000, np.random.default_rng(0)))
    monitor.update([0, 0, 1, 2])
    report = monitor.report()
    assert report.startswith("4 samples fed, 1,000 held out. False alarm rate 0.01: no alarm.")
    assert len(report.splitlines()) == 6
    assert "0.5000 of 4" in report
    assert "none" in report  # agreement: the answers are not known


# With a cascade ------------------------------------------------------------------------


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
        monitor.seen.exits, 2 * np.bincount(cascade.predict_exit(X), minlength=3)
    )
    np.testing.assert_array_equal(monitor.seen.reach, 2 * cascade.decision_path(X).sum(axis=0))
    assert monitor.stage_names == ["nb", "linear", "forest"]


def test_live_and_recorded_count_alike(fitted):
    cascade, X = fitted
    live, recorded = make(cascade), make(cascade)
    live.predict(X)
    recorded.walk(Trace.record(cascade.stages_, X))
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
    member = cascade.stages_.members[0][1]
    step = type(member).step
    monkeypatch.setattr(
        type(member),
        "step",
        lambda self, exit, X, cached: rows.append(len(X)) or step(self, exit, X, cached),
    )
    monitor.predict(X)
    assert sum(rows) == monitor.seen.reach.sum()


def test_pickle_continues_alike(fitted):
    cascade, X = fitted
    monitor = make(cascade)
    monitor.predict(X[:100])
    again = pickle.loads(pickle.dumps(monitor))
    for one in (monitor, again):
        one.predict(X[100:])
    assert again.report() == monitor.report()
    assert again.events == monitor.events


def test_another_operating_point_needs_another_monitor(fitted):
    cascade, X = fitted
    cascade = pickle.loads(pickle.dumps(cascade))
    monitor = make(cascade)
    cascade.set_operating_point(alpha=0.01)
    with pytest.raises(ValueError, match="since this monitor was made"):
        monitor.predict(X)
    assert monitor.n_samples == 0


def test_live_reference(fitted):
    """Rows without labels can be the reference."""
    cascade, X = fitted
    monitor = ExitMonitor(cascade.policy_, cascade.evidence(X), cascade=cascade)
    monitor.predict(X)
    assert same_counts(monitor.held_out, monitor.seen)
    assert not monitor.alarm


# Errors --------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2, np.nan, "0.1", None])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match="`false_alarm_rate` must be a number between 0 and 1"):
        ExitMonitor(Sure(), random_trace(5), false_alarm_rate=rate)


def test_missing_reference():
    with pytest.raises(ValueError, match="`reference` is None.*store_trace=True"):
        ExitMonitor(Sure(), None)


def test_a_cascade_without_its_trace_needs_rows():
    X, y = load_digits(return_X_y=True)
    members = [("nb", GaussianNB()), ("linear", LogisticRegression(solver="newton-cholesky"))]
    cascade = CascadeClassifier(
        members, cost=[1, 50], cv=0.4, alpha=0.05, random_state=0, store_trace=False
    )
    cascade.fit(X[:1_200], y[:1_200])
    with pytest.raises(ValueError, match="store_trace"):
        cascade.monitor()
    monitor = cascade.monitor(X[1_200:])
    monitor.predict(X[1_200:])
    assert same_counts(monitor.held_out, monitor.seen)


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


def test_policies_that_skip_need_visited():
    monitor = ExitMonitor(Scatter(), random_trace(50))
    with pytest.raises(ValueError, match="`visited` must be given"):
        monitor.update([0])
