"""Has a rate changed? A test against held-out counts that may look at any time.

If the rate did not change, the `m` held-out outcomes and the `n` seen in some window are
exchangeable. Given the hits among all `m + n`, the hits among those seen are then hypergeometric,
whatever the rate is. That is Fisher's exact test, which accounts for the size of both samples.
Windows and times of looks depend on the number of samples and never on their outcomes, so each look
is such a test. Its level is

    level * (2 / 3) / ((d + 1) (d + 2)) / (t (t + 1)),    d = |s - c|,

for the t-th window of size `FIRST * 2**s`, s = 0, 1, ...; t = 1, 2, ... Over all t and all integers
s these add up to `level`. By the union bound, an unchanged rate is reported, at any time, with at
most that probability. Size c is about twice the number held out. Smaller windows show large changes
only, for which a small level is enough; in larger ones more samples add little power.

The first window of each size begins with the first sample: all samples so far are tested whenever
their number has doubled. Later windows follow one another and hold no earlier samples. So a change
after many unchanged samples is not diluted.
"""

from __future__ import annotations

from math import log2
from typing import NamedTuple

from scipy.stats import hypergeom

__all__ = ["Finding", "RateWatch", "fisher_exact"]

#: Samples in the smallest window: few, so that a large change is seen at once, and enough for a
#: small p-value.
FIRST = 32


class Finding(NamedTuple):
    """A window with a rate other than the held-out one.

    Attributes
    ----------
    held_out, seen : float
        The rate held out, and in the window.
    n_held_out, n_seen : int
        Samples these are shares of.
    p_value : float
        Two-sided, of the exact test.
    level : float
        The level it was tested at.
    """

    held_out: float
    seen: float
    n_held_out: int
    n_seen: int
    p_value: float
    level: float


class RateWatch:
    """One rate, watched over a stream.

    Parameters
    ----------
    hits, total : int
        Held out; `total` is 1 or more.
    level : float
        Probability, over the whole stream, of a finding if the rate does not change.

    Attributes
    ----------
    finding : Finding or None
        The first one. Later samples are not tested.

    Examples
    --------
    >>> from skcascade.stats._sequential_fisher import RateWatch
    >>> watch = RateWatch(900, 1000, level=0.01)
    >>> watch.update(90, 100), watch.update(85, 100)
    (None, None)
    >>> watch.update(60, 100)
    Finding(held_out=0.9, seen=0.6, n_held_out=1000, n_seen=100, p_value=..., level=...)
    """

    def __init__(self, hits: int, total: int, level: float) -> None:
        self.hits, self.total, self.level = int(hits), int(total), level
        self.finding: Finding | None = None
        self._center = max(0, round(log2(2 * self.total / FIRST)))
        self._all = 0, 0  # hits and total seen
        # For each size that was reached: hits, total, windows tested.
        self._windows: list[tuple[int, int, int]] = []

    def update(self, hits: int, total: int) -> Finding | None:
        """Count `hits` of `total` more samples; the finding if there is one now, else None."""
        if self.finding is not None or not total:
            return None
        hits, total = int(hits), int(total)
        for s, (h, n, t) in enumerate(self._windows):
            h, n = h + hits, n + total
            if n >= FIRST << s:
                self._look(h, n, self._level(s, t + 1))
                h, n, t = 0, 0, t + 1
            self._windows[s] = (h, n, t)
        self._all = h, n = self._all[0] + hits, self._all[1] + total
        level = 0.0
        while n >= FIRST << len(self._windows):  # a large batch reaches several sizes: one look
            level += self._level(len(self._windows), 1)
            self._windows.append((0, 0, 1))
        if level:
            self._look(h, n, level)
        return self.finding

    def _level(self, s, t):
        d = abs(s - self._center)
        return self.level * 2 / 3 / ((d + 1) * (d + 2)) / (t * (t + 1))

    def _look(self, hits, total, level):
        p_value = fisher_exact(self.hits, self.total, hits, total)
        if p_value <= level and (self.finding is None or p_value < self.finding.p_value):
            self.finding = Finding(
                self.hits / self.total, hits / total, self.total, total, p_value, level
            )


def fisher_exact(hits_a: int, total_a: int, hits_b: int, total_b: int) -> float:
    """Two-sided p-value of equal rates: twice the tail on the side of the change, at most 1.

    Doubling keeps each direction at half the level. Instead, `scipy.stats.fisher_exact` adds up
    all tables that are at most as probable.

    Parameters
    ----------
    hits_a, total_a, hits_b, total_b : int
        Hits and number of samples, of each of two sets.

    Returns
    -------
    p_value : float

    Examples
    --------
    >>> from skcascade.stats._sequential_fisher import fisher_exact
    >>> round(fisher_exact(90, 100, 75, 100), 4)
    0.0085
    """
    given = total_a + total_b, hits_a + hits_b, total_b
    fewer = hits_b * total_a < hits_a * total_b
    tail = hypergeom.cdf(hits_b, *given) if fewer else hypergeom.sf(hits_b - 1, *given)
    return min(1.0, 2.0 * float(tail))
