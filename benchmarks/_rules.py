"""Published exit rules, each re-implemented in a few lines, with one parameter each."""

from itertools import product

import numpy as np
from scipy.stats import entropy

from ._peer import (
    LEVEL,
    NO_GUARANTEE,
    NO_PRUNING,
    Answers,
    Chain,
    Measured,
    Peer,
    best_stage,
    measure,
)


class BranchyNet(Chain):
    """A threshold on the entropy at each exit, by exhaustive search over a grid.

    Teerapittayanon, McDanel and Kung, BranchyNet: Fast inference via early exiting from deep
    neural networks, ICPR 2016 (arXiv 1709.01686). The grid (tenths of the samples) is ours.
    """

    def score(self, trace):
        """Low entropy is confidence."""
        return -entropy(trace.proba[:, :-1], axis=2)

    def grid(self, score):
        """All combinations of eleven thresholds per stage."""
        levels = [np.r_[np.quantile(one, np.arange(10) / 10), np.inf] for one in score.T]
        return np.array(list(product(*levels)))


class MsdNet(Chain):
    """Thresholds with exit rates proportional to q^k at exit k.

    Huang, Chen, Li, Wu, van der Maaten and Weinberger, Multi-scale dense networks for resource
    efficient image classification, ICLR 2018 (arXiv 1703.09844). Its parameter is a budget, here q.
    """

    def grid(self, score):
        """One row for each q."""
        return np.array([self.of_shares(score, q) for q in np.geomspace(0.01, 100, 81)])

    def of_shares(self, score, q):
        """Thresholds from the most confident of the samples that reach each exit."""
        share = q ** np.arange(score.shape[1] + 1)
        count = np.rint(share / share.sum() * len(score)).astype(int)
        deferred, thresholds = np.full(len(score), True), np.full(score.shape[1], np.inf)
        for k, n in enumerate(np.minimum(count[:-1], len(score))):
            rising = np.sort(score[deferred, k])
            if n and rising.size:
                thresholds[k] = rising[-min(n, rising.size)]
            deferred &= score[:, k] < thresholds[k]
        return thresholds


class Pabee(Chain):
    """Patience: exit when the last p stages agree.

    Zhou, Xu, Ge, McAuley, Xu and Wei, BERT loses patience: Fast and robust inference with early
    exit, NeurIPS 2020 (arXiv 2006.04152).
    """

    cannot = NO_PRUNING, NO_GUARANTEE, "take more than as many operating points as stages"

    def score(self, trace):
        """Number of stages in a row that agree, up to each stage."""
        pred = trace.proba.argmax(axis=2)
        run = np.ones((len(pred), trace.n_stages - 1), dtype=int)
        for k in range(1, run.shape[1]):
            run[:, k] += np.where(pred[:, k] == pred[:, k - 1], run[:, k - 1], 0)
        return run

    def grid(self, score):
        """Each patience; with that of all stages no sample exits early."""
        n = score.shape[1]
        return np.repeat(np.arange(1.0, n + 2)[:, np.newaxis], n, axis=1)


class ShallowDeep(Chain):
    """One threshold on the confidence, the same at all exits.

    Kaya, Hong and Dumitras, Shallow-deep networks: Understanding and mitigating network
    overthinking, ICML 2019 (arXiv 1810.07052).
    """

    def grid(self, score):
        """Percentiles of all confidences, the highest threshold first."""
        levels = np.r_[np.inf, np.quantile(score, np.arange(100, -1, -1) / 100)]
        return np.repeat(levels[:, np.newaxis], score.shape[1], axis=1)


class Agreement(Chain):
    """Exit where enough of the stages run so far agree; they vote on the prediction.

    Kolawole, Dennis, Talwalkar and Smith, Agreement-based cascading for efficient inference,
    TMLR 2025 (arXiv 2407.02348). There every tier is an ensemble. Here a tier has one model, so
    the ensemble of a tier is that model and all before it: their cost is incurred anyway. The first
    tier never predicts alone. Where no tier agrees, the last stage predicts.
    """

    cannot = NO_PRUNING, NO_GUARANTEE, "exit after one stage", "offer more than a few points"

    def votes(self, pred):
        """Class with the most votes up to each stage, the latest of equals; and its share."""
        n_stages = pred.shape[1]
        label, share = pred.copy(), np.ones(pred.shape)
        for k in range(1, n_stages):
            seen = pred[:, k::-1]  # the latest first: it wins ties
            count = (seen[:, :, np.newaxis] == seen[:, np.newaxis]).sum(axis=2)
            most = count.argmax(axis=1)
            label[:, k] = seen[np.arange(len(seen)), most]
            share[:, k] = count.max(axis=1) / (k + 1)
        return label, share

    def score(self, trace):
        """Share of the stages so far that agree."""
        share = self.votes(trace.proba.argmax(axis=2))[1][:, :-1]
        share[:, 0] = -1.0
        return share

    def grid(self, score):
        """Every share that occurs."""
        levels = np.r_[np.unique(score[score >= 0]), np.inf]
        return np.repeat(levels[:, np.newaxis], score.shape[1], axis=1)

    def label(self, pred, exits):
        """By vote, but for the last stage."""
        voted = self.votes(pred)[0]
        voted[:, -1] = pred[:, -1]
        return super().label(voted, exits)


class RiskControl(ShallowDeep):
    """One threshold, certified: the drop is within the target with probability 0.9.

    Jazbec, Timans, Veljkovic, Sakmann, Zhang, Naesseth and Nalisnick, Fast yet safe: Early-exiting
    with risk control, NeurIPS 2024 (arXiv 2405.20915). Thresholds are tested from the highest
    on, until the first that fails, by the bet of Waudby-Smith and Ramdas (Estimating means of
    bounded random variables by betting, JRSS-B 2024, arXiv 2010.09686) on the loss above that of
    the best single stage. In the paper it is the loss above that of the last exit, mostly the same.
    """

    cannot = NO_PRUNING, "spend its rows on more than one global threshold"

    def prepare(self, draw):
        """Loss of each threshold less that of the best stage, for each row."""
        settings = self.grid(self.score(draw.trace))
        reference = draw.trace.losses(draw.y)[:, best_stage(draw)]
        losses = [(one.label != draw.y) - reference for one in self.replay(draw, settings)]
        return Measured(settings, np.array(losses), None)

    def choose(self, prepared, target):
        """The lowest threshold before the first that fails."""
        passed = [certified(values, target) for values in prepared.drop]
        n = len(passed) if all(passed) else passed.index(False)
        thresholds = prepared.settings[n - 1] if n else np.inf
        return lambda trace: self.answers(trace, thresholds)


def certified(values, bound, level=LEVEL):
    """Whether betting certifies that the mean of `values`, in [-1, 1], is below `bound`."""
    values, bound = (1 + values) / 2, (1 + bound) / 2
    count = np.arange(2, len(values) + 2)
    mean = (0.5 + np.cumsum(values)) / count
    variance = (0.25 + np.cumsum((values - mean) ** 2)) / count
    before = np.r_[0.25, variance[:-1]]
    bet = np.sqrt(-2 * np.log(1 - level) / (len(values) * before))
    bet = np.minimum(bet, 0.75 / (1 - bound))
    return np.cumsum(np.log1p(bet * (bound - values))).max() >= -np.log(1 - level)


class FrugalML(Peer):
    """A base service, and for each predicted class a threshold and an add-on service.

    Chen, Zaharia and Zou, FrugalML: How to use ML prediction APIs more accurately and cheaply,
    NeurIPS 2020 (arXiv 2006.07512). Where the confidence of the base service is below the
    threshold of its predicted class, the add-on service of that class predicts. Here the cost
    weight is varied instead of solving for each budget: all classes are then independent and solved
    exactly. The random mixture of two strategies, for budgets between theirs, is left out.
    """

    cannot = (
        NO_GUARANTEE,
        "take a target in accuracy (its parameter is a budget)",
        "run a third stage",
        "use the exits of one net (its stages are independent services)",
    )
    #: Cost weights: the cost of one full run of the last stage, in units of accuracy.
    ALPHAS = np.r_[0.0, np.geomspace(1e-4, 10, 120)]

    def prepare(self, draw):
        """The best base service at each alpha."""
        found = [self.strategies(draw, base) for base in range(draw.trace.n_stages)]
        best = np.argmax([value for value, *_ in found], axis=0)
        settings = [
            (base, found[base][1][i], found[base][2][i]) for i, base in enumerate(best.tolist())
        ]
        measured = [
            measure(self.answers(draw.trace, *one), draw.trace, draw.y, draw.cost)
            for one in settings
        ]
        return Measured(settings, *np.array(measured).T)

    def strategies(self, draw, base):
        """Objective (n_alphas,), and threshold and add-on of each class (n_alphas, n_classes)."""
        right = 1 - draw.trace.losses(draw.y)
        cost = draw.cost.relative(draw.cost.edge_costs_[0])
        confidence, pred = draw.trace.proba[:, base].max(axis=1), draw.trace.proba.argmax(axis=2)
        value = right[:, base].sum() - self.ALPHAS * cost[base] * len(right)
        threshold = np.full((len(self.ALPHAS), draw.trace.n_classes), -np.inf)
        addon = np.full(threshold.shape, base)
        for c in np.unique(pred[:, base]):
            rows = np.flatnonzero(pred[:, base] == c)
            rows = rows[np.argsort(confidence[rows])]
            gained = np.zeros(len(self.ALPHAS))
            for k in set(range(len(cost))) - {base}:
                gain, at = self.best_threshold(
                    right[rows, k] - right[rows, base], cost[k], confidence[rows]
                )
                better = gain > gained
                gained[better], addon[better, c] = gain[better], k
                threshold[better, c] = at[better]
            value += gained
        return value, threshold, addon

    def best_threshold(self, more_right, cost, confidence):
        """Largest gain at each alpha by an add-on below a threshold, and the threshold.

        Rows are sorted by confidence.
        """
        called = np.arange(len(confidence) + 1)
        gains = np.r_[0, np.cumsum(more_right)] - self.ALPHAS[:, np.newaxis] * cost * called
        thresholds = np.r_[confidence, np.inf]
        equal = np.r_[False, thresholds[1:] == thresholds[:-1]]
        gains[:, equal] = -np.inf  # a threshold cannot separate equal confidences
        best = gains.argmax(axis=1)
        return gains[np.arange(len(gains)), best], thresholds[best]

    def answers(self, trace, base, threshold, addon):
        """The base service, and the add-on where its confidence is below the threshold."""
        pred = trace.proba.argmax(axis=2)
        of_class = pred[:, base]
        ask = trace.proba[:, base].max(axis=1) < threshold[of_class]
        last = np.where(ask, addon[of_class], base)
        visited = np.arange(trace.n_stages) == last[:, np.newaxis]
        visited[:, base] = True
        return Answers(pred[np.arange(len(pred)), last], visited)

    def choose(self, prepared, target):
        """The cheapest within the target; if there is none, the most accurate."""
        one = prepared.cheapest(target)
        one = prepared.settings[prepared.drop.argmin()] if one is None else one
        return lambda trace: self.answers(trace, *one)


RULES = {
    "BranchyNet": BranchyNet(),
    "MSDNet": MsdNet(),
    "PABEE": Pabee(),
    "Shallow-Deep": ShallowDeep(),
    "agreement (ABC)": Agreement(),
    "FrugalML": FrugalML(),
    "Fast yet Safe": RiskControl(),
}
