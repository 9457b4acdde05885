"""The report of a monitor, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..stats._sequential_fisher import RateWatch
from ._counts import Counts

__all__ = ["rate_table"]


def rate_table(
    watches: Mapping[tuple[int | None, int], RateWatch],
    names: Sequence[str],
    held_out: Counts,
    seen: Counts,
) -> list[str]:
    """Lines of a table of all rates, held out and over all samples fed.

    Parameters
    ----------
    watches : dict of (int or None, int) to RateWatch
        By source (None: the rate is that of exits) and stage.
    names : list of str
        Of the stages.
    held_out, seen : Counts

    Returns
    -------
    lines : list of str

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.monitoring._counts import Counts
    >>> from skcascade.monitoring._report import rate_table
    >>> from skcascade.stats._sequential_fisher import RateWatch
    >>> held_out = Counts(2)
    >>> held_out.add_routes(np.array([0, 1, 0, 0]), np.array([[1, 0], [1, 1], [1, 0], [1, 0]]))
    >>> watches = {(None, 0): RateWatch(3, 4, level=0.01)}
    >>> print(*rate_table(watches, ["small", "large"], held_out, Counts(2)), sep="\\n")
    share of those           held out                fed
    at small that exit    0.7500 of 4               none
    """
    what = {key: _words(names, *key) for key in watches}
    width = max(map(len, what.values()))
    lines = [f"{'share of those':<{width}}  {'held out':>17}  {'fed':>17}"]
    for key, watch in watches.items():
        before, now = _share(*held_out.rate(*key)), _share(*seen.rate(*key))
        changed = "  changed" if watch.finding else ""
        lines.append(f"{what[key]:<{width}}  {before:>17}  {now:>17}{changed}")
    return lines


def _share(hits, total):
    """A rate and the number of samples that it is a share of."""
    return f"{hits / total:.4f} of {total:,}" if total else "none"


def _words(names, source, stage):
    """The samples that a rate is the share of, and those it counts."""
    if source is None:
        return f"at {names[stage]} that exit"
    return f"from {names[source]} to {names[stage]} that keep their answer"
