"""Trade-off curves from the outcomes of policies."""

from __future__ import annotations

import numpy as np

from ._curve import TradeoffCurve

__all__ = ["build_curve", "measure_outcome", "oracle_exits", "oracle_point", "reference_stage"]


def build_curve(
    parameter, points, stage_losses, cost, weight, *, stage_cost=None, has_reject=False, **more
):
    """Curve of measured points.

    Parameters
    ----------
    parameter : ndarray of shape (n_points,)
    points : iterable of tuples, n_points of them
        What :func:`measure_outcome` returns.
    stage_losses : ndarray of shape (n_samples, n_stages)
    cost : BaseCostModel
        Fitted.
    weight : ndarray of shape (n_samples,)
    stage_cost : ndarray of shape (n_stages,) or (n_samples, n_stages), default=None
        Relative cost of each stage alone, also for each row. None: that of `cost`.
    has_reject : bool, default=False
        Whether the last stage rejects.
    **more : dict
        Further attributes of the curve.

    Returns
    -------
    curve : TradeoffCurve
    """
    share = weight / weight.sum()
    stage_accuracy = 1 - share @ stage_losses
    alone = cost.relative(cost.edge_costs_[0]) if stage_cost is None else stage_cost
    stage_cost = alone if alone.ndim == 1 else share @ alone
    accuracy, spent, rates, right = zip(*points)
    return TradeoffCurve(
        parameter=np.asarray(parameter, dtype=float),
        accuracy=np.array(accuracy),
        cost=np.array(spent),
        relative_cost=cost.relative(np.array(spent)),
        exit_rates=np.stack(rates),
        exit_accuracy=np.stack(right),
        stage_accuracy=stage_accuracy,
        stage_cost=stage_cost,
        reference=reference_stage(stage_accuracy, stage_cost, has_reject),
        has_reject=has_reject,
        **{
            "oracle": oracle_point(stage_losses, alone, share),
            "stage_names": tuple(map(str, range(len(stage_cost)))),
            **more,
        },
    )


def reference_stage(stage_accuracy, stage_cost, has_reject=False):
    """The most accurate stage that does not reject, the cheaper of two equals."""
    accuracy = stage_accuracy[: len(stage_accuracy) - has_reject]
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    return int(best[stage_cost[best].argmin()])


def measure_outcome(losses, costs, exits, weight, n_stages):
    """Accuracy, cost, and for each stage its exit rate and the accuracy of these samples.

    Parameters
    ----------
    losses, costs, exits : ndarray of shape (n_samples,)
        Loss at the exit, cost incurred, and exit.
    weight : ndarray of shape (n_samples,)
    n_stages : int

    Returns
    -------
    accuracy, cost : float
    exit_rates, exit_accuracy : ndarray of shape (n_stages,)
    """
    share = weight / weight.sum()
    rates = np.bincount(exits, share, n_stages)
    loss = np.bincount(exits, losses * share, n_stages)
    right = 1 - np.divide(loss, rates, out=np.full(n_stages, np.nan), where=rates > 0)
    return 1 - losses @ share, costs @ share, rates, right


def oracle_exits(stage_losses, stage_cost):
    """For each sample the cheapest of the stages with the smallest loss (n_samples,).

    `stage_cost` is (n_stages,) or (n_samples, n_stages).
    """
    best = stage_losses == stage_losses.min(axis=1, keepdims=True)
    return np.where(best, stage_cost, np.inf).argmin(axis=1)


def oracle_point(stage_losses, stage_cost, share):
    """Mean cost and accuracy at `oracle_exits`; `share` are weights that add up to 1."""
    best = oracle_exits(stage_losses, stage_cost)
    rows = np.arange(len(best))
    costs = np.broadcast_to(stage_cost, stage_losses.shape)[rows, best]
    return float(share @ costs), float(1 - share @ stage_losses[rows, best])
