"""Costs measured in seconds."""

import sys
from collections.abc import Sequence
from numbers import Integral
from time import perf_counter
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import lsq_linear

from ..evidence._stages import Call, Stages, num_rows, take
from ..utils._kinds import as_array, as_list, check_kind
from ._base import BaseCostModel

__all__ = ["LatencyCost", "fit_affine"]


class LatencyCost(BaseCostModel):
    """Costs in seconds per sample, measured on this machine.

    A call takes `fixed + slope * n` seconds for n rows. Both are fitted to timed calls
    of several sizes, and a row costs `fixed / batch_size + slope`. That is an
    approximation: fewer rows reach the later stages of a cascade, so that fewer share
    their fixed part. Measure on a quiet machine; costs differ from run to run.

    Parameters
    ----------
    batch_size : int, default=1
        Rows that will be predicted at once.
    n_repeats : int, default=5
        Timed calls of each size, of which the median counts; one untimed call warms up.
    sizes : sequence of int, default=(1, 8, 64, 256)
        Rows of the timed calls, two or more different sizes. Rows are repeated where
        there are fewer.

    Attributes
    ----------
    edge_costs_ : ndarray of shape (n_stages, n_stages)
        Seconds per sample of going from stage j (row j + 1; row 0: from the input) to
        stage k.
    fixed_, slope_ : ndarray of shape (n_stages, n_stages)
        Seconds that a call of any size takes, and seconds that each row adds.

    Raises
    ------
    ValueError
        By `fit`, if a parameter is not usable.

    See Also
    --------
    MacsCost : Counted, thus the same in every run.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.evidence._stages import Stages
    >>> from skcascade.costs import LatencyCost
    >>> class Coin:
    ...     n_exits, labels = 1, [0, 1]
    ...
    ...     def step(self, exit, X, cached):
    ...         return np.full((len(X), 2), 0.5), None
    >>> cost = LatencyCost(batch_size=32).fit(Stages([("coin", Coin())], [0, 1]), np.eye(4))
    >>> bool(np.isclose(cost.edge_costs_[0, 0], cost.fixed_[0, 0] / 32 + cost.slope_[0, 0]))
    True
    """

    unit = "seconds"

    def __init__(
        self, batch_size: int = 1, n_repeats: int = 5, sizes: Sequence[int] = (1, 8, 64, 256)
    ) -> None:
        self.batch_size = batch_size
        self.n_repeats = n_repeats
        self.sizes = sizes

    def fit(self, stages: Stages, X: Any = None) -> Self:
        """Time every edge.

        Parameters
        ----------
        stages : Stages
            Fitted members.
        X : samples
            Rows to run on.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter is not usable, or the last stage takes no time.
        """
        self._check_parameters()
        self.fixed_ = np.full((stages.n_stages, stages.n_stages), np.nan)
        self.slope_ = self.fixed_.copy()
        return super().fit(stages, X)

    def measure(self, call: Call) -> float:
        """Seconds per sample of one edge.

        Parameters
        ----------
        call : Call

        Returns
        -------
        seconds : float
        """
        seconds = [self._time(call.on(_cycle(call.X, size))) for size in self.sizes]
        fixed, slope = fit_affine(self.sizes, seconds)
        if hasattr(self, "fixed_"):
            # As in `edge_costs_`: from the input and from other members, or from an exit.
            source = call.stage - call.exit + call.cached.exit if call.cached else None
            rows = slice(call.stage + 1) if source is None else source + 1
            self.fixed_[rows, call.stage] = fixed
            self.slope_[rows, call.stage] = slope
        return fixed / self.batch_size + slope

    def _time(self, call):
        """Median seconds of one call."""
        call()
        seconds = np.empty(self.n_repeats)
        for i in range(self.n_repeats):
            _wait_for_device()
            start = perf_counter()
            call()
            _wait_for_device()
            seconds[i] = perf_counter() - start
        return float(np.median(seconds))

    def _check_parameters(self):
        for name in ("batch_size", "n_repeats"):
            check_kind(name, getattr(self, name), Integral, "an integer")
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be 1 or more, got {getattr(self, name)}.")
        sizes = as_array("sizes", as_list("sizes", self.sizes))
        if sizes.dtype.kind not in "iu" or len(np.unique(sizes)) < 2 or sizes.min() < 1:
            raise ValueError(
                "`sizes` must hold two or more different numbers of rows, each 1 or more,"
                f" got {self.sizes!r}."
            )


def fit_affine(sizes: ArrayLike, seconds: ArrayLike) -> tuple[float, float]:
    """Fit `seconds = fixed + slope * sizes`, neither negative, by relative least squares.

    Relative, because noise grows with the time taken. Otherwise the large sizes would
    decide alone, and the fixed part shows in the small ones.

    Parameters
    ----------
    sizes : array-like of shape (n_sizes,)
        Rows of each call.
    seconds : array-like of shape (n_sizes,)
        Time of each call.

    Returns
    -------
    fixed, slope : float
        Seconds per call, and per row.

    Examples
    --------
    >>> fixed, slope = fit_affine([1, 8, 64], [0.012, 0.026, 0.138])
    >>> round(fixed, 6), round(slope, 6)
    (0.01, 0.002)
    """
    sizes, seconds = np.asarray(sizes, dtype=float), np.asarray(seconds, dtype=float)
    if not seconds.any():
        return 0.0, 0.0
    # A call shorter than the clock's resolution must not get an infinite weight.
    weight = 1 / np.maximum(seconds, seconds.max() * 1e-6)
    lines = np.column_stack([np.ones_like(sizes), sizes])
    rows = lines * weight[:, None], seconds * weight
    fixed, slope = lsq_linear(*rows, bounds=(0, np.inf), method="bvls").x
    return float(fixed), float(slope)


def _cycle(X, size):
    """`size` rows of `X`, from the start again where there are fewer."""
    return take(X, np.arange(size) % num_rows(X))


def _wait_for_device():
    """Let a GPU finish: torch returns before it does."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
