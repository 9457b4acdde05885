"""Certified operating points: bounds that hold with a stated confidence.

Candidates are tuned on one part of the trace and tested one after the other on the rest, from
the safest to the boldest, until the first that fails (`fixed_sequence`). All that passed are
certified together, and the best of them is chosen.

A bound on the drop of 0/1 losses is tested exactly (`paired_p_value`). Other losses, and costs,
are tested by betting (`betting_p_value`).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from ..evidence._walk import walk
from ..stats._betting import betting_p_value
from ..stats._fixed_sequence import fixed_sequence, thin_sequence
from ..stats._paired_risk_difference import paired_p_value
from ..utils._warn import warn

__all__ = ["TUNING_SHARE", "bound_test", "certify"]

#: Share of the trace on which the candidates are tuned when one is to be certified.
TUNING_SHARE = 0.4
#: Share of the reference's cost by which a step of the sequence is cheaper than the one before.
#: The first candidate beyond the bound passes with the full error probability; one far beyond it,
#: with less. So steps that save little only make broken bounds more likely.
STEP = 0.05
#: With this probability a candidate is certified on the number of rows that is recommended.
POWER = 0.8


def certify(search, target, confidence_level, trace, y, cost):
    """Index of the best candidate that is certified on rows it was not tuned on.

    Parameters
    ----------
    search : Search
        Its `test_rows` are kept for this.
    target : OperatingPoint
        With `max_accuracy_drop` or `max_cost`.
    confidence_level : float
        In (0, 1).
    trace, y, cost
        The whole trace, its codes, the fitted cost model.

    Returns
    -------
    index : int
        Of the candidate; the one that needs no test, if nothing is certified.

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
    p_values = (test.p_value(index, level) for index in test.order)
    n_certified = fixed_sequence(p_values, level)
    if not n_certified and len(test.order):
        _warn_nothing_certified(search, test, level)
    return min([test.fallback, *test.order[:n_certified]], key=test.rank)


def bound_test(search, target, trace, y, cost):
    """The test of the bound that `target` sets."""
    kind = _CostTest if target.max_cost is not None else _DropTest
    return kind(search, target, trace, y, cost)


class _BoundTest:
    """Candidates in the order in which they are tested, and their p-values.

    Attributes
    ----------
    bound, upper : float
        On the mean of the values, and the largest possible value.
    fallback : int
        The candidate that needs no test.
    order : ndarray of int
    """

    def __init__(self, search, trace, cost):
        self.search, self.trace, self.cost = search, trace, cost

    def _sequence(self, eligible, key):
        """Candidates that are `eligible`, by `key`.

        A stage alone is a step far from its neighbors, and all steps after one that
        fails are lost. So it only takes part where no other candidate beats it.
        """
        on_front = np.zeros(len(eligible), dtype=bool)
        on_front[self.search.curve.pareto()] = True
        eligible = np.flatnonzero(eligible & (on_front | ~np.isnan(self.search.curve.parameter)))
        return eligible[np.argsort(key[eligible], kind="stable")]

    def p_value(self, index, level):
        """P-value of "the mean is above the bound", on the test rows; best at `level`."""
        pilot = self.values(index, self.search.rows)
        values = self.values(index, self.search.test_rows)
        return betting_p_value(pilot, values, self.bound, self.upper, level)

    def n_needed(self, index, level, power=POWER):
        """Test rows on which a candidate is likely certified; inf if on none."""
        rows = np.r_[self.search.rows, self.search.test_rows]
        margin = self.bound - self.mean(index)
        if margin <= 0:
            return np.inf
        deviations = (self.deviations(level) + ndtri(power)) / margin
        bounded = 0 < self.bound < self.upper
        at_least = np.log(level) / np.log1p(-self.bound / self.upper) if bounded else 0
        return max(deviations**2 * self.values(index, rows).var(), at_least)

    def deviations(self, level):
        """Standard errors by which the mean must be below the bound."""
        return np.sqrt(-2 * np.log(level))


class _DropTest(_BoundTest):
    """Candidates from the most expensive to the cheapest; values: loss above the reference's."""

    upper = 1.0

    def __init__(self, search, target, trace, y, cost):
        super().__init__(search, trace, cost)
        self.losses = trace.losses(y)
        if self.losses.min() < 0 or self.losses.max() > 1:
            raise ValueError("`confidence_level` needs a `loss` between 0 and 1.")
        self.zero_one = np.isin(self.losses, (0, 1)).all()
        self.bound = target.max_accuracy_drop
        self.fallback = search.reference
        expense = search.curve.relative_cost
        order = self._sequence(expense < expense[self.fallback], -expense)
        self.order = thin_sequence(order, expense, STEP * expense[self.fallback])
        self._reference = walk(trace, search.policies[self.fallback]).exit

    def rank(self, index):
        """The cheapest first."""
        return self.search.curve.relative_cost[index]

    def mean(self, index):
        """Drop, cross-fitted."""
        return self.search.curve.accuracy[self.fallback] - self.search.curve.accuracy[index]

    def values(self, index, rows):
        """Loss of a candidate minus that of the reference."""
        exits = walk(self.trace.rows(rows), self.search.policies[index]).exit
        return self.losses[rows, exits] - self.losses[rows, self._reference[rows]]

    def p_value(self, index, level):
        """Exact for 0/1 losses."""
        if not self.zero_one:
            return super().p_value(index, level)
        values = self.values(index, self.search.test_rows)
        counts = (values > 0).sum(), (values < 0).sum(), len(values)
        return paired_p_value(*counts, self.bound, missed=0.01 * level)

    def deviations(self, level):
        """Standard errors by which the drop must be below the bound."""
        return -ndtri(level) if self.zero_one else super().deviations(level)


class _CostTest(_BoundTest):
    """Candidates from the cheapest to the most expensive; values: relative cost incurred."""

    def __init__(self, search, target, trace, y, cost):
        super().__init__(search, trace, cost)
        curve = search.curve
        self.bound = target.max_cost
        self.upper = cost.relative(most_expensive_route(cost.edge_costs_))
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
        """Relative cost incurred by each row."""
        visited = walk(self.trace.rows(rows), self.search.policies[index]).visited
        return self.cost.relative(self.cost.path_cost(visited))


def most_expensive_route(edges):
    """The largest cost of any route through the stages: skipping one may cost more."""
    most = edges[0].copy()
    for k in range(1, len(edges)):
        most[k] = max(most[k], (most[:k] + edges[1 : k + 1, k]).max())
    return most.max()


def _warn_nothing_certified(search, test, level):
    """Warn, and recommend a number of rows that would likely be enough."""
    n_test = test.n_needed(test.order[0], level)
    if np.isfinite(n_test):
        rows = int(np.ceil(max(n_test, len(search.test_rows) + 1) / (1 - TUNING_SHARE)))
        advice = f" About {rows} held-out rows would likely be enough."
    else:
        advice = " On the rows at hand no candidate keeps it, so more rows are unlikely to help."
    warn(
        "No operating point could be certified: the cascade is one stage alone, which needs"
        " no test." + advice
    )
