"""Learned rules, reduced to weighted binary classification from the last decision to the first.

At a stage with the actions a_1, ..., a_m (exit, or defer to one of m - 1 later stages) let c_i(a)
be the cost-to-go of sample i under the action,

    c_i(exit) = loss at the stage,    c_i(defer to k) = alpha * edge cost + V_i(k),      (1)

where V_i(k) is the cost-to-go of sample i at stage k under the rules already learned for stage k
and after. Actions are compared one by one, the last two first: with S_i = c_i(a_j) and
G_i = c_i(winner among a_{j+1}, ..., a_m),

    label z_i = [S_i <= G_i],    weight w_i = |S_i - G_i|,                               (2)
    G_i <- S_i where the learned classifier predicts 1, else G_i as it is.

That is a filter tree; with two actions it is one classifier. Every sample takes part at every
stage, whatever earlier stages would do. The learned classifier in (2) was fitted on
other folds: on its own training rows a flexible one would look better than it is.
If the choice between later stages is no better there than a constant one, the constant is taken:
skipping at random is not worth more than a chain. (Whether exiting at a stage is worthwhile
is decided with the stage: stages are dropped as long as that helps.)

A rule belongs to an edge (from, to) between stages and reads the answers that every route over
that edge has seen. So it is fitted on exactly what it will read, although routes differ in what
they skip, and there are at most as many rules as edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..evidence._walk import EXIT
from ._edges import INPUT, EdgeRule, fit_weighted, nearest_stage, score
from ._threshold import entry_costs

__all__ = ["Reduction", "Solution", "find_routes"]


class Solution(NamedTuple):
    """The rules for a subset of the stages at one alpha.

    Attributes
    ----------
    stages : tuple of int
        The stages in use.
    value : float
        The objective, by decisions of classifiers that were fitted without the row.
    rules : dict
        (from, to) -> :class:`EdgeRule`.
    choices : dict
        stage -> decisions there (n_samples,), by classifiers of other folds.
    """

    stages: tuple
    value: float
    rules: dict
    choices: dict


class Reduction:
    """The evidence, and the rules it gives at an alpha.

    Parameters
    ----------
    features : callable
        `features(stage, shown)` gives X of shape (n_samples, n_features).
    loss : ndarray of shape (n_samples, n_stages)
    edges : ndarray of shape (n_stages, n_stages) or (n_stages, n_stages, n_samples)
        Relative costs of going from stage j (row j + 1; row 0: from the input) to k; also for
        each row.
    weight : ndarray of shape (n_samples,)
    fold : ndarray of int, shape (n_samples,)
        A sample's decisions are made by classifiers fitted on the other folds.
    estimator : classifier
    successors : callable
        `successors(stage, in_use)` lists the later stages a stage may send to.
    """

    def __init__(self, features, loss, edges, weight, fold, estimator, successors):
        self.features, self.loss, self.edges, self.weight = features, loss, edges, weight
        self.estimator, self.successors = estimator, successors
        self.entry = entry_costs(edges, weight)
        folds = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in np.unique(fold)]
        self._known = {}
        # A single sample is its own evidence.
        self.folds = folds if len(folds) > 1 else [(folds[0][1], folds[0][1])]

    def _standardized(self, stage, shown):
        """Features with weighted mean 0 and deviation 1, with the mean and deviation they had."""
        if shown not in self._known:
            X = self.features(stage, shown)
            center = np.average(X, axis=0, weights=self.weight)
            scale = np.sqrt(np.average((X - center) ** 2, axis=0, weights=self.weight))
            scale[scale < 1e-9] = 1.0
            self._known[shown] = (X - center) / scale, center, scale
        return self._known[shown]

    def solve(self, alpha, start=None):
        """Rules for the stages worth using: stages are dropped one by one as long as that helps.

        The decisions as they are show which stage is the least useful. Whether it is useful at
        all is decided by rules learned anew without it. `start` are the stages to begin with;
        None: all.
        """
        n_stages = self.loss.shape[1]
        best = self.learn(tuple(range(n_stages)) if start is None else start, alpha)
        while len(best.stages) > 1:
            shorter = [tuple(k for k in best.stages if k != out) for out in best.stages]
            least_useful = min(shorter, key=lambda stages: self.replay(best, stages, alpha))
            without = self.learn(least_useful, alpha)
            if without.value > best.value + 1e-12:
                break
            best = without
        alone = [self.learn((k,), alpha) for k in range(n_stages)]
        return self.fitted(min([*alone, best], key=lambda solution: solution.value))

    def learn(self, stages, alpha):
        """The :class:`Solution` for `stages`, its classifiers not yet fitted on all samples."""
        shown = find_routes(stages, self.successors)
        stages = tuple(sorted({stage for _, stage in shown}))
        to_go, rules, choices = {}, {}, {}
        for edge in sorted(shown, key=lambda edge: edge[1], reverse=True):
            stage = edge[1]
            targets = self.successors(stage, stages)
            costs = [self.loss[:, stage]] + [
                alpha * self.edges[stage + 1, k] + to_go[stage, k] for k in targets
            ]
            actions = (EXIT, *targets)
            to_go[edge], choices[stage], problems = self._filter_tree(
                stage, shown[edge], actions, costs
            )
            rules[edge] = stage, shown[edge], actions, problems
        value = alpha * self.entry[stages[0]]
        value += np.average(to_go[INPUT, stages[0]], weights=self.weight)
        return Solution(stages, value, rules, choices)

    def _filter_tree(self, stage, shown, actions, costs):
        """Cost of the winning actions, the actions, and the (label, weight) of each classifier."""
        go, to = costs[-1], np.full(len(self.weight), actions[-1])
        X, problems = self._standardized(stage, shown)[0], []
        for action, stop in zip(actions[-2::-1], costs[-2::-1]):
            label, weight = stop <= go, np.abs(stop - go) * self.weight
            wins = self._cross_fitted(X, label, weight)
            if action != EXIT:
                wins, label = _earned(wins, label, weight)
            problems.insert(0, (label, weight))
            go, to = np.where(wins, stop, go), np.where(wins, action, to)
        return go, to, problems

    def _cross_fitted(self, X, label, weight):
        """For each sample, whether a classifier fitted on the other folds predicts 1."""
        wins = np.empty(len(X), dtype=bool)
        for fit, test in self.folds:
            model = fit_weighted(self.estimator, X[fit], label[fit], weight[fit])
            wins[test] = score(model, X[test]) >= 0
        return wins

    def fitted(self, solution):
        """`solution`, its classifiers fitted on all samples."""
        rules = {}
        for edge, (stage, shown, actions, problems) in solution.rules.items():
            X, center, scale = self._standardized(stage, shown)
            models = [[(1.0, fit_weighted(self.estimator, X, *problem))] for problem in problems]
            rules[edge] = EdgeRule(shown, actions, tuple(models), center, scale)
        return solution._replace(rules=rules)

    def replay(self, solution, stages, alpha):
        """The objective of the decisions of `solution`, made with fewer `stages`."""
        to_go = {}
        for stage in reversed(stages):
            targets = self.successors(stage, stages)
            to = nearest_stage(solution.choices[stage], targets)
            to_go[stage] = self.loss[:, stage].copy()
            for k in targets:
                on = to == k
                to_go[stage][on] = (alpha * self.edges[stage + 1, k] + to_go[k])[on]
        value = np.average(to_go[stages[0]], weights=self.weight)
        return alpha * self.entry[stages[0]] + value


def _earned(wins, label, weight):
    """Decisions and labels, both constant if the decisions are no better than a constant."""
    errors = [weight @ (label != guess) for guess in (True, False, wins)]
    if errors[2] < min(errors[:2]) - 1e-12 * weight.sum():
        return wins, label
    return (np.full(len(label), errors[0] <= errors[1]),) * 2


def find_routes(stages, successors):
    """(from, to) -> the stages that every route over the edge has seen, for reachable edges."""
    always = {stages[0]: {stages[0]}}  # stage -> the stages on every route to it, itself included
    shown = {(INPUT, stages[0]): (stages[0],)}
    for stage in stages:
        for k in successors(stage, stages) if stage in always else ():
            seen = always[stage] | {k}
            shown[stage, k] = tuple(sorted(seen))
            always[k] = always[k] & seen if k in always else seen
    return shown
