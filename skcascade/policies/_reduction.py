"""Learnt rules, reduced to weighted binary classification from the last decision to the first.

At a stage with the actions a_1, ..., a_m (leave, or go on to one of m - 1 later stages) let c_i(a)
be what the action costs sample i from here on,

    c_i(leave) = loss at the stage,    c_i(go to k) = alpha * edge cost + V_i(k),        (1)

where V_i(k) is what the rules already learnt for stage k and after make of sample i. Actions meet
one by one, the last two first: with S_i = c_i(a_j) and G_i = c_i(winner among a_{j+1}, ..., a_m),

    label z_i = [S_i <= G_i],    weight w_i = |S_i - G_i|,                               (2)
    G_i <- S_i where the learnt classifier says 1, else G_i as it is.

That is a filter tree; with two actions it is one classifier. Every sample takes part at every
stage, whatever earlier stages would do. "The learnt classifier" in (2) is one that was fitted on
other folds: judged on its own training rows, a flexible one would promise what it cannot keep.
Where the choice between later stages does no better there than always making the same, it is that
constant: what skips by chance is not worth more than a chain. (Whether leaving at a stage is worth
it is settled with the stage: stages are dropped while that pays.)

A rule belongs to an edge (from, to) between stages and is shown the answers that every way over
that edge has seen. So it is fitted on just what it will look at, though ways differ in what they
skip, and the number of rules is at most that of the edges.
"""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from .._walk import EXIT

__all__ = ["INPUT", "Reduction", "Rule", "Solution", "land", "shown_only"]

#: Where the edge to the entry stage comes from.
INPUT = -1


class Rule(NamedTuple):
    """Where rows go that came over one edge.

    Attributes
    ----------
    shown : tuple of int
        The stages whose answers the rule looks at.
    actions : tuple of int
        :data:`~skcascade.EXIT` and later stages.
    models : tuple of list
        For each action but the last, shares and fitted classifiers: is the action better
        than the best of those after it?
    centre, scale : ndarray of shape (n_features,)
        What the features are standardised by.
    """

    shown: tuple
    actions: tuple
    models: tuple
    centre: np.ndarray
    scale: np.ndarray

    def decide(self, X):
        """The action (n_rows,) for features X (n_rows, n_features)."""
        X = (X - self.centre) / self.scale
        to = np.full(len(X), self.actions[-1])
        for action, parts in zip(self.actions[-2::-1], self.models[::-1]):
            to[sum(share * lead(model, X) for share, model in parts) >= 0] = action
        return to

    def blend(self, other, share):
        """This rule, with `share` of the say given to `other`, of the same actions."""
        models = [
            [(w * (1 - share), m) for w, m in mine] + [(w * share, m) for w, m in theirs]
            for mine, theirs in zip(self.models, other.models)
        ]
        return self._replace(models=tuple(models))


class Solution(NamedTuple):
    """The rules for a subset of the stages at one price.

    Attributes
    ----------
    stages : tuple of int
        The stages in use.
    value : float
        The objective, by decisions for rows the deciding classifiers did not see.
    rules : dict
        (from, to) -> :class:`Rule`.
    choices : dict
        stage -> what was decided there (n_samples,), by classifiers of other folds.
    """

    stages: tuple
    value: float
    rules: dict
    choices: dict


class Reduction:
    """The evidence, and the rules it gives at a price.

    Parameters
    ----------
    features : callable
        `features(stage, shown)` gives X (n_samples, n_features).
    loss : ndarray of shape (n_samples, n_stages)
    edges : ndarray of shape (n_stages, n_stages)
        Relative costs of going from stage j (row j + 1; row 0: from the input) to k.
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
        folds = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in np.unique(fold)]
        self._known = {}
        # A single sample is its own evidence.
        self.folds = folds if len(folds) > 1 else [(folds[0][1], folds[0][1])]

    def _standardised(self, stage, shown):
        """Features with weighted mean 0 and deviation 1, and what they were."""
        if shown not in self._known:
            X = self.features(stage, shown)
            centre = np.average(X, axis=0, weights=self.weight)
            scale = np.sqrt(np.average((X - centre) ** 2, axis=0, weights=self.weight))
            scale[scale < 1e-9] = 1.0
            self._known[shown] = (X - centre) / scale, centre, scale
        return self._known[shown]

    def solve(self, alpha):
        """Rules for the stages worth using: they are dropped one by one while that pays.

        Which stage is missed least is told by the decisions as they are; whether it is
        missed at all, by rules learnt anew without it.
        """
        n_stages = self.loss.shape[1]
        best = self.learn(tuple(range(n_stages)), alpha)
        while len(best.stages) > 1:
            shorter = [tuple(k for k in best.stages if k != out) for out in best.stages]
            missed_least = min(shorter, key=lambda stages: self.replay(best, stages, alpha))
            without = self.learn(missed_least, alpha)
            if without.value > best.value + 1e-12:
                break
            best = without
        alone = [self.learn((k,), alpha) for k in range(n_stages)]
        return self.fitted(min([*alone, best], key=lambda solution: solution.value))

    def learn(self, stages, alpha):
        """The :class:`Solution` for `stages`, its classifiers not yet fitted on all samples."""
        shown = ways(stages, self.successors)
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
        value = alpha * self.edges[0, stages[0]]
        value += np.average(to_go[INPUT, stages[0]], weights=self.weight)
        return Solution(stages, value, rules, choices)

    def _filter_tree(self, stage, shown, actions, costs):
        """What the winners cost, who they are, and the (label, weight) of each classifier."""
        go, to = costs[-1], np.full(len(self.weight), actions[-1])
        X, problems = self._standardised(stage, shown)[0], []
        for action, stop in zip(actions[-2::-1], costs[-2::-1]):
            label, weight = stop <= go, np.abs(stop - go) * self.weight
            wins = self._cross_fitted(X, label, weight)
            if action != EXIT:
                wins, label = _earned(wins, label, weight)
            problems.insert(0, (label, weight))
            go, to = np.where(wins, stop, go), np.where(wins, action, to)
        return go, to, problems

    def _cross_fitted(self, X, label, weight):
        """For each sample, whether a classifier fitted on the other folds says 1."""
        wins = np.empty(len(X), dtype=bool)
        for fit, test in self.folds:
            model = fit_weighted(self.estimator, X[fit], label[fit], weight[fit])
            wins[test] = lead(model, X[test]) >= 0
        return wins

    def fitted(self, solution):
        """`solution`, its classifiers fitted on all samples."""
        rules = {}
        for edge, (stage, shown, actions, problems) in solution.rules.items():
            X, centre, scale = self._standardised(stage, shown)
            models = [[(1.0, fit_weighted(self.estimator, X, *problem))] for problem in problems]
            rules[edge] = Rule(shown, actions, tuple(models), centre, scale)
        return solution._replace(rules=rules)

    def replay(self, solution, stages, alpha):
        """The objective of the decisions of `solution`, made with fewer `stages`."""
        to_go = {}
        for stage in reversed(stages):
            targets = self.successors(stage, stages)
            to = land(solution.choices[stage], targets)
            to_go[stage] = self.loss[:, stage].copy()
            for k in targets:
                on = to == k
                to_go[stage][on] = alpha * self.edges[stage + 1, k] + to_go[k][on]
        paid = np.average(to_go[stages[0]], weights=self.weight)
        return alpha * self.edges[0, stages[0]] + paid


def _earned(wins, label, weight):
    """Decisions and labels, both constant if the decisions are no better than a constant."""
    lost = [weight @ (label != guess) for guess in (True, False, wins)]
    if lost[2] < min(lost[:2]) - 1e-12 * weight.sum():
        return wins, label
    return (np.full(len(label), lost[0] <= lost[1]),) * 2


def ways(stages, successors):
    """(from, to) -> what every way over the edge has seen, for all edges that can be reached."""
    always = {stages[0]: {stages[0]}}  # stage -> the stages on every way to it, itself included
    shown = {(INPUT, stages[0]): (stages[0],)}
    for stage in stages:
        for k in successors(stage, stages) if stage in always else ():
            seen = always[stage] | {k}
            shown[stage, k] = tuple(sorted(seen))
            always[k] = always[k] & seen if k in always else seen
    return shown


def land(to, targets):
    """Decisions `to` where only the stages `targets` can be reached: the nearest, later first."""
    if not len(targets):
        return np.full(len(to), EXIT)
    nearest = np.searchsorted(targets, to).clip(max=len(targets) - 1)
    return np.where(to == EXIT, EXIT, np.asarray(targets)[nearest])


def shown_only(proba, shown):
    """`proba` (n_rows, stage + 1, n_classes), NaN for all stages but those in `shown`."""
    hidden = [k for k in range(proba.shape[1]) if k not in shown]
    if hidden:
        proba = proba.copy()
        proba[:, hidden] = np.nan
    return proba


def fit_weighted(estimator, X, label, weight):
    """A fitted clone of `estimator`; a constant where there is nothing to tell apart."""
    matters = weight > 0
    if label[matters].all() or not label[matters].any():
        return Always(bool(label[matters].all()))
    # Mean 1, so that a penalty weighs the same at every price.
    weight = weight[matters] / weight[matters].mean()
    return clone(estimator).fit(X[matters], label[matters].astype(int), sample_weight=weight)


def lead(model, X):
    """Probability of label 1 less 1/2; just its sign for classifiers without probabilities."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)[:, 1] - 0.5
    return model.predict(X) - 0.5


class Always:
    """The classifier that has one answer."""

    def __init__(self, label):
        self.label = label

    def predict(self, X):
        """The label, (n_rows,)."""
        return np.full(len(X), int(self.label))
