"""What the monitor reports: the rates that changed."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RateEvent"]


class RateEvent(NamedTuple):
    """A rate that changed.

    Attributes
    ----------
    stage : str
        Name of the stage at which the rate changed.
    source : str or None
        None: the rate is the share of the samples at `stage` that exit there. Else it is the
        share of the samples deferred from `source` to `stage` for which both stages give the
        same answer.
    held_out, seen : float
        The rate on the held-out rows, and in the window of the stream that was tested.
    n_held_out, n_seen : int
        Samples these rates are shares of.
    p_value, level : float
        Of the two-sided exact test, and the level it was tested at.
    n_samples : int
        Samples fed until then.

    Examples
    --------
    >>> from skcascade.monitoring._events import RateEvent
    >>> print(RateEvent("linear", None, 0.8, 0.4, 1000, 50, 4.7e-9, 1e-4, 100))
    fewer exit at linear: 40.0% of 50, held out 80.0% of 1,000 (p = 4.7e-09, after 100 samples)
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

    def __str__(self) -> str:
        change = "fewer" if self.seen < self.held_out else "more"
        what = f"exit at {self.stage}"
        if self.source is not None:
            what = f"keep the answer of {self.source} at {self.stage}"
        return (
            f"{change} {what}: {self.seen:.1%} of {self.n_seen:,}, held out"
            f" {self.held_out:.1%} of {self.n_held_out:,} (p = {self.p_value:.1e}, after"
            f" {self.n_samples:,} samples)"
        )
