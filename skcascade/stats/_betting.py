"""Testing a bounded mean by betting.

A bet against "the mean is above the bound" has a wealth that starts at 1. If that is true, the
wealth is not expected to grow, so that it ever exceeds 1 / p with probability at most p (Ville).
Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS-B 2024.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bet_size", "betting_p_value", "log_wealth"]


def betting_p_value(
    pilot: NDArray[np.float64],
    values: NDArray[np.float64],
    bound: float,
    upper: float,
    level: float,
) -> float:
    """P-value of "the mean is above `bound`".

    Parameters
    ----------
    pilot : ndarray of shape (n_pilot,)
        Other values of the same kind, which decide how much is bet.
    values : ndarray of shape (n_samples,)
        In random order, none above `upper`.
    bound, upper : float
        The bound on the mean, and the largest possible value.
    level : float
        Level of the test; the bet is the one that reaches it at the last value with the
        smallest margin.

    Returns
    -------
    p_value : float

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.stats._betting import betting_p_value
    >>> values = np.tile([0.0, 0.0, 0.0, 1.0], 50)
    >>> round(float(betting_p_value(values, values, 0.4, 1.0, 0.1)), 4)
    0.0004
    """
    return np.exp(-log_wealth(values, bound, upper, bet_size(pilot, len(values), bound, level)))


def bet_size(pilot: NDArray[np.float64], n_samples: int, bound: float, level: float) -> float:
    """The bet per unit of value that needs the smallest margin at the last of `n_samples`.

    Without a pilot, values are taken to be 1 from the bound.
    """
    spread = np.mean((pilot - bound) ** 2) + 1e-4 if len(pilot) else 1.0
    return np.sqrt(-2 * np.log(level) / (max(1, n_samples) * spread))


def log_wealth(values: NDArray[np.float64], bound: float, upper: float, bet: float) -> float:
    """Log of the largest wealth reached by betting that the mean of `values` is below `bound`.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        In random order, none above `upper`.
    bound, upper : float
        The bound on the mean to certify, and the largest possible value.
    bet : float
        The share of the wealth that is bet on each value, per unit of value; reduced to what
        cannot go bankrupt.

    Returns
    -------
    log_wealth : float
        The bound is certified at `confidence_level` if this is -log(1 - confidence_level)
        or more.
    """
    if bound >= upper:
        return np.inf
    bet = min(bet, 0.99 / (upper - bound))
    return np.cumsum(np.log1p(bet * (bound - values))).max(initial=0.0)
