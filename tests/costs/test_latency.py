"""Seconds: timed calls of several sizes, and the line through them."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skcascade.costs import LatencyCost, _latency
from skcascade.costs._latency import fit_affine
from skcascade.evidence import CachedState, Stages

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)
X_SPARSE = csr_array(np.where(X > 0.5, X, 0))


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_latency, "perf_counter", clock)
    return clock


class Timed:
    """Takes a given time on a fake clock; at exit 1 less if it can continue."""

    labels = range(C)

    def __init__(self, clock, fixed, slope, n_exits=1, hiccup_every=None):
        self.clock, self.fixed, self.slope, self.n_exits = clock, fixed, slope, n_exits
        self.hiccup_every = hiccup_every
        self.sizes = []

    def step(self, exit, X, cached):
        n = X.shape[0]
        share = 1 if cached is None else 0.25
        self.clock.now += share * (exit + 1) * (self.fixed + self.slope * n)
        self.sizes.append(n)
        if self.hiccup_every and len(self.sizes) % self.hiccup_every == 0:
            self.clock.now += 1000
        return np.full((n, C), 1 / C), np.zeros(n) if self.n_exits > 1 else None


def test_latency_is_fixed_and_slope(clock):
    cheap, expensive = Timed(clock, 0.01, 0.001), Timed(clock, 0.002, 0.05)
    stages = Stages([("cheap", cheap), ("expensive", expensive)], range(C))
    cost = LatencyCost(batch_size=10).fit(stages, X)
    np.testing.assert_allclose(cost.fixed_, [[0.01, 0.002], [np.nan, 0.002]])
    np.testing.assert_allclose(cost.slope_, [[0.001, 0.05], [np.nan, 0.05]])
    np.testing.assert_allclose(cost.edge_costs_[0], [0.002, 0.0502])
    assert cost.unit == "seconds"
    # One call warms up, five count; 60 rows are repeated to make 64 and 256.
    assert cheap.sizes == [1] * 6 + [8] * 6 + [64] * 6 + [256] * 6


def test_latency_between_exits(clock):
    stages = Stages([("net", Timed(clock, 0.01, 0.001, n_exits=2))], range(C))
    cost = LatencyCost().fit(stages, X)
    np.testing.assert_allclose(cost.fixed_, [[0.01, 0.02], [np.nan, 0.005]])
    np.testing.assert_allclose(cost.slope_, [[0.001, 0.002], [np.nan, 0.0005]])
    np.testing.assert_allclose(cost.edge_costs_, cost.fixed_ + cost.slope_)


def test_latency_is_robust_to_hiccups(clock):
    member = Timed(clock, 0.01, 0.001, hiccup_every=3)
    cost = LatencyCost().fit(Stages([("m", member)], range(C)), X)
    np.testing.assert_allclose([cost.fixed_[0, 0], cost.slope_[0, 0]], [0.01, 0.001])


def test_latency_measure_alone_needs_no_fit(clock):
    call = Stages([("m", Timed(clock, 0.01, 0.001))], range(C)).call(None, 0, X)
    assert LatencyCost(batch_size=2, sizes=(2, 4)).measure(call) == pytest.approx(0.006)


@pytest.mark.parametrize("kind", ["frame", "sparse"])
def test_latency_takes_rows_of_any_kind(clock, kind):
    rows = X_SPARSE if kind == "sparse" else pytest.importorskip("pandas").DataFrame(X[:3])
    cost = LatencyCost(n_repeats=1).fit(Stages([("m", Timed(clock, 1, 2))], range(C)), rows)
    assert cost.edge_costs_[0, 0] == pytest.approx(3)


def test_latency_waits_for_the_device(clock, monkeypatch):
    waits = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        synchronize=lambda: waits.append(clock.now),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    stages = Stages([("m", Timed(clock, 1, 1))], range(C))
    LatencyCost(n_repeats=2, sizes=(1, 2)).fit(stages, X)
    # Calls take 2 and 3 seconds: before and after each of the timed ones.
    assert waits == [2, 4, 4, 6, 9, 12, 12, 15]


@pytest.mark.parametrize(
    "parameters", [{"batch_size": 0}, {"n_repeats": 0}, {"sizes": (4, 4)}, {"sizes": (0, 4)}]
)
def test_latency_refuses(parameters, stages_of):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        LatencyCost(**parameters).fit(stages_of(LogisticRegression(max_iter=50).fit(X, y)), X)


@given(st.floats(0, 1), st.floats(1e-6, 1), st.lists(st.floats(0.9, 1.1), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_affine_fit_is_close_and_never_negative(fixed, slope, noise):
    sizes = np.array([1, 8, 64, 256])
    clean = fixed + slope * sizes
    found = np.array(fit_affine(sizes, clean * noise))
    assert (found >= 0).all()
    np.testing.assert_allclose(found[0] + found[1] * sizes, clean, rtol=0.25)
    np.testing.assert_allclose(fit_affine(sizes, clean), [fixed, slope], rtol=1e-6, atol=1e-9)


def test_affine_fit_of_no_time():
    assert fit_affine([1, 2], [0, 0]) == (0, 0)


def test_calls_over_other_rows_cache_their_own_state(clock):
    call = Stages([("net", Timed(clock, 1, 1, n_exits=2))], range(C)).call(0, 1, X)
    assert isinstance(call.cached, CachedState)
    assert len(call.on(X[:5]).cached.state) == 5
