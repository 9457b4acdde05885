"""Has a rate moved? A test against held-out counts that may look as often as it likes.

If nothing moved, the `m` held-out outcomes and the `n` seen in some window are exchangeable. Given
how many of all `m + n` are hits, the hits among those seen are then hypergeometric, whatever the
rate is: Fisher's exact test, which also accounts for how few were held out. What is looked at,
and when, depends on how many samples came and never on their outcomes, so each look is such a
test. Its level is

    level * (2 / 3) / ((d + 1) (d + 2)) / (t (t + 1)),    d = |s - c|,

for the t-th window of size `FIRST * 2**s`, s = 0, 1, ...; t = 1, 2, ... Over all t and all integers
s these add up to `level`, so by the union bound a move where there is none is found, at any time,
with at most that probability. Size c is about twice what was held out: smaller windows see large
moves only, which need little level, and beyond it more samples hardly help.

The first window of each size begins with the first sample: all that was seen so far is tested
whenever it has doubled. Later ones follow one another, free of what came before them, so that a
shift after a long quiet time is not diluted.
"""

from math import log2
from typing import NamedTuple

from scipy.stats import hypergeom

__all__ = ["Finding", "RateEvent", "RateWatch", "fisher_exact"]

#: Samples in the smallest window: few enough to see a collapse at once, enough to reject at all.
FIRST = 32


class Finding(NamedTuple):
    """A window whose rate is not the held-out one.

    Attributes
    ----------
    held_out, seen : float
        The rate held out, and in the window.
    n_held_out, n_seen : int
        Samples these are shares of.
    p_value : float
        Two-sided, of the exact test.
    level : float
        What it was tested at.
    """

    held_out: float
    seen: float
    n_held_out: int
    n_seen: int
    p_value: float
    level: float


class RateEvent(NamedTuple):
    """A rate that moved.

    Attributes
    ----------
    stage : str
        Name of the stage that moved.
    source : str or None
        None: the share of those at `stage` that leave there. Else the share of those that
        go from `source` to `stage` to which both give the same answer.
    held_out, seen : float
        The rate on the held-out rows, and in the window of the stream that was tested.
    n_held_out, n_seen : int
        Samples these rates are shares of.
    p_value, level : float
        Of the two-sided exact test, and what it was tested at.
    n_samples : int
        Samples fed until then.
    """

    stage: str
    source: str | None
    held_out: float
    seen: float
    n_held_out: int
    n_seen: int
    p_value: float
    level: float
    n_samples: int

    def __str__(self):
        change = "fewer" if self.seen < self.held_out else "more"
        what = f"leave at {self.stage}"
        if self.source is not None:
            what = f"keep the answer of {self.source} at {self.stage}"
        return (
            f"{change} {what}: {self.seen:.1%} of {self.n_seen:,}, held out"
            f" {self.held_out:.1%} of {self.n_held_out:,} (p = {self.p_value:.1e}, after"
            f" {self.n_samples:,} samples)"
        )


class RateWatch:
    """One rate, watched over a stream.

    Parameters
    ----------
    hits, total : int
        Held out; `total` is 1 or more.
    level : float
        Chance, over the whole stream, of a finding if nothing moves.

    Attributes
    ----------
    finding : Finding or None
        The first; what comes later is not tested any more.

    Examples
    --------
    >>> from skcascade._shift import RateWatch
    >>> watch = RateWatch(900, 1000, level=0.01)
    >>> watch.update(90, 100), watch.update(85, 100)
    (None, None)
    >>> watch.update(60, 100)
    Finding(held_out=0.9, seen=0.6, n_held_out=1000, n_seen=100, p_value=..., level=...)
    """

    def __init__(self, hits, total, level):
        self.hits, self.total, self.level = int(hits), int(total), level
        self.finding = None
        self._centre = max(0, round(log2(2 * self.total / FIRST)))
        self._all = [0, 0]  # hits and total seen
        self._windows = []  # for each size that was reached: hits, total, windows tested

    def update(self, hits, total):
        """Count `hits` of `total` more samples; the finding if they make one, else None."""
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
        d = abs(s - self._centre)
        return self.level * 2 / 3 / ((d + 1) * (d + 2)) / (t * (t + 1))

    def _look(self, hits, total, level):
        p_value = fisher_exact(self.hits, self.total, hits, total)
        if p_value <= level and (self.finding is None or p_value < self.finding.p_value):
            self.finding = Finding(
                self.hits / self.total, hits / total, self.total, total, p_value, level
            )


def fisher_exact(hits_a, total_a, hits_b, total_b):
    """Two-sided p-value of equal rates: twice the tail on the side of the change, at most 1.

    Doubling keeps each direction at half the level; `scipy.stats.fisher_exact` instead adds up
    all tables that are as unlikely.

    Parameters
    ----------
    hits_a, total_a, hits_b, total_b : int

    Returns
    -------
    p_value : float

    Examples
    --------
    >>> from skcascade._shift import fisher_exact
    >>> round(fisher_exact(90, 100, 75, 100), 4)
    0.0085
    """
    given = total_a + total_b, hits_a + hits_b, total_b
    fewer = hits_b * total_a < hits_a * total_b
    tail = hypergeom.cdf(hits_b, *given) if fewer else hypergeom.sf(hits_b - 1, *given)
    return min(1.0, 2.0 * float(tail))
