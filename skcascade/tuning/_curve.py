"""The trade-off between accuracy and cost, as computed arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..utils._kinds import as_indices
from ..utils._pandas import import_pandas
from ._operating_point import OperatingPoint

__all__ = ["TradeoffCurve", "TradeoffPoint"]


class TradeoffPoint(NamedTuple):
    """One point of a :class:`TradeoffCurve`.

    Attributes
    ----------
    index : int
        Its position on the curve.
    parameter : float
        The operating point: alpha, the largest drop, or the largest cost.
    accuracy, cost, relative_cost : float
    exit_rates : ndarray of shape (n_stages,)
    """

    index: int  # type: ignore[assignment]
    parameter: float
    accuracy: float
    cost: float
    relative_cost: float
    exit_rates: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TradeoffCurve:
    """Accuracy and cost of several operating points.

    Attributes
    ----------
    parameter : ndarray of shape (n_points,)
        The operating point of each point; NaN for a stage alone.
    accuracy : ndarray of shape (n_points,)
        One minus the mean loss, or the score of a scorer: `metric` names it.
    cost : ndarray of shape (n_points,)
        Mean cost of a sample, in the unit of the cost model.
    relative_cost : ndarray of shape (n_points,)
        The same as a share of running the last stage alone.
    exit_rates : ndarray of shape (n_points, n_stages)
        Share of the samples that exits at each stage.
    exit_accuracy : ndarray of shape (n_points, n_stages)
        One minus the mean loss of the samples that exit at each stage; NaN where none does.
    stage_accuracy, stage_cost : ndarray of shape (n_stages,)
        Accuracy and relative cost of each stage alone. On the curve of a search all accuracies
        are expected ones, shifted so that the reference stage has the observed one.
    reference : int
        The reference stage: the most accurate alone, the cheaper of two equals. It is never the
        reject stage.
    oracle : tuple of float
        Relative cost and accuracy if every sample went straight to the cheapest of the
        stages with the smallest loss for it: no policy can beat it.
    chosen : tuple of float or None
        Relative cost and accuracy of the operating point in use.
    by : {"alpha", "max_accuracy_drop", "max_cost"}
        The parameter of the operating points.
    stage_names : tuple of str
        Name of each stage.
    has_reject : bool
        Whether samples that exit at the last stage are rejected.
    metric : str
        Name of the score in `accuracy` and `stage_accuracy`: "accuracy", that of another loss,
        such as "balanced accuracy" or "1 - log loss", or that of a scorer.
    accuracy_band, cost_band : ndarray of shape (n_points, 2) or None
        Lower and upper end of the bootstrap interval of accuracy and relative cost.
    """

    parameter: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    cost: NDArray[np.float64]
    relative_cost: NDArray[np.float64]
    exit_rates: NDArray[np.float64]
    exit_accuracy: NDArray[np.float64]
    stage_accuracy: NDArray[np.float64]
    stage_cost: NDArray[np.float64]
    reference: int
    oracle: tuple[float, float] = (np.nan, np.nan)
    chosen: tuple[float, float] | None = None
    by: str = "alpha"
    stage_names: tuple[str, ...] = ()
    has_reject: bool = False
    metric: str = "accuracy"
    accuracy_band: NDArray[np.float64] | None = None
    cost_band: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """Number of points."""
        return len(self.accuracy)

    def pareto(self) -> NDArray[np.intp]:
        """Indices of the points that no other point beats, by rising cost.

        Returns
        -------
        indices : ndarray of int
        """
        return _front(self.relative_cost, self.accuracy)

    def at(
        self,
        *,
        alpha: float | None = None,
        max_accuracy_drop: float | None = None,
        max_cost: float | None = None,
    ) -> TradeoffPoint:
        """The point that serves an operating point best.

        Parameters
        ----------
        alpha, max_accuracy_drop, max_cost : float, default=None
            As for :class:`CascadeClassifier`; none means `max_accuracy_drop=0`.

        Returns
        -------
        point : TradeoffPoint

        Raises
        ------
        ValueError
            If several are given, one is out of range, or no point of the curve keeps to it.
        """
        target = OperatingPoint.check(alpha, max_accuracy_drop, max_cost)
        i = target.choose(self)
        if target.misses(self, i):
            raise ValueError(
                f"No point of the curve keeps to {target.text()}: the cheapest costs"
                f" {self.relative_cost.min():.4g} and the best {self.metric} is"
                f" {self.accuracy.max():.4g}. Allow more, or draw a curve of more points."
            )
        return TradeoffPoint(
            i,
            float(self.parameter[i]),
            float(self.accuracy[i]),
            float(self.cost[i]),
            float(self.relative_cost[i]),
            self.exit_rates[i],
        )

    def shifted(self, accuracy: float) -> TradeoffCurve:
        """The same with all accuracies higher by a constant: drops stay as they are."""
        return replace(
            self,
            accuracy=self.accuracy + accuracy,
            exit_accuracy=self.exit_accuracy + accuracy,
            stage_accuracy=self.stage_accuracy + accuracy,
        )

    def with_names(self, stage_names: Sequence[str], index: int) -> TradeoffCurve:
        """The same with names of the stages, and point `index` as the one in use."""
        chosen = float(self.relative_cost[index]), float(self.accuracy[index])
        return replace(self, stage_names=tuple(stage_names), chosen=chosen)

    @property
    def reference_accuracy(self) -> float:
        """The accuracy that a drop is measured against.

        That of the reference stage; where samples may be rejected, that of the best point. If
        rejecting costs less than the errors of the reference stage, that stage alone is no
        alternative to the cascade.
        """
        return self.accuracy.max() if self.has_reject else self.stage_accuracy[self.reference]

    def answered_by(self, stages: Iterable[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of the samples that exit at some of the stages, and their accuracy.

        Parameters
        ----------
        stages : sequence of int

        Returns
        -------
        share : ndarray of shape (n_points,)
        accuracy : ndarray of shape (n_points,)
            One minus their mean loss; NaN where there are none.
        """
        stages = as_indices("stages", stages, self.exit_rates.shape[1])
        rates, right = self.exit_rates[:, stages], self.exit_accuracy[:, stages]
        share = rates.sum(axis=1)
        total = (rates * np.nan_to_num(right)).sum(axis=1)
        return share, np.divide(total, share, out=np.full_like(total, np.nan), where=share > 0)

    def random_mixture(self) -> NDArray[np.intp]:
        """Stages of which random mixtures are worthwhile, by rising cost.

        Sending a random share of the samples to one stage and the rest to another gives any
        point on the line between the two. A cascade must at least beat the lines between
        neighbors of these stages.

        Returns
        -------
        stages : ndarray of int
            Corners of the upper hull of the single stages.
        """
        hull: list[int] = []
        for k in _front(self.stage_cost, self.stage_accuracy):
            while len(hull) > 1 and self._slope(hull[-2], hull[-1]) <= self._slope(hull[-2], k):
                hull.pop()
            hull.append(k)
        return np.array(hull)

    def _slope(self, j, k):
        cost = self.stage_cost[k] - self.stage_cost[j]
        return (self.stage_accuracy[k] - self.stage_accuracy[j]) / cost

    def area(self) -> float:
        """Mean gain in accuracy over the single stages, over all budgets.

        Draw a budget at random between the cost of the cheapest stage and that of the reference
        stage. The gain is the best accuracy within that budget among points and single stages,
        minus the best among single stages. In other words, the area is the growth of the
        hypervolume that the stages dominate, over the width of that range of costs.

        Returns
        -------
        area : float
            0 if no point is better than a stage; NaN if the reference stage is the cheapest.
        """
        low, high = self.stage_cost.min(), self.stage_cost[self.reference]
        if low == high:
            return np.nan
        alone = _mean_best(self.stage_cost, self.stage_accuracy, low, high)
        cost = np.r_[self.stage_cost, self.relative_cost]
        accuracy = np.r_[self.stage_accuracy, self.accuracy]
        return float(_mean_best(cost, accuracy, low, high) - alone)

    def to_frame(self) -> Any:
        """The points as a table.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_points, n_columns)
            The operating point, accuracy, cost, relative cost, the exit rate of each stage,
            and the ends of the bands where there are any.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns = {
            self.by: self.parameter,
            self.metric: self.accuracy,
            "cost": self.cost,
            "relative_cost": self.relative_cost,
        }
        for k, name in enumerate(self.stage_names):
            columns[f"exit_rate {name}"] = self.exit_rates[:, k]
        bands = {self.metric: self.accuracy_band, "relative_cost": self.cost_band}
        for name, band in bands.items():
            if band is not None:
                columns[f"{name} low"], columns[f"{name} high"] = band.T
        return import_pandas().DataFrame(columns)


def _front(cost, accuracy):
    """Indices of the points that no other point beats, by rising cost; one of several equals."""
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(np.r_[-np.inf, accuracy[order][:-1]])
    return order[accuracy[order] > best]


def _mean_best(cost, accuracy, low, high):
    """Mean over budgets in [low, high] of the best accuracy within each."""
    front = _front(cost, accuracy)
    ends = np.clip(np.r_[cost[front], np.inf], low, high)
    widths = [after - before for before, after in pairwise(ends)]
    return accuracy[front] @ widths / (high - low)
