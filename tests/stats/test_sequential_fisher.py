"""The test of a rate over a stream: exact p-values, levels, windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skcascade.stats._sequential_fisher import FIRST, RateWatch, fisher_exact


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


def test_change_after_many_unchanged_samples_is_not_diluted():
    watch = RateWatch(4_500, 5_000, level=0.01)
    for _ in range(3_000):
        assert watch.update(29, 32) is None
    late = 0
    while watch.finding is None:
        watch.update(19, 32)
        late += 32
    assert watch.finding.n_seen <= late <= 8 * FIRST
