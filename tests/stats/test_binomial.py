"""The exact test of a probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from skcascade.stats._binomial import binomial_p_value

SIZES = st.integers(1, 200)
BOUNDS = st.floats(0.001, 0.999)


@given(SIZES, st.floats(0, 1), BOUNDS)
def test_is_that_of_scipy(n, share, bound):
    count = round(share * n)
    expected = binomtest(count, n, bound, alternative="less").pvalue
    assert binomial_p_value(count, n, bound) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(SIZES, BOUNDS, st.floats(0.01, 0.5))
def test_a_probability_at_the_bound_is_rarely_rejected(n, bound, level):
    counts = np.arange(n + 1)
    rejected = np.array([binomial_p_value(count, n, bound) <= level for count in counts])
    assert binom.pmf(counts, n, bound)[rejected].sum() <= level + 1e-12


@given(SIZES, st.floats(0, 1), st.floats(0, 1), BOUNDS)
def test_grows_with_the_count_between_whole_numbers_too(n, one, other, bound):
    low, high = sorted([one * n, other * n])
    assert binomial_p_value(low, n, bound) <= binomial_p_value(high, n, bound) + 1e-12


@pytest.mark.parametrize(
    ("count", "n", "bound", "expected"),
    [(0, 0, 0.1, 1.0), (5, 5, 0.1, 1.0), (0, 50, 0.0, 1.0), (0, 1, 0.3, 0.7), (0, 2, 1.0, 0.0)],
)
def test_ends(count, n, bound, expected):
    assert binomial_p_value(count, n, bound) == pytest.approx(expected)
