"""Trade-off curves from the outcomes of policies."""

from __future__ import annotations

import numpy as np

from ._curve import TradeoffCurve

__all__ = ["build_curve", "measure_outcome", "oracle_exits", "reference_stage"]


def build_curve(parameter, points, stage_losses, cost, weight, *, has_reject=False, **more):
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
    stage_cost = cost.relative(cost.edge_costs_[0])
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
            "oracle": _oracle(stage_losses, stage_cost, share),
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
    """For each sample the cheapest of the stages with the smallest loss (n_samples,)."""
    order = np.argsort(stage_cost, kind="stable")
    return order[stage_losses[:, order].argmin(axis=1)]


def _oracle(stage_losses, stage_cost, share):
    best = oracle_exits(stage_losses, stage_cost)
    losses = np.take_along_axis(stage_losses, best[:, np.newaxis], axis=1)[:, 0]
    return float(share @ stage_cost[best]), float(1 - share @ losses)
