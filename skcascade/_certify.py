"""Certified operating points: bounds that hold with a stated confidence.

Candidates are tuned on one part of the trace and tested, one after the other, on the rest: from
the safest to the boldest, until the first that fails (fixed-sequence testing; Angelopoulos et
al., Learn then test, 2021), so that no correction for their number is due. All that passed are
certified together, and the best of them is the answer.

A bound on the drop of 0/1 losses is tested exactly (`_paired_test`). Other losses, and costs, are
tested by betting (Waudby-Smith and Ramdas, Estimating means of bounded random variables by
betting, JRSS-B 2024): a bet against "the mean is above the bound" has a capital that starts at 1
and cannot be expected to grow if that is true, so that it ever exceeds 1 / p with probability p
at most (Ville).
"""

import warnings

import numpy as np
from scipy.special import ndtri

from ._paired_test import paired_p_value
from ._walk import walk
from .exceptions import CascadeWarning

__all__ = ["TUNING_SHARE", "bound_test", "certified", "log_capital"]

#: Share of the trace on which the candidates are tuned when one is to be certified.
TUNING_SHARE = 0.4
#: Share of the reference's cost by which a step of the sequence is cheaper than the one before.
#: The first candidate beyond the bound has the full chance to slip through; where it is far beyond,
#: it has less. So steps that save little only make broken bounds more likely.
STEP = 0.05
#: With this probability a candidate is certified on as many rows as are said to be enough.
POWER = 0.8


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
    """Index of the best candidate that is certified on rows it was not tuned on.

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
        Of the candidate; the one that needs no proof, if nothing is certified.

    Raises
    ------
    ValueError
        If losses lie outside [0, 1].

    Warns
    -----
    CascadeWarning
        If nothing is certified.
    """
    test = bound_test(search, target, trace, y, cost)
    level = 1 - confidence_level
    passed = [test.fallback]
    for index in test.order:
        if test.p_value(index, level) > level:
            break
        passed.append(index)
    if len(passed) == 1 and len(test.order):
        _warn(search, test, level)
    return min(passed, key=test.rank)


def bound_test(search, target, trace, y, cost):
    """The test of the bound that `target` sets."""
    kind = _CostTest if target.max_cost is not None else _DropTest
    return kind(search, target, trace, y, cost)


class _BoundTest:
    """Candidates in the order in which they are tested, and what is known of each.

    Attributes
    ----------
    bound, upper : float
        On the mean of the values, and the largest value possible.
    fallback : int
        The candidate that needs no proof.
    order : ndarray of int
    """

    def __init__(self, search, target, trace, y, cost):
        self.search, self.trace, self.cost = search, trace, cost

    def _sequence(self, eligible, key):
        """Candidates that are `eligible`, by `key`.

        A stage alone is a step far from its neighbours, and whatever comes after a step that
        fails is lost. So it only takes part where no other candidate beats it.
        """
        on_front = np.zeros(len(eligible), dtype=bool)
        on_front[self.search.curve.pareto()] = True
        eligible = np.flatnonzero(eligible & (on_front | ~np.isnan(self.search.curve.parameter)))
        return eligible[np.argsort(key[eligible], kind="stable")]

    def p_value(self, index, level):
        """P-value of "the mean is above the bound", on the fresh rows; best at `level`."""
        seen, fresh = self.values(index, self.search.rows), self.search.fresh
        spread = np.mean((seen - self.bound) ** 2) + 1e-4
        # The stake that reaches 1 / level at the last fresh row with the least margin.
        stake = np.sqrt(-2 * np.log(level) / (max(1, len(fresh)) * spread))
        return np.exp(-log_capital(self.values(index, fresh), self.bound, self.upper, stake))

    def n_needed(self, index, level, power=POWER):
        """Fresh rows on which a candidate is likely certified; inf if on none."""
        rows = np.r_[self.search.rows, self.search.fresh]
        margin = self.bound - self.mean(index)
        if margin <= 0:
            return np.inf
        deviations = (self.deviations(level) + ndtri(power)) / margin
        bounded = 0 < self.bound < self.upper
        sure = np.log(level) / np.log1p(-self.bound / self.upper) if bounded else 0
        return max(deviations**2 * self.values(index, rows).var(), sure)

    def deviations(self, level):
        """Standard errors by which the mean must be below the bound."""
        return np.sqrt(-2 * np.log(level))


class _DropTest(_BoundTest):
    """Candidates from the dearest to the cheapest; values: loss above the reference's."""

    upper = 1.0

    def __init__(self, search, target, trace, y, cost):
        super().__init__(search, target, trace, y, cost)
        self.losses = trace.losses(y)
        if self.losses.min() < 0 or self.losses.max() > 1:
            raise ValueError("`confidence_level` needs a `loss` between 0 and 1.")
        self.zero_one = np.isin(self.losses, (0, 1)).all()
        self.bound = target.max_accuracy_drop
        self.fallback = search.reference
        price = search.curve.relative_cost
        order = self._sequence(price < price[self.fallback], -price)
        self.order = steps(order, price, STEP * price[self.fallback])
        self._reference = walk(trace, search.policies[self.fallback]).exit

    def rank(self, index):
        """The cheapest first."""
        return self.search.curve.relative_cost[index]

    def mean(self, index):
        """Drop, cross-fitted."""
        return self.search.curve.accuracy[self.fallback] - self.search.curve.accuracy[index]

    def values(self, index, rows):
        """Loss of a candidate less that of the reference."""
        way = walk(self.trace.rows(rows), self.search.policies[index])
        return self.losses[rows, way.exit] - self.losses[rows, self._reference[rows]]

    def p_value(self, index, level):
        """Exact for 0/1 losses."""
        if not self.zero_one:
            return super().p_value(index, level)
        values = self.values(index, self.search.fresh)
        counts = (values > 0).sum(), (values < 0).sum(), len(values)
        return paired_p_value(*counts, self.bound, missed=0.01 * level)

    def deviations(self, level):
        """Standard errors by which the drop must be below the bound."""
        return -ndtri(level) if self.zero_one else super().deviations(level)


def steps(order, price, least):
    """Those of `order`, by falling price, that are cheaper by `least` than the one kept before."""
    kept = []
    for index in order:
        if not kept or price[kept[-1]] - price[index] >= least:
            kept.append(index)
    return np.array(kept, dtype=int)


class _CostTest(_BoundTest):
    """Candidates from the cheapest to the dearest; values: relative cost of the way."""

    def __init__(self, search, target, trace, y, cost):
        super().__init__(search, target, trace, y, cost)
        curve = search.curve
        self.bound = target.max_cost
        self.upper = cost.relative(_dearest_way(cost.edge_costs_))
        self.fallback = search.alone(target.choose_stage(curve))
        better = curve.accuracy > curve.accuracy[self.fallback]
        self.order = self._sequence(better, curve.relative_cost)

    def rank(self, index):
        """The most accurate first, of equals the cheaper."""
        curve = self.search.curve
        return -curve.accuracy[index], curve.relative_cost[index]

    def mean(self, index):
        """Relative cost, cross-fitted."""
        return self.search.curve.relative_cost[index]

    def values(self, index, rows):
        """Relative cost of each way."""
        way = walk(self.trace.rows(rows), self.search.policies[index])
        return self.cost.relative(self.cost.path_cost(way.visited))


def _dearest_way(edges):
    """The most that any way through the stages costs: skipping a stage may be dearer."""
    paid = edges[0].copy()
    for k in range(1, len(edges)):
        paid[k] = max(paid[k], (paid[:k] + edges[1 : k + 1, k]).max())
    return paid.max()


def _warn(search, test, level):
    """Say that nothing was certified, and how many rows would likely be enough."""
    n_fresh = test.n_needed(test.order[0], level)
    if np.isfinite(n_fresh):
        rows = int(np.ceil(max(n_fresh, len(search.fresh) + 1) / (1 - TUNING_SHARE)))
        advice = f" About {rows} held-out rows would likely be enough."
    else:
        advice = " On the rows at hand no candidate keeps it, so more rows are unlikely to help."
    warnings.warn(
        "No operating point could be certified: the answer is one stage alone, which needs"
        " no proof." + advice,
        CascadeWarning,
        stacklevel=5,
    )
