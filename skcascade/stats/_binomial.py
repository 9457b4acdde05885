"""Testing a probability by the number of times that the event occurred."""

from __future__ import annotations

from scipy.special import betainc

__all__ = ["binomial_p_value"]


def binomial_p_value(count: float, n: float, bound: float) -> float:
    """P-value of "the probability is above `bound`": that of `count` events or fewer at `bound`.

    The test is exact. Numbers that are not whole are interpolated.

    Parameters
    ----------
    count : float
        Number of events, 0 to `n`.
    n : float
        Number of independent samples.
    bound : float in [0, 1]

    Returns
    -------
    p_value : float in [0, 1]
        1 without any sample.

    Examples
    --------
    >>> from skcascade.stats._binomial import binomial_p_value
    >>> round(binomial_p_value(2, 100, 0.05), 4)
    0.1183
    >>> round(binomial_p_value(1, 100, 0.05), 4)
    0.0371
    """
    if count >= n:
        return 1.0
    return float(betainc(n - count, count + 1, 1 - bound))
