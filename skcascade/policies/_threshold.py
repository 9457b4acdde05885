"""Rules that exit where a score reaches a threshold: exact thresholds, and the stages to use.

The objective is the mean over the samples of

    loss at the exit + alpha * relative cost of the route there.        (1)

With the thresholds of all other stages fixed, the best threshold at one stage is found exactly.
Sort the samples that reach it by score. Those above the threshold contribute S, the loss here.
Those below contribute G, the cost of deferring plus the outcome under the later rules. (1) is
then a cumulative sum of S - G, O(n log n) once for the order and O(n) after. Stages are visited
from the last to the first. The first sweep assumes that every sample reaches every stage; later
sweeps count those that do, until nothing improves.

All alphas are solved at once, one row of every array per alpha. As a function of alpha the
solution is a staircase, which `_interpolation` makes smooth.
"""

from itertools import combinations, pairwise

import numpy as np

from ._interpolation import interpolate

__all__ = [
    "ThresholdRules",
    "candidate_thresholds",
    "entry_costs",
    "fit_thresholds",
    "per_stage_threshold",
]

#: Up to this many stages every subset is tried, beyond it stages are eliminated one by one.
EXHAUSTIVE_STAGES = 8
#: Subsets of stages are compared on this many rows, the best few of them then on all rows.
SCREEN_ROWS = 4_000
N_BEST = 3
#: Elements of the arrays (alphas x rows) that are worked on at once, so that they stay in cache.
CHUNK = 2**17
MAX_SWEEPS = 20


def fit_thresholds(score, loss, edges, alphas, weight):
    """Best thresholds and stages at each of several alphas.

    Parameters
    ----------
    score : ndarray of shape (n_samples, n_stages)
        Samples exit where it reaches the threshold.
    loss : ndarray of shape (n_samples, n_stages)
        Loss of each stage's answer.
    edges : ndarray of shape (n_stages, n_stages) or (n_stages, n_stages, n_samples)
        Relative costs of going from stage j (row j + 1; row 0: from the input) to k; also for
        each row.
    alphas : ndarray of shape (n_alphas,)
        Cost weights. Thresholds are interpolated between neighboring ones.
    weight : ndarray of shape (n_samples,)
        Weights, not all zero.

    Returns
    -------
    thresholds : ndarray of shape (n_alphas, n_stages)
        +inf: no sample exits; -inf: all do.
    stages : list of tuple of int
        The stages in use at each alpha.
    """
    alphas = np.asarray(alphas, dtype=float)
    rules = ThresholdRules(score, loss, edges, weight)
    search = _eliminate if rules.n_stages > EXHAUSTIVE_STAGES else _shortlist
    thresholds, stages = _best_of(rules, alphas, search(rules.screen(), alphas))
    return interpolate(rules, alphas, thresholds, stages), stages


def _shortlist(rules, alphas):
    """For each subset of the stages, the alphas (indices) at which it is among the best.

    Subsets are ranked by the first sweep, in which every stage is fitted as if all samples
    reached it.
    """
    stages = range(rules.n_stages)
    subsets = [s for m in range(1, rules.n_stages + 1) for s in combinations(stages, m)]
    values = np.stack([rules.solve(subset, alphas, max_sweeps=1)[1] for subset in subsets])
    ranks = values.argsort(axis=0, kind="stable").argsort(axis=0)
    return {subset: np.flatnonzero(rank < N_BEST) for subset, rank in zip(subsets, ranks)}


def _eliminate(rules, alphas):
    """The same by backward elimination: drop the least useful stage, while that helps.

    Subsets are compared by the first sweep. Alphas that drop the same stages share the work, so
    all start together and part on the way.
    """
    every_stage = tuple(range(rules.n_stages))
    values = rules.solve(every_stage, alphas, max_sweeps=1)[1]
    found = {}
    groups = {every_stage: np.arange(len(alphas))}
    for _ in every_stage:  # each round drops one stage more
        shorter_groups = {}
        for subset, at in groups.items():
            subset_values, dropped = _drop_one(rules, subset, alphas[at])
            helps = subset_values <= values[at]
            values[at[helps]] = subset_values[helps]
            found[subset] = at[~helps]
            for i in np.unique(dropped[helps]):
                shorter = (*subset[:i], *subset[i + 1 :])
                joined = shorter_groups.get(shorter, at[:0])
                shorter_groups[shorter] = np.append(joined, at[helps & (dropped == i)])
        groups = shorter_groups
    return found


def _drop_one(rules, subset, alphas):
    """The best objective (n_alphas,) without one stage of `subset`, and its position there."""
    if len(subset) == 1:
        return np.full(len(alphas), np.inf), np.zeros(len(alphas), dtype=int)
    shorter = [(*subset[:i], *subset[i + 1 :]) for i in range(len(subset))]
    tried = np.array([rules.solve(stages, alphas, max_sweeps=1)[1] for stages in shorter])
    return tried.min(axis=0), tried.argmin(axis=0)


def _best_of(rules, alphas, shortlist):
    """The best subset at each alpha, among those that are on the shortlist there."""
    value = np.full(len(alphas), np.inf)
    best = [()] * len(alphas)
    thresholds = np.full((len(alphas), rules.n_stages), np.inf)
    for subset, at in sorted(shortlist.items(), key=lambda item: len(item[0])):
        if at.size:
            solved, objective = rules.solve(subset, alphas[at])
            # An equal objective with more stages is no reason to run more stages.
            better = objective < value[at] - 1e-12
            value[at[better]], thresholds[at[better]] = objective[better], solved[better]
            for i in at[better]:
                best[i] = subset
    return thresholds, best


class ThresholdRules:
    """The sorted evidence, and the thresholds it gives for a subset of the stages."""

    def __init__(self, score, loss, edges, weight):
        self.score, self.loss = np.ascontiguousarray(score.T), np.ascontiguousarray(loss.T)
        self.edges, self.weight = edges, weight
        self.entry = entry_costs(edges, weight)
        self.n_stages, self.n_samples = self.score.shape
        self._sorted = {}

    def screen(self):
        """The same rules over a random part of the rows."""
        if self.n_samples <= SCREEN_ROWS:
            return self
        rows = np.random.default_rng(0).choice(self.n_samples, SCREEN_ROWS, replace=False)
        score, loss = self.score[:, rows].T, self.loss[:, rows].T
        edges = self.edges if self.edges.ndim == 2 else self.edges[..., rows]
        return ThresholdRules(score, loss, edges, self.weight[rows])

    def solve(self, stages, alphas, max_sweeps=MAX_SWEEPS):
        """Thresholds (n_alphas, n_stages) and objective (n_alphas,) of a subset of stages."""
        size = max(1, CHUNK // self.n_samples)
        parts = [
            self._solve(stages, alphas[i : i + size, np.newaxis], max_sweeps)
            for i in range(0, len(alphas), size)
        ]
        thresholds, objective = zip(*parts)
        return np.concatenate(thresholds), np.concatenate(objective)

    def _solve(self, stages, alpha, max_sweeps):
        thresholds = np.full((len(alpha), self.n_stages), np.inf)
        entry = alpha[:, 0] * self.entry[stages[0]]
        if len(stages) == 1:
            loss = np.average(self.loss[stages[0]], weights=self.weight)
            return thresholds, entry + loss
        exits = {}  # stage -> which samples exit there if they reach it (n_alphas, n_samples)
        value = np.full(len(alpha), np.inf)
        open_ = np.arange(len(alpha))  # alphas that the last sweep still improved
        for _ in range(max_sweeps):
            swept, to_go = self._sweep(stages, alpha[open_], exits)
            objective = entry[open_] + to_go @ self.weight / self.weight.sum()
            better = objective < value[open_] - 1e-12
            if not better.any():
                break
            open_, exits = open_[better], {k: mask[better] for k, mask in exits.items()}
            thresholds[open_], value[open_] = swept[better], objective[better]
        return thresholds, value

    def _sweep(self, stages, alpha, exits):
        """Set every threshold once, from the last decision to the first.

        `exits` holds the decisions of the sweep before and is updated in place. It is
        empty in the first sweep, which fits every stage as if all samples reached it.
        """
        thresholds = np.full((len(alpha), self.n_stages), np.inf)
        to_go = np.broadcast_to(self.loss[stages[-1]], (len(alpha), self.n_samples))
        reach = self._reach(stages, exits)
        for stage, after in zip(stages[-2::-1], stages[:0:-1]):
            to_go = to_go + alpha * self.edges[stage + 1, after]
            gain = (self.loss[stage] - to_go) * reach[stage]
            thresholds[:, stage] = self._best_threshold(stage, gain)
            exits[stage] = self.score[stage] >= thresholds[:, stage, np.newaxis]
            to_go = np.where(exits[stage], self.loss[stage], to_go)
        return thresholds, to_go

    def _reach(self, stages, exits):
        """Weight with which each sample reaches each stage, 0 if it exited before."""
        reach = {stages[0]: self.weight}
        for stage, after in pairwise(stages[:-1]):
            deferred = ~exits[stage] if exits else True
            reach[after] = reach[stage] * deferred
        return reach

    def _best_threshold(self, stage, gain):
        """Thresholds (n_alphas,) that minimize the sum of `gain` over the samples that exit."""
        order, ends, thresholds = self._order(stage)
        total = gain.take(order, axis=1)
        np.cumsum(total, axis=1, out=total)
        if len(ends) < len(order):
            total = total.take(ends, axis=1)
        at = total.argmin(axis=1)
        lowest = total[np.arange(len(at)), at]
        return np.where(lowest < 0, thresholds[at], np.inf)

    def best_stage(self, stages):
        """The one of `stages` with the smallest mean loss; of equals the first."""
        return min(stages, key=lambda k: self.loss[k] @ self.weight)

    def share_above(self, stage, thresholds):
        """Share of all weight that exits at `stage` for each of `thresholds`."""
        order, ends, places = self._order(stage)
        taken = np.r_[0.0, np.cumsum(self.weight[order])[ends]]
        return taken[np.searchsorted(-places, -thresholds, side="right")] / taken[-1]

    def threshold_at(self, stage, shares):
        """The thresholds at which the share of the weight that exits is nearest to `shares`."""
        order, ends, places = self._order(stage)
        taken = np.r_[0.0, np.cumsum(self.weight[order])[ends]] / self.weight.sum()
        between = (taken[1:] + taken[:-1]) / 2
        return np.r_[np.inf, places][np.searchsorted(between, shares)]

    def _order(self, stage):
        """Samples by falling score, where runs of equal scores end, and the threshold there."""
        if stage not in self._sorted:
            self._sorted[stage] = candidate_thresholds(self.score[stage])
        return self._sorted[stage]


def entry_costs(edges, weight):
    """Mean cost (n_stages,) of going from the input to each stage."""
    return edges[0] if edges.ndim == 2 else np.average(edges[0], axis=1, weights=weight)


def candidate_thresholds(score):
    """Thresholds that part samples of different scores.

    Parameters
    ----------
    score : ndarray of shape (n_samples,)

    Returns
    -------
    order : ndarray of shape (n_samples,)
        Samples by falling score.
    ends : ndarray of shape (n_thresholds,)
        Positions in `order` of the last sample of each run of equal scores: equal scores
        exit together.
    thresholds : ndarray of shape (n_thresholds,)
        Midway to the next lower score, so that rounding changes no decision; the last
        is -inf. Of the type of the scores, so that nothing depends on how they are compared.
    """
    order = np.argsort(-score)  # equal scores exit together, so their order does not matter
    falling = score[order]
    ends = np.append(np.flatnonzero(falling[:-1] > falling[1:]), len(score) - 1)
    upper, lower = falling[ends[:-1]], falling[ends[:-1] + 1]
    middle = (upper + lower) / 2
    thresholds = np.append(np.where(middle > lower, middle, upper), np.array(-np.inf, score.dtype))
    return order, ends, thresholds


def per_stage_threshold(score, correct, epsilon, weight):
    """Smallest threshold d with a(d) >= a* - epsilon; -inf if all samples reach it.

    a(d) is the weighted mean of `correct` over the samples with `score` d or more and
    a* its maximum over d.
    """
    order, ends, thresholds = candidate_thresholds(score)
    mass = np.cumsum(weight[order])[ends]
    right = np.cumsum((weight * correct)[order])[ends]
    accuracy = np.divide(right, mass, out=np.zeros_like(right), where=mass > 0)
    return thresholds[np.flatnonzero(accuracy >= accuracy.max() - epsilon - 1e-12)[-1]]
