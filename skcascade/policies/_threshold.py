"""Rules that leave where a score reaches a threshold: the exact cuts and the stages worth using.

The objective is the mean over the samples of

    loss at the exit + alpha * relative cost of the way there.        (1)

With the cuts of all other stages fixed, the best cut at one stage is found exactly: sort the
samples that reach it by score; those above the cut pay S, the loss here, those below pay G, the
price of going on plus what the later rules will make of them. (1) is then a cumulative sum of
S - G, O(n log n) once for the order and O(n) after. Stages are visited bottom-up, first as if
every sample reached them, then in sweeps with those that do, until nothing improves.

All prices alpha are solved at once, one row of every array per price. As a function of the price
the solution is a staircase, and which step is wide is mostly noise: a sample of 1,000 rows offers a
handful of steps where the whole population would offer a curve. So between the middles of
neighbouring steps that use the same stages, the share of samples above each threshold is
interpolated; and since the cut that loses nothing on the rows at hand loses a little on others,
below the first step the share falls to nobody.
"""

from itertools import combinations, groupby, pairwise

import numpy as np

__all__ = ["ThresholdRules", "fit_thresholds"]

#: Up to this many stages every subset is tried, beyond it stages are eliminated one by one.
EXHAUSTIVE_STAGES = 8
#: Subsets of stages are compared on this many rows, the best few of them then on all rows.
SCREEN_ROWS = 4_000
N_BEST = 3
#: Elements of the arrays (prices x rows) that are worked on at once, so that they stay in cache.
CHUNK = 2**17
MAX_SWEEPS = 20


def fit_thresholds(score, loss, edges, alphas, weight, *, smooth=True):
    """Best thresholds and stages at each of several prices.

    Parameters
    ----------
    score : ndarray of shape (n_samples, n_stages)
        Samples leave where it reaches the threshold.
    loss : ndarray of shape (n_samples, n_stages)
        Loss of each stage's answer.
    edges : ndarray of shape (n_stages, n_stages)
        Relative costs of going from stage j (row j + 1; row 0: from the input) to k.
    alphas : ndarray of shape (n_alphas,)
        Prices of cost.
    weight : ndarray of shape (n_samples,)
        Weights, not all zero.
    smooth : bool, default=True
        Whether thresholds are interpolated between neighbouring prices.

    Returns
    -------
    thresholds : ndarray of shape (n_alphas, n_stages)
        +inf: nobody leaves; -inf: everybody.
    stages : list of tuple of int
        The stages in use at each price.
    """
    alphas = np.asarray(alphas, dtype=float)
    rules = ThresholdRules(score, loss, edges, weight)
    search = _eliminate if rules.n_stages > EXHAUSTIVE_STAGES else _shortlist
    thresholds, stages = _best_of(rules, alphas, search(rules.screen(), alphas))
    if smooth:
        thresholds = _interpolated(rules, alphas, thresholds, stages)
    return thresholds, stages


def _shortlist(rules, alphas):
    """For each subset of the stages, the prices (indices) at which it is among the best.

    Subsets are ranked by the first sweep, in which every stage is fitted as if all samples
    got there.
    """
    stages = range(rules.n_stages)
    subsets = [s for m in range(1, rules.n_stages + 1) for s in combinations(stages, m)]
    values = np.stack([rules.solve(subset, alphas, max_sweeps=1)[1] for subset in subsets])
    ranks = values.argsort(axis=0, kind="stable").argsort(axis=0)
    return {subset: np.flatnonzero(rank < N_BEST) for subset, rank in zip(subsets, ranks)}


def _eliminate(rules, alphas):
    """The same by backward elimination: drop the stage that is missed least, while it pays."""
    left = dict.fromkeys([tuple(range(rules.n_stages))], np.arange(len(alphas)))
    values = rules.solve(*left, alphas)[1]
    found = {}
    while left:
        subset, at = left.popitem()
        shorter = [tuple(k for k in subset if k != out) for out in subset if len(subset) > 1]
        tried = np.array([rules.solve(s, alphas[at])[1] for s in shorter] or [at * np.inf])
        pays = tried.min(axis=0) <= values[at]
        values[at[pays]] = tried.min(axis=0)[pays]
        found[subset] = np.append(found.get(subset, at[:0]), at[~pays])
        for i in np.unique(tried.argmin(axis=0)[pays]):
            mine = at[pays & (tried.argmin(axis=0) == i)]
            left[shorter[i]] = np.append(left.get(shorter[i], at[:0]), mine)
    return found


def _best_of(rules, alphas, chances):
    """The best of the subsets at each of the prices where they have a chance."""
    value = np.full(len(alphas), np.inf)
    best = [()] * len(alphas)
    thresholds = np.full((len(alphas), rules.n_stages), np.inf)
    for subset, at in sorted(chances.items(), key=lambda item: len(item[0])):
        if at.size:
            cuts, objective = rules.solve(subset, alphas[at])
            # An equal objective with more stages is no reason to run more stages.
            better = objective < value[at] - 1e-12
            value[at[better]], thresholds[at[better]] = objective[better], cuts[better]
            for i in at[better]:
                best[i] = subset
    return thresholds, best


def _interpolated(rules, alphas, thresholds, stages):
    """Thresholds between the middles of the steps that neighbouring prices share."""
    smooth = thresholds.copy()
    position = np.log(np.maximum(alphas, 1e-300))
    for subset, run in groupby(range(len(alphas)), key=lambda i: stages[i]):
        run = list(run)
        cuts = thresholds[run]
        steps = np.cumsum(np.r_[0, (cuts[1:] != cuts[:-1]).any(axis=1)])
        first = np.searchsorted(steps, np.arange(steps[-1] + 1))
        last = np.r_[first[1:], len(run)] - 1
        middle = (position[run][first] + position[run][last]) / 2
        cautious = bool(run[0] == 0 and last[0] > 0)  # below the first step, towards nobody
        if cautious:
            middle = np.r_[position[0], middle]
        for k in subset[:-1] if len(middle) > 1 else ():
            share = np.r_[[0.0] * cautious, rules.share_above(k, cuts[first, k])]
            smooth[run, k] = rules.cut_at(k, np.interp(position[run], middle, share))
    return smooth


class ThresholdRules:
    """The sorted evidence, and the cuts it gives for a subset of the stages."""

    def __init__(self, score, loss, edges, weight):
        self.score, self.loss = np.ascontiguousarray(score.T), np.ascontiguousarray(loss.T)
        self.edges, self.weight = edges, weight
        self.n_stages, self.n_samples = self.score.shape
        self._sorted = {}

    def screen(self):
        """The same rules over a random part of the rows."""
        if self.n_samples <= SCREEN_ROWS:
            return self
        rows = np.random.default_rng(0).choice(self.n_samples, SCREEN_ROWS, replace=False)
        score, loss = self.score[:, rows].T, self.loss[:, rows].T
        return ThresholdRules(score, loss, self.edges, self.weight[rows])

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
        entry = alpha[:, 0] * self.edges[0, stages[0]]
        if len(stages) == 1:
            loss = np.average(self.loss[stages[0]], weights=self.weight)
            return thresholds, entry + loss
        leaves = {}  # stage -> who leaves there if it gets there (n_alphas, n_samples)
        value = np.full(len(alpha), np.inf)
        open_ = np.arange(len(alpha))  # prices that the last sweep still improved
        for _ in range(max_sweeps):
            cuts, to_go = self._sweep(stages, alpha[open_], leaves)
            objective = entry[open_] + to_go @ self.weight / self.weight.sum()
            better = objective < value[open_] - 1e-12
            if not better.any():
                break
            open_, leaves = open_[better], {k: mask[better] for k, mask in leaves.items()}
            thresholds[open_], value[open_] = cuts[better], objective[better]
        return thresholds, value

    def _sweep(self, stages, alpha, leaves):
        """Set every cut once, from the last decision to the first.

        `leaves` holds the decisions of the sweep before and is updated in place; it is
        empty in the first sweep, where every stage is fitted as if all samples got there.
        """
        thresholds = np.full((len(alpha), self.n_stages), np.inf)
        to_go = np.broadcast_to(self.loss[stages[-1]], (len(alpha), self.n_samples))
        reach = self._reach(stages, alpha, leaves)
        for stage, after in zip(stages[-2::-1], stages[:0:-1]):
            to_go = to_go + alpha * self.edges[stage + 1, after]
            gain = (self.loss[stage] - to_go) * reach[stage]
            thresholds[:, stage] = self._cut(stage, gain)
            leaves[stage] = self.score[stage] >= thresholds[:, stage, np.newaxis]
            to_go = np.where(leaves[stage], self.loss[stage], to_go)
        return thresholds, to_go

    def _reach(self, stages, alpha, leaves):
        """Weight with which each sample reaches each stage, 0 if it left before."""
        reach = {stages[0]: self.weight}
        for stage, after in pairwise(stages[:-1]):
            stays = ~leaves[stage] if leaves else True
            reach[after] = reach[stage] * stays
        return reach

    def _cut(self, stage, gain):
        """Thresholds (n_alphas,) that minimise the sum of `gain` over who leaves."""
        order, ends, cuts = self._order(stage)
        total = gain.take(order, axis=1)
        np.cumsum(total, axis=1, out=total)
        if len(ends) < len(order):
            total = total.take(ends, axis=1)
        at = total.argmin(axis=1)
        lowest = total[np.arange(len(at)), at]
        return np.where(lowest < 0, cuts[at], np.inf)

    def share_above(self, stage, cuts):
        """Share of all weight that leaves at `stage` for each of `cuts`."""
        order, ends, places = self._order(stage)
        taken = np.r_[0.0, np.cumsum(self.weight[order])[ends]]
        return taken[np.searchsorted(-places, -cuts, side="right")] / taken[-1]

    def cut_at(self, stage, shares):
        """The threshold that lets nearest to each of `shares` of the weight leave."""
        order, ends, places = self._order(stage)
        taken = np.r_[0.0, np.cumsum(self.weight[order])[ends]] / self.weight.sum()
        between = (taken[1:] + taken[:-1]) / 2
        return np.r_[np.inf, places][np.searchsorted(between, shares)]

    def _order(self, stage):
        """Samples by falling score, where runs of equal scores end, and the cut there."""
        if stage not in self._sorted:
            self._sorted[stage] = cut_places(self.score[stage])
        return self._sorted[stage]


def cut_places(score):
    """Where a threshold can be placed.

    Parameters
    ----------
    score : ndarray of shape (n_samples,)

    Returns
    -------
    order : ndarray of shape (n_samples,)
        Samples by falling score.
    ends : ndarray of shape (n_cuts,)
        Positions in `order` of the last sample of each run of equal scores: equal scores
        leave together.
    cuts : ndarray of shape (n_cuts,)
        Thresholds midway to the next lower score, so that rounding flips nobody; the last
        is -inf. Of the type of the scores, so that nothing depends on how they are compared.
    """
    order = np.argsort(-score)  # equal scores leave together, their order is nobody's business
    falling = score[order]
    ends = np.append(np.flatnonzero(falling[:-1] > falling[1:]), len(score) - 1)
    upper, lower = falling[ends[:-1]], falling[ends[:-1] + 1]
    middle = (upper + lower) / 2
    cuts = np.append(np.where(middle > lower, middle, upper), np.array(-np.inf, score.dtype))
    return order, ends, cuts
