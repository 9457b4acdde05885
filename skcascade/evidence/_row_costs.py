"""Costs of single rows: what each stage cost on each recorded sample.

A model that is charged by the token costs more on a long input than on a short one. Where the
costs of the rows were recorded, they belong to the evidence (`Trace.cost`), because rows and
their costs are cut together. Where they were not, a cost model gives the same cost to all rows.
The functions here are the only ones that tell these two cases apart.

Costs of rows add up over the stages visited. A rule never reads them: it decides before the next
stage runs, and what that will cost is not known then.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_floats

__all__ = ["given_costs", "incurred", "relative_edges", "stage_costs", "with_costs"]


def given_costs(
    cost: ArrayLike, shape: tuple[int, int], has_reject: bool = False
) -> NDArray[np.float64]:
    """Costs given for each row, checked; rejecting costs nothing.

    Parameters
    ----------
    cost : array-like of shape (n_samples, n_answering)
        Of the stages that do not reject.
    shape : tuple (n_samples, n_stages)
        Of the trace.
    has_reject : bool, default=False
        Whether the last stage rejects.

    Returns
    -------
    costs : ndarray of shape (n_samples, n_stages), float64
    """
    costs = as_floats("cost", cost)
    expected = shape[0], shape[1] - has_reject
    if costs.shape != expected:
        but = " without the reject stage" if has_reject else ""
        raise ValueError(
            f"`cost` for each row must have the shape (n_samples, n_stages) = {expected}{but}, got"
            f" {costs.shape}."
        )
    if not (np.isfinite(costs).all() and (costs >= 0).all()):
        raise ValueError("`cost` for each row must hold finite numbers, 0 or more.")
    if not costs[:, -1].any():
        raise ValueError(
            "`cost`: the last stage must cost more than 0 on some row, since relative costs are"
            " shares of its mean cost."
        )
    return add_free_column(costs) if has_reject else np.array(costs)


def add_free_column(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Costs of the rows with those of a last stage that is free."""
    return np.column_stack([costs, np.zeros(len(costs))])


def with_costs(trace: Any, cost: ArrayLike) -> Any:
    """A copy of `trace` with costs for each row."""
    same = copy(trace)
    same.cost = given_costs(cost, trace.proba.shape[:2], trace.has_reject)
    return same


def incurred(route: Any, cost: Any) -> NDArray[np.float64]:
    """What the route of each sample cost, in the unit of `cost`.

    Parameters
    ----------
    route : Walk
        Its own `cost` where the rows have costs; else that of the edges it took.
    cost : BaseCostModel
        Fitted.

    Returns
    -------
    incurred : ndarray of shape (n_samples,)

    Examples
    --------
    >>> from skcascade import Trace, walk
    >>> from skcascade.costs import FixedCost
    >>> from skcascade.evidence._row_costs import incurred
    >>> from skcascade.policies import ConfidenceThreshold
    >>> proba, tokens = [[[0.9, 0.1], [0.8, 0.2]], [[0.6, 0.4], [0.1, 0.9]]], [[2, 30], [4, 50]]
    >>> policy = ConfidenceThreshold().with_thresholds([0.8, float("inf")])
    >>> cost = FixedCost([3, 40]).fit(2)
    >>> incurred(walk(Trace(proba), policy), cost)
    array([ 3., 43.])
    >>> incurred(walk(Trace(proba, cost=tokens), policy), cost)
    array([ 2., 54.])
    """
    return cost.path_cost(route.visited) if route.cost is None else route.cost


def stage_costs(trace: Any, cost: Any) -> NDArray[np.float64]:
    """Cost of each stage alone (n_stages,), or (n_samples, n_stages) where rows have costs."""
    return cost.edge_costs_[0] if trace.cost is None else trace.cost


def relative_edges(trace: Any, cost: Any) -> NDArray[np.float64]:
    """Relative cost of each edge.

    Parameters
    ----------
    trace : Trace
    cost : BaseCostModel
        Fitted.

    Returns
    -------
    edges : ndarray of shape (n_stages, n_stages) or (n_stages, n_stages, n_samples)
        From stage j (row j + 1; row 0: from the input) to stage k. The second shape where rows
        have costs: then it does not matter where a sample comes from, and the array is a view.
    """
    if trace.cost is None:
        return cost.relative(cost.edge_costs_)
    n_samples, n_stages = trace.cost.shape
    by_stage = np.ascontiguousarray(cost.relative(trace.cost).T)
    return np.broadcast_to(by_stage, (n_stages, n_stages, n_samples))
