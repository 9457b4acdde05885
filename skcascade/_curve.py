"""The trade-off between accuracy and cost, as computed arrays."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ._operating_point import OperatingPoint

__all__ = ["TradeoffCurve", "TradeoffPoint", "curve_of"]


class TradeoffPoint(NamedTuple):
    """One point of a :class:`TradeoffCurve`.

    Attributes
    ----------
    index : int
        Its position on the curve.
    parameter : float
        The operating point: the price alpha, the largest drop, or the largest cost.
    accuracy, cost, relative_cost : float
    exit_rates : ndarray of shape (n_stages,)
    """

    index: int
    parameter: float
    accuracy: float
    cost: float
    relative_cost: float
    exit_rates: np.ndarray


@dataclass(frozen=True, eq=False)
class TradeoffCurve:
    """Accuracy and cost of several operating points.

    Attributes
    ----------
    parameter : ndarray of shape (n_points,)
        Where the dial stood at each point; NaN for a stage alone.
    accuracy : ndarray of shape (n_points,)
        One less the mean loss; or the mean of whatever `metric` says.
    cost : ndarray of shape (n_points,)
        Mean cost of a sample, in the unit of the cost model.
    relative_cost : ndarray of shape (n_points,)
        The same as a share of running the last stage alone.
    exit_rates : ndarray of shape (n_points, n_stages)
        Share of the samples that leaves at each stage.
    exit_accuracy : ndarray of shape (n_points, n_stages)
        One less the mean loss of those that leave at each stage; NaN where nobody does.
    stage_accuracy, stage_cost : ndarray of shape (n_stages,)
        Accuracy and relative cost of each stage alone.
    reference : int
        The reference stage: the most accurate alone, the cheaper of two equals. It answers.
    oracle : tuple of float
        Relative cost and accuracy if every sample went straight to the cheapest of the
        stages that serve it best: what no policy can beat.
    chosen : tuple of float or None
        Relative cost and accuracy of the operating point in use.
    by : {"alpha", "max_accuracy_drop", "max_cost"}
        The dial that `parameter` is about.
    stage_names : tuple of str
        Name of each stage.
    no_answer : bool
        Whether the last stage is the exit "no answer".
    metric : str
        What `accuracy` and `stage_accuracy` hold.
    accuracy_band, cost_band : ndarray of shape (n_points, 2) or None
        Lower and upper end of the bootstrap interval of accuracy and relative cost.
    """

    parameter: np.ndarray
    accuracy: np.ndarray
    cost: np.ndarray
    relative_cost: np.ndarray
    exit_rates: np.ndarray
    exit_accuracy: np.ndarray
    stage_accuracy: np.ndarray
    stage_cost: np.ndarray
    reference: int
    oracle: tuple = (np.nan, np.nan)
    chosen: tuple | None = None
    by: str = "alpha"
    stage_names: tuple = ()
    no_answer: bool = False
    metric: str = "accuracy"
    accuracy_band: np.ndarray | None = None
    cost_band: np.ndarray | None = None

    def __len__(self):
        """Number of points."""
        return len(self.accuracy)

    def pareto(self):
        """Indices of the points that no other point beats, by rising cost.

        Returns
        -------
        indices : ndarray of int
        """
        return _front(self.relative_cost, self.accuracy)

    def at(self, *, alpha=None, max_accuracy_drop=None, max_cost=None):
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
                f" {self.relative_cost.min():.4g} and the most accurate has"
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

    def named(self, stage_names, index):
        """The same with names of the stages, and point `index` as the one in use."""
        chosen = float(self.relative_cost[index]), float(self.accuracy[index])
        return replace(self, stage_names=tuple(stage_names), chosen=chosen)

    @property
    def reference_accuracy(self):
        """What a drop is measured against: the reference stage, or with "no answer" the best point.

        Where silence costs less than the errors of the reference stage do, that stage is no
        measure: nobody would deploy it without the right to be silent.
        """
        return self.accuracy.max() if self.no_answer else self.stage_accuracy[self.reference]

    def among(self, stages):
        """Share of the samples that leave at some of the stages, and their accuracy.

        Parameters
        ----------
        stages : sequence of int

        Returns
        -------
        share : ndarray of shape (n_points,)
        accuracy : ndarray of shape (n_points,)
            One less their mean loss; NaN where there are none.
        """
        stages = list(stages)
        rates, right = self.exit_rates[:, stages], self.exit_accuracy[:, stages]
        share = rates.sum(axis=1)
        total = (rates * np.nan_to_num(right)).sum(axis=1)
        return share, np.divide(total, share, out=np.full_like(total, np.nan), where=share > 0)

    def coin_toss(self):
        """Stages between which tossing a coin is worth it, by rising cost.

        On the lines between neighbouring ones lies what can be had by sending a random share
        of the samples to one stage and the rest to another: the least a cascade must beat.

        Returns
        -------
        stages : ndarray of int
            Corners of the upper hull of the single stages.
        """
        hull = []
        for k in _front(self.stage_cost, self.stage_accuracy):
            while len(hull) > 1 and self._slope(hull[-2], hull[-1]) <= self._slope(hull[-2], k):
                hull.pop()
            hull.append(k)
        return np.array(hull)

    def _slope(self, j, k):
        cost = self.stage_cost[k] - self.stage_cost[j]
        return (self.stage_accuracy[k] - self.stage_accuracy[j]) / cost

    def area(self):
        """What the cascade adds to the single stages, over all budgets.

        Draw a budget at random between the cheapest stage and the reference stage, and
        take the best that it pays for: among points and single stages, and among single
        stages alone. The area is the mean gain in accuracy. In other words, it is by how
        much the points enlarge the hypervolume that the stages dominate, over the width of
        that range of costs.

        Returns
        -------
        area : float
            0 where no point is of any use; NaN if the reference stage is the cheapest.
        """
        low, high = self.stage_cost.min(), self.stage_cost[self.reference]
        if low == high:
            return np.nan
        alone = _mean_best(self.stage_cost, self.stage_accuracy, low, high)
        cost = np.r_[self.stage_cost, self.relative_cost]
        accuracy = np.r_[self.stage_accuracy, self.accuracy]
        return float(_mean_best(cost, accuracy, low, high) - alone)

    def to_frame(self):
        """The points as a table.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_points, n_columns)
            The dial, accuracy, cost, relative cost, the share that leaves at each stage,
            and the ends of the bands where there are any.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "`to_frame` needs pandas: python -m pip install pandas. The arrays are attributes"
                " of the curve."
            ) from error
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
        return pd.DataFrame(columns)


def _front(cost, accuracy):
    """Indices of the points that no other beats, by rising cost; one of several equals."""
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(np.r_[-np.inf, accuracy[order][:-1]])
    return order[accuracy[order] > best]


def _mean_best(cost, accuracy, low, high):
    """Mean over budgets in [low, high] of the best accuracy that each pays for."""
    front = _front(cost, accuracy)
    ends = np.clip(np.r_[cost[front], np.inf], low, high)
    widths = [after - before for before, after in pairwise(ends)]
    return accuracy[front] @ widths / (high - low)


def curve_of(parameter, ways, stage_losses, cost, weight, *, no_answer=False, **more):
    """Curve of the points whose samples lost `losses` on the ways they took.

    Parameters
    ----------
    parameter : ndarray of shape (n_points,)
    ways : iterable of (losses, prices, exits), n_points of them
        Loss at the exit taken, cost of the way taken and exit, of shape (n_samples,) each;
        one is held at a time.
    stage_losses : ndarray of shape (n_samples, n_stages)
    cost : BaseCostModel
        Fitted.
    weight : ndarray of shape (n_samples,)
    no_answer : bool, default=False
        Whether the last stage gives none.
    **more : dict
        Further attributes of the curve.

    Returns
    -------
    curve : TradeoffCurve
    """
    share = weight / weight.sum()
    stage_accuracy = 1 - share @ stage_losses
    stage_cost = cost.relative(cost.edge_costs_[0])
    accuracy, price, rates, right = zip(*(_measure(*way, share, len(stage_cost)) for way in ways))
    return TradeoffCurve(
        parameter=np.asarray(parameter, dtype=float),
        accuracy=np.array(accuracy),
        cost=np.array(price),
        relative_cost=cost.relative(np.array(price)),
        exit_rates=np.stack(rates),
        exit_accuracy=np.stack(right),
        stage_accuracy=stage_accuracy,
        stage_cost=stage_cost,
        reference=reference_of(stage_accuracy, stage_cost, no_answer),
        no_answer=no_answer,
        **{
            "oracle": _oracle(stage_losses, stage_cost, share),
            "stage_names": tuple(map(str, range(len(stage_cost)))),
            **more,
        },
    )


def reference_of(stage_accuracy, stage_cost, no_answer=False):
    """The most accurate stage that answers, the cheaper of two equals."""
    accuracy = stage_accuracy[: len(stage_accuracy) - no_answer]
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    return int(best[stage_cost[best].argmin()])


def _measure(losses, prices, exits, share, n_stages):
    """Accuracy, cost, and of each stage the share that leaves there and its accuracy."""
    rates = np.bincount(exits, share, n_stages)
    lost = np.bincount(exits, losses * share, n_stages)
    right = 1 - np.divide(lost, rates, out=np.full(n_stages, np.nan), where=rates > 0)
    return 1 - losses @ share, prices @ share, rates, right


def oracle_exits(stage_losses, stage_cost):
    """For each sample the cheapest of the stages with the least loss (n_samples,)."""
    order = np.argsort(stage_cost, kind="stable")
    return order[stage_losses[:, order].argmin(axis=1)]


def _oracle(stage_losses, stage_cost, share):
    best = oracle_exits(stage_losses, stage_cost)
    lost = np.take_along_axis(stage_losses, best[:, np.newaxis], axis=1)[:, 0]
    return float(share @ stage_cost[best]), float(1 - share @ lost)
