"""An exact test that one rule loses at most a bound more than another on the same samples.

Each sample gives D = loss of the one - loss of the other, in {-1, 0, 1}. Let p be the probability
of 1 and q that of -1. What is to be rejected is p - q >= bound. A test that holds for all q at
once, the number of samples on which the two differ being unknown, is needed:

1. The statistic is the score statistic of Tango (Equivalence test and confidence interval for the
   difference in proportions for the paired-sample design, Statistics in Medicine 1998): the excess
   of the mean over its bound, over its standard error with q estimated under p - q = bound.
2. The p-value at one q is the exact probability of a statistic as small as the one seen.
3. The p-value is the largest of them over a confidence interval for q, plus the probability that
   the interval misses q (Berger and Boos, P values maximized over a confidence set for the
   nuisance parameter, JASA 1994).

It loses next to nothing against the normal approximation, and holds for any number of samples. A
bet that is bounded by its mean alone (see `_certify`) has to see 1.7 times the margin.
"""

import numpy as np
from scipy.special import bdtr, xlog1py, xlogy
from scipy.special import gammaln as lgamma
from scipy.stats import beta

__all__ = ["paired_p_value"]

#: Values of q the largest p-value is sought over.
N_GRID = 33
#: Standard deviations beyond which counts are left out: less than 1e-14 in all.
REACH = 8.0


def paired_p_value(n_worse, n_better, n, bound, missed=1e-3):
    """P-value of "the mean of D is `bound` or more".

    Parameters
    ----------
    n_worse, n_better : int
        How often D is 1, and -1.
    n : int
        Number of samples.
    bound : float in [0, 1)
    missed : float, default=1e-3
        Probability that the interval for q misses it: small against the level of the test.

    Returns
    -------
    p_value : float in [0, 1]

    Examples
    --------
    >>> round(paired_p_value(40, 50, 1800, 0.01), 4)
    0.0029
    >>> paired_p_value(60, 40, 1800, 0.01) > 0.1
    True
    """
    seen = _score(float(n_worse), float(n_better), n, bound)
    if seen >= 0:
        return 1.0
    low = beta.ppf(missed / 2, n_better, n - n_better + 1) if n_better else 0.0
    high = beta.ppf(1 - missed / 2, n_better + 1, n - n_better) if n_better < n else 1.0
    high = min(high, (1 - bound) / 2)
    q = np.linspace(min(low, high), high, N_GRID)[:, np.newaxis]
    reach = REACH * np.sqrt(n * high * (1 - high)) + 2 * REACH
    better = np.arange(max(0, int(n * q[0, 0] - reach)), min(n, int(n * high + reach)) + 1.0)
    worse = _most_worse(better, n, bound, seen)
    chance = lgamma(n + 1) - lgamma(better + 1) - lgamma(n - better + 1)
    chance = np.exp(chance + xlogy(better, q) + xlog1py(n - better, -q))
    share = np.minimum((q + bound) / (1 - q), 1.0)  # of D = 1 among those that are not -1
    below = bdtr(np.maximum(worse, 0), (n - better).astype(int), share)
    tail = np.where(worse >= 0, chance * below, 0.0).sum(axis=1)
    return float(min(tail.max() + missed, 1.0))


def _score(worse, better, n, bound):
    """The score statistic; 0 where nothing can differ."""
    b = (worse + better) * (1 - bound) - 2 * bound * (n - worse)
    q = (b + np.sqrt(b * b + 8 * n * better * bound * (1 - bound))) / (4 * n)
    variance = n * (2 * np.maximum(q, 0) + bound * (1 - bound))
    excess = worse - better - n * bound
    return np.divide(excess, np.sqrt(variance), out=np.zeros_like(excess), where=variance > 0)


def _most_worse(better, n, bound, seen):
    """For each count of -1, the largest count of 1 with a score of at most `seen`; -1: none.

    The score rises with the count of 1, so it is found by bisection.
    """
    low, high = np.full(len(better), -1.0), n - better + 1
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        inside = (middle >= 0) & (middle <= n - better)
        small = inside & (_score(middle, better, n, bound) <= seen + 1e-12)
        open_ = high - low > 1
        low, high = np.where(open_ & small, middle, low), np.where(open_ & ~small, middle, high)
    return low
