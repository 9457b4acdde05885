"""The trade-off between accuracy and cost, as computed arrays."""

from dataclasses import dataclass

import numpy as np

__all__ = ["TradeoffCurve", "curve_of"]


@dataclass(frozen=True, eq=False)
class TradeoffCurve:
    """Accuracy and cost of several operating points.

    Attributes
    ----------
    alpha : ndarray of shape (n_points,)
        Price of cost each point was fitted at; NaN for a stage alone.
    accuracy : ndarray of shape (n_points,)
        One less the mean loss.
    cost : ndarray of shape (n_points,)
        Mean cost of a sample, in the unit of the cost model.
    relative_cost : ndarray of shape (n_points,)
        The same as a share of running the last stage alone.
    exit_rates : ndarray of shape (n_points, n_stages)
        Share of the samples that leaves at each stage.
    exit_accuracy : ndarray of shape (n_points, n_stages)
        Accuracy over those that leave at each stage; NaN where nobody does.
    stage_accuracy, stage_cost : ndarray of shape (n_stages,)
        Accuracy and relative cost of each stage alone.
    reference : int
        The reference stage: the most accurate alone, the cheaper of two equals.
    """

    alpha: np.ndarray
    accuracy: np.ndarray
    cost: np.ndarray
    relative_cost: np.ndarray
    exit_rates: np.ndarray
    exit_accuracy: np.ndarray
    stage_accuracy: np.ndarray
    stage_cost: np.ndarray
    reference: int

    def __len__(self):
        """Number of points."""
        return len(self.accuracy)

    def pareto(self):
        """Indices of the points that no other point beats, by rising cost."""
        order = np.lexsort((-self.accuracy, self.relative_cost))
        best = np.maximum.accumulate(np.r_[-np.inf, self.accuracy[order][:-1]])
        return order[self.accuracy[order] > best]


def curve_of(alphas, losses, visits, exits, stage_losses, cost, weight):
    """Curve of the points whose samples lost `losses` on the ways `visits`.

    Parameters
    ----------
    alphas : ndarray of shape (n_points,)
    losses : ndarray of shape (n_points, n_samples)
        Loss at the exit taken.
    visits : ndarray of shape (n_points, n_samples)
        Cost of the way taken.
    exits : ndarray of int, shape (n_points, n_samples)
    stage_losses : ndarray of shape (n_samples, n_stages)
    cost : BaseCostModel
        Fitted.
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    curve : TradeoffCurve
    """
    share = weight / weight.sum()
    n_stages = stage_losses.shape[1]
    stage_accuracy = 1 - share @ stage_losses
    stage_cost = cost.relative(cost.edge_costs_[0])
    best = np.flatnonzero(stage_accuracy >= stage_accuracy.max() - 1e-12)
    price = visits @ share
    leaves = [exits == k for k in range(n_stages)]
    rates = np.stack([here @ share for here in leaves], axis=1)
    lost = np.stack([(here * losses) @ share for here in leaves], axis=1)
    return TradeoffCurve(
        alpha=np.asarray(alphas, dtype=float),
        accuracy=1 - losses @ share,
        cost=price,
        relative_cost=cost.relative(price),
        exit_rates=rates,
        exit_accuracy=1 - np.divide(lost, rates, out=np.full_like(lost, np.nan), where=rates > 0),
        stage_accuracy=stage_accuracy,
        stage_cost=stage_cost,
        reference=int(best[stage_cost[best].argmin()]),
    )
