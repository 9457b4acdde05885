"""The tests behind a certificate: is a bound kept by a candidate?

A candidate is tested on rows that it was not tuned on. Its p-value is that of the hypothesis "the
bound is broken". Where several bounds must hold at once (below every stage, in every group), it is
the largest of their p-values: an intersection-union test (Berger, Multiparameter hypothesis testing
and acceptance sampling, Technometrics 1982), which needs no correction for their number.

A bound on the drop of 0/1 losses is tested exactly (`paired_p_value`). Other losses, and costs,
are tested by betting (`betting_p_value`).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from ..evidence._named_losses import largest_loss
from ..evidence._row_costs import incurred
from ..evidence._walk import stages_in_use, walk
from ..stats._betting import betting_p_value
from ..stats._fixed_sequence import thin_sequence
from ..stats._paired_risk_difference import paired_p_value
from ._groups import Groups

__all__ = ["bound_test", "most_expensive_route"]

#: Share of the reference's cost by which a step of the sequence is cheaper than the one before.
#: The first candidate beyond the bound passes with the full error probability; one far beyond it,
#: with less. So steps that save little only make broken bounds more likely.
STEP = 0.03


def bound_test(search, target, trace, y, cost, groups=None):
    """The test of the bound that `target` sets, in every one of `groups`, if given."""
    kind = _CostTest if target.max_cost is not None else _DropTest
    return kind(search, target, trace, y, cost, groups)


class _BoundTest:
    """Candidates in the order in which they are tested, and their p-values.

    Attributes
    ----------
    bound : float
        On the mean of the values.
    order : ndarray of int
        The candidates that are tested.
    fallback : int
        The candidate to deploy if none is certified.
    """

    def __init__(self, search, trace, cost, groups):
        self.search, self.trace, self.cost = search, trace, cost
        self.groups = Groups.whole(trace.n_samples) if groups is None else groups

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
        """P-value of "the bound is broken in some group"; most powerful at `level`."""
        tuned, tested = self.search.rows, self.search.test_rows
        pilot, values = self.values(index, tuned), self.values(index, tested)
        parts = [
            (pilot[mine] if mine.any() else pilot, values[others])
            for mine, others in zip(self.groups.masks(tuned), self.groups.masks(tested))
        ]
        return max(
            self._p_value(index, pilot[:, i], values[:, i], level)
            for pilot, values in parts
            for i in range(values.shape[1])
        )

    def _p_value(self, index, pilot, values, level):
        return betting_p_value(pilot, values, self.bound, self.upper(index), level)

    def margins(self, index):
        """By how much the mean on all rows keeps each bound, and its standard deviation.

        For each group; the deviation is times the root of all rows over those of the group.
        """
        rows = np.r_[self.search.rows, self.search.test_rows]
        values = self.values(index, rows)
        margins, spreads = np.zeros((2, len(self.groups.labels), values.shape[1]))
        for group, mine in enumerate(self.groups.masks(rows)):
            spreads[group] = np.inf
            if mine.any():
                margins[group] = self.bound - values[mine].mean(axis=0)
                spreads[group] = values[mine].std(axis=0) / np.sqrt(mine.mean())
        return margins.ravel(), spreads.ravel()

    def deviations(self, level):
        """Standard errors by which the mean must be below the bound."""
        return np.sqrt(-2 * np.log(level))


class _DropTest(_BoundTest):
    """Candidates from the most expensive to the cheapest; values: loss above that of a rival.

    The rivals are all stages alone, and the candidate that a drop is measured against.
    """

    def __init__(self, search, target, trace, y, cost, groups):
        super().__init__(search, trace, cost, groups)
        self.losses, largest = trace.losses(y), largest_loss(trace.loss)
        self.largest = largest if np.isfinite(largest) else 1.0
        if self.losses.min() < 0 or self.losses.max() > self.largest + 1e-9:
            raise ValueError(
                "`confidence_level` needs a `loss` with a largest value: one by name, a cost"
                " matrix, or values between 0 and 1."
            )
        self.zero_one = np.isin(self.losses, (0, 1)).all()
        self.bound = target.max_accuracy_drop
        self.fallback = search.reference
        expense = search.curve.relative_cost
        reference = self._at(walk(trace, search.policies[self.fallback]).exit)
        self.rivals = np.c_[self.losses, reference]
        order = self._sequence(expense < expense[self.fallback], -expense)
        thinned = thin_sequence(order, expense, STEP * expense[self.fallback])
        # Where nothing is cheaper than the reference, that stage alone has to pass the test.
        self.order = thinned if len(thinned) else np.array([self.fallback])

    def _at(self, exits, rows=slice(None)):
        """Losses at `exits`."""
        return np.take_along_axis(self.losses[rows], exits[:, np.newaxis], axis=1)

    def upper(self, index):
        """The largest possible value."""
        return self.largest

    def rank(self, index):
        """The cheapest first."""
        return self.search.curve.relative_cost[index]

    def values(self, index, rows):
        """Loss of a candidate minus that of each rival, (n_rows, n_rivals)."""
        exits = walk(self.trace.rows(rows), self.search.policies[index]).exit
        return self._at(exits, rows) - self.rivals[rows]

    def _p_value(self, index, pilot, values, level):
        """Exact for 0/1 losses."""
        if not self.zero_one or not len(values):
            return super()._p_value(index, pilot, values, level)
        counts = (values > 0).sum(), (values < 0).sum(), len(values)
        return paired_p_value(*counts, self.bound, missed=0.01 * level)

    def deviations(self, level):
        """Standard errors by which the drop must be below the bound."""
        return -ndtri(level) if self.zero_one else super().deviations(level)


class _CostTest(_BoundTest):
    """Candidates from the cheapest to the most expensive; values: relative cost incurred.

    Where rows have costs of their own, the mean cost of the last stage is not known but
    estimated. So a row's value is what it incurred plus bound * (1 - its cost at the last stage),
    in units of the estimate: its mean is at most the bound where the true mean cost is at most
    the bound times the true mean cost of the last stage, whatever the estimate. Values are clipped
    at the largest that the candidate takes on the rows that were tuned on. The test is exact for
    the mean of the clipped values.
    """

    def __init__(self, search, target, trace, y, cost, groups):
        super().__init__(search, trace, cost, groups)
        curve = search.curve
        self.bound, self.credit = target.max_cost, np.zeros(len(y))
        if trace.cost is not None:
            last = np.flatnonzero(cost.edge_costs_[0])[-1]
            self.credit = self.bound * (1 - cost.relative(trace.cost[:, last]))
        self.fallback = search.alone(self._stage_alone(target))
        better = curve.accuracy > curve.accuracy[self.fallback]
        self.order = np.r_[self.fallback, self._sequence(better, curve.relative_cost)]

    def _stage_alone(self, target):
        """The most accurate stage that cannot cost more than the bound; else the cheapest."""
        curve = self.search.curve
        target.choose_stage(curve)  # an error if there is none
        stages = range(len(curve.stage_cost))
        certain = [self.upper(self.search.alone(k)) <= self.bound + 1e-12 for k in stages]
        if not any(certain):
            return int(curve.stage_cost.argmin())
        return int(np.argmax(np.where(certain, curve.stage_accuracy, -np.inf)))

    def upper(self, index):
        """The largest possible value. If it is not above the bound, no row has to be tested."""
        in_use = stages_in_use(self.search.policies[index], self.trace.n_stages)
        if self.trace.cost is not None:
            tuned = self.search.rows
            most = self.cost.relative(self.trace.cost[tuned][:, in_use].sum(axis=1))
            return (most + self.credit[tuned]).max()
        sources = [0, *(k + 1 for k in in_use[:-1])]
        edges = self.cost.edge_costs_[sources][:, in_use]
        return self.cost.relative(most_expensive_route(edges))

    def rank(self, index):
        """The most accurate first, of equals the cheaper."""
        curve = self.search.curve
        return -curve.accuracy[index], curve.relative_cost[index]

    def values(self, index, rows):
        """Relative cost incurred by each row, as compared with the bound, (n_rows, 1)."""
        route = walk(self.trace.rows(rows), self.search.policies[index])
        values = self.cost.relative(incurred(route, self.cost)) + self.credit[rows]
        return np.minimum(values, self.upper(index))[:, np.newaxis]


def most_expensive_route(edges):
    """The largest cost of any route through the stages: skipping one may cost more."""
    most = edges[0].copy()
    for k in range(1, len(edges)):
        most[k] = max(most[k], (most[:k] + edges[1 : k + 1, k]).max())
    return most.max()
