"""Certified operating points: bounds that hold with a stated confidence.

Candidates are tuned on one part of the trace and tested, one after the other, on the rest. The
test of one candidate is a bet against "its mean is above the bound" (Waudby-Smith and Ramdas,
Estimating means of bounded random variables by betting, JRSS-B 2024): a capital that starts at 1
and cannot be expected to grow if that is true, so that it exceeds 1 / (1 - confidence_level) with
probability at most 1 - confidence_level (Ville). The candidates are tested from the safest to the
boldest and the first failure ends the sequence (fixed-sequence testing; Angelopoulos et al., Learn
then test, 2021), so no correction for their number is due.
"""

import warnings

import numpy as np

from ._walk import walk
from .exceptions import CascadeWarning

__all__ = ["certified", "log_capital"]


def log_capital(values, bound, upper, stake):
    """Log of the largest capital reached by betting that the mean of `values` is below `bound`.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        In random order, none above `upper`.
    bound, upper : float
        The bound on the mean to certify, and the largest value possible.
    stake : float
        What is bet on each value; cut to what cannot go bankrupt.

    Returns
    -------
    log_capital : float
        The bound is certified at `confidence_level` if this is -log(1 - confidence_level)
        or more.
    """
    if bound >= upper:
        return np.inf
    stake = min(stake, 0.99 / (upper - bound))
    return np.cumsum(np.log1p(stake * (bound - values))).max(initial=0.0)


def certified(search, target, confidence_level, trace, y, cost):
    """Index of the boldest candidate that is certified on rows it was not tuned on.

    Parameters
    ----------
    search : Search
        Its `fresh` rows are kept for this.
    target : OperatingPoint
        With `max_accuracy_drop` or `max_cost`.
    confidence_level : float
        In (0, 1).
    trace, y, cost
        The whole trace, its codes, fitted prices.

    Returns
    -------
    index : int
        Of the candidate; the stage alone that needs no proof, if nothing is certified.

    Raises
    ------
    ValueError
        If losses lie outside [0, 1].

    Warns
    -----
    CascadeWarning
        If nothing is certified.
    """
    test = _CostTest if target.max_cost is not None else _DropTest
    test = test(search, target, trace, y, cost)
    needed = -np.log1p(-confidence_level)  # log capital
    passed = test.fallback
    for index in test.order:
        seen = test.values(index, search.rows)
        spread = np.mean((seen - test.bound) ** 2) + 1e-4
        # The stake that reaches `needed` at the last fresh row with the least edge.
        stake = np.sqrt(2 * needed / (max(1, len(search.fresh)) * spread))
        fresh = test.values(index, search.fresh)
        if log_capital(fresh, test.bound, test.upper, stake) < needed:
            break
        passed = index
    if passed == test.fallback and len(test.order):
        _warn(search, test, needed)
    return passed


class _DropTest:
    """Candidates from the dearest to the cheapest; values: loss above the reference stage's."""

    upper = 1.0

    def __init__(self, search, target, trace, y, cost):
        self.search, self.trace = search, trace
        self.losses = trace.losses(y)
        if self.losses.min() < 0 or self.losses.max() > 1:
            raise ValueError("`confidence_level` needs a `loss` between 0 and 1.")
        curve = search.curve
        self.bound = target.max_accuracy_drop
        self.fallback = search.alone(curve.reference)
        cheaper = np.flatnonzero(curve.relative_cost < curve.relative_cost[self.fallback])
        self.order = cheaper[np.argsort(-curve.relative_cost[cheaper], kind="stable")]

    def values(self, index, rows):
        way = walk(self.trace.rows(rows), self.search.policies[index])
        return self.losses[rows, way.exit] - self.losses[rows, self.search.curve.reference]


class _CostTest:
    """Candidates from the cheapest to the dearest; values: relative cost of the way."""

    def __init__(self, search, target, trace, y, cost):
        self.search, self.trace, self.cost = search, trace, cost
        curve = search.curve
        self.bound = target.max_cost
        self.upper = cost.relative(_dearest_way(cost.edge_costs_))
        self.fallback = search.alone(target.choose_stage(curve))
        better = np.flatnonzero(curve.accuracy > curve.accuracy[self.fallback])
        self.order = better[np.argsort(curve.relative_cost[better], kind="stable")]

    def values(self, index, rows):
        way = walk(self.trace.rows(rows), self.search.policies[index])
        return self.cost.relative(self.cost.path_cost(way.visited))


def _dearest_way(edges):
    """The most that any way through the stages costs: skipping a stage may be dearer."""
    paid = edges[0].copy()
    for k in range(1, len(edges)):
        paid[k] = max(paid[k], (paid[:k] + edges[1 : k + 1, k]).max())
    return paid.max()


def _warn(search, test, needed):
    """Say that nothing was certified, and how many rows would likely be enough."""
    growth, n_fresh = 0.0, len(search.fresh)  # growth of the log capital, per fresh row
    if n_fresh and len(test.order):  # nothing is certified before the first of them is
        edge = test.bound - test.values(test.order[0], search.fresh)
        stakes = np.geomspace(1e-3, 1, 30) * 0.99 / (test.upper - test.bound)
        growth = max(np.log1p(stake * edge).mean() for stake in stakes)
    if growth > 0:
        per_fresh = (len(search.rows) + n_fresh) / n_fresh
        rows = int(np.ceil(max(needed / growth, n_fresh + 1) * per_fresh))
        advice = f" About {rows} held-out rows would likely be enough."
    else:
        advice = " On the rows at hand no candidate keeps it, so more rows are unlikely to help."
    warnings.warn(
        "No operating point could be certified: the answer is one stage alone, which needs"
        " no proof." + advice,
        CascadeWarning,
        stacklevel=5,
    )
