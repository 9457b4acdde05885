"""Stage pruning: which stages a fitted rule is better without."""

from __future__ import annotations

from copy import copy

import numpy as np

from ..evidence._row_costs import incurred
from ..evidence._walk import stages_in_use, walk
from ..utils._weights import row_weights

__all__ = ["Replay", "use_stages"]


def use_stages(policy, stages):
    """A copy of a fitted `policy` that uses only `stages`, a sorted sequence."""
    same = copy(policy)
    same.stages_ = list(stages)
    return same


class Replay:
    """Mean loss and mean relative cost of a rule on a trace, for subsets of its stages.

    They do not depend on alpha. So a policy that learns nothing, and is thus the same rule at
    every alpha, is replayed only once for each subset.

    Parameters
    ----------
    trace : Trace
    y : ndarray of int, shape (n_samples,)
    cost : BaseCostModel
        Fitted.
    sample_weight : array-like of shape (n_samples,) or None
    """

    def __init__(self, trace, y, cost, sample_weight=None):
        self.trace, self.cost = trace, cost
        self.losses = trace.objective_losses(y)
        self.weight = row_weights(sample_weight, len(y))
        self._rule, self._known = None, {}

    def prune(self, policy, alpha):
        """Drop stages of `policy` as long as that lowers the objective (backward elimination)."""
        n_stages = self.trace.n_stages
        best, value = policy, self.objective(policy, alpha)
        while len(in_use := stages_in_use(best, n_stages)) > 1:
            shorter = [use_stages(best, [k for k in in_use if k != out]) for out in in_use]
            values = [self.objective(candidate, alpha) for candidate in shorter]
            if min(values) > value:
                break
            value = min(values)
            best = shorter[values.index(value)]
        return best

    def objective(self, policy, alpha):
        """Mean loss + alpha * mean relative cost."""
        rule = {name: value for name, value in vars(policy).items() if name != "stages_"}
        if not _identical(rule, self._rule):
            self._rule, self._known = rule, {}
        in_use = tuple(stages_in_use(policy, self.trace.n_stages))
        if in_use not in self._known:
            self._known[in_use] = self._outcome(policy)
        loss, cost = self._known[in_use]
        return loss + alpha * cost

    def _outcome(self, policy):
        outcome = walk(self.trace, policy)
        losses = self.losses[np.arange(len(self.losses)), outcome.exit]
        costs = self.cost.relative(incurred(outcome, self.cost))
        return np.average(losses, weights=self.weight), np.average(costs, weights=self.weight)


def _identical(one, other):
    """Whether two dicts hold the very same objects."""
    if other is None or one.keys() != other.keys():
        return False
    return all(one[name] is other[name] for name in one)
