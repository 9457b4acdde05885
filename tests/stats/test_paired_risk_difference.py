"""The exact test of the difference of two losses on the same samples."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.stats._paired_risk_difference import paired_p_value, score_statistic

BOUNDS = st.sampled_from([0.0, 0.01, 0.05, 0.2])


def probability(n, n_worse, n_better, p, q):
    """Of exactly so many 1 and -1 in `n` draws."""
    same = n - n_worse - n_better
    return (
        comb(n, n_worse)
        * comb(n - n_worse, n_better)
        * p**n_worse
        * q**n_better
        * (1 - p - q) ** same
    )


@given(st.integers(1, 25), BOUNDS, st.floats(0, 1), st.sampled_from([0.05, 0.1, 0.3]))
@settings(max_examples=40, deadline=None)
def test_the_test_keeps_its_level(n, bound, where, level):
    """By enumeration of all outcomes, at a q anywhere, with p - q just at the bound."""
    q = where * (1 - bound) / 2
    outcomes = [(a, b) for a, b in product(range(n + 1), repeat=2) if a + b <= n]
    rejected = [ab for ab in outcomes if paired_p_value(*ab, n, bound, missed=1e-3) <= level]
    assert sum(probability(n, *ab, q + bound, q) for ab in rejected) <= level + 1e-9


@given(st.integers(2, 2000), st.data(), BOUNDS)
@settings(max_examples=100, deadline=None)
def test_p_value_is_monotone(n, data, bound):
    """More samples on which the rule is worse never make the p-value smaller."""
    worse = data.draw(st.integers(0, n - 1))
    better = data.draw(st.integers(0, n - 1 - worse))
    p = paired_p_value(worse, better, n, bound)
    assert 0 <= p <= 1
    assert paired_p_value(worse + 1, better, n, bound) >= p - 1e-9
    assert paired_p_value(worse, better, n, min(bound + 0.01, 0.9)) <= p + 1e-9


def test_where_nothing_differs_it_is_the_binomial():
    """No difference in n samples: (1 - bound)^n, the probability of none if p = bound and q = 0."""
    p = paired_p_value(0, 0, 300, 0.01, missed=1e-6)
    assert p == pytest.approx(0.99**300, rel=1e-3)
    assert paired_p_value(0, 0, 300, 0.0) == 1.0


def test_score_without_a_bound_is_that_of_mcnemar():
    assert score_statistic(10.0, 20.0, 100, 0.0) == pytest.approx(-10 / np.sqrt(30))


def test_large_counts():
    assert paired_p_value(30_000, 32_000, 1_000_000, 0.0) < 0.002
    assert paired_p_value(31_000, 31_000, 1_000_000, 0.0) > 0.4


def test_power_close_to_the_normal_approximation():
    """The margin that a bet needs is 1.7 times as large."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(1800, [0.03, 0.03, 0.94], size=500)
    won = np.mean([paired_p_value(a, b, 1800, 0.01) <= 0.1 for a, b, _ in drawn])
    assert won > 0.6  # the normal approximation: 0.67; by betting: 0.3


@pytest.mark.parametrize("missed", [1e-4, 0.01, 0.05])
def test_the_probability_that_the_interval_misses_is_part_of_the_p_value(missed):
    assert paired_p_value(0, 0, 10_000, 0.5, missed) == pytest.approx(missed, rel=1e-9)
