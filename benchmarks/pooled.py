"""The vote of all visited stages, as the answer of a cascade and as the score of its thresholds.

The vote is that of expected losses (`tuning/_expected_loss.py`). A sample that visited some stages
is given the class that their vote makes most probable, and exits where that probability reaches a
threshold. The weights of the stages are fitted for each set of visited stages, or once for all.

Every rule is tuned on 1,000 rows as `fit_policy` tunes the default: thresholds for each subset of
the stages on expected losses, and a cross-fitted curve. The first rule is the default itself.
Costs are compared at equal mean drop, on the line through the mean points of `FINE` targets.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp
from sklearn.utils import check_random_state

from skcascade.costs import FixedCost
from skcascade.policies._calibration import calibrate, fit_calibration, log_odds
from skcascade.policies._interpolation import interpolate
from skcascade.policies._threshold import N_BEST, ThresholdRules, _best_of
from skcascade.tuning._build_curve import build_curve, measure_outcome
from skcascade.tuning._expected_loss import _fit_weights
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import ALPHAS, N_FOLDS, _stratified

from ._data import split
from ._draws import TARGETS, chosen
from ._draws import add_arguments as add_draws
from ._report import seeds
from .peers import ALONE, FINE, MOST_ACCURATE, N_BOOTSTRAP, front
from .probabilities import subset_costs, subsets

#: Drops at which costs are compared.
DROPS = TARGETS[1:]


class Rule(NamedTuple):
    """What a cascade answers, what it exits by, and whether each set has weights of its own."""

    answer: str  # "last" stage or "vote"
    score: str  # the same
    own_weights: bool = True


RULES = {
    "default": Rule("last", "last"),
    "last answer, score of the vote": Rule("last", "vote"),
    "vote": Rule("vote", "vote"),
    "vote, score of the last stage": Rule("vote", "last"),
    "vote, weights fitted once": Rule("vote", "vote", own_weights=False),
}


def add_arguments(parser):
    """Options of this benchmark."""
    add_draws(parser)
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))


def run(args):
    """One row for each table and rule, then the means over the tables."""
    tables, n_draws = chosen(args)
    found = {}
    for table in tables:
        answers, cost = Answers.of(table), FixedCost(table.cost).fit(table.trace)
        for name in dict.fromkeys(["default", *args.rules]):
            draws = [one_draw(answers, cost, RULES[name], args.rows, s) for s in range(n_draws)]
            found[table.name, name] = np.array(draws)
            yield table_row(table.name, name, found, args.rows)
    for name in dict.fromkeys([name for _, name in found]):
        yield mean_row(name, found, [table.name for table in tables])


# ------------------------------------------------------------------ answers and votes


class Answers(NamedTuple):
    """Log odds of the confidences and predicted classes (n_samples, n_stages), true classes."""

    odds: np.ndarray
    predicted: np.ndarray
    y: np.ndarray
    n_classes: int

    @classmethod
    def of(cls, table):
        """Those of a table."""
        proba = table.trace.proba
        return cls(log_odds(proba.max(axis=2)), proba.argmax(axis=2), table.y, proba.shape[2])

    def rows(self, index):
        """Those of some rows."""
        return Answers(self.odds[index], self.predicted[index], self.y[index], self.n_classes)

    @property
    def wrong(self):
        """1 where a stage is wrong (n_samples, n_stages)."""
        return (self.predicted != self.y[:, np.newaxis]).astype(float)

    @property
    def same(self):
        """Whether stages j and k predict the same class (n_samples, n_stages, n_stages)."""
        return self.predicted[:, :, np.newaxis] == self.predicted[:, np.newaxis]


class Votes:
    """The votes of all sets of stages, fitted on some rows."""

    def __init__(self, answers, rule):
        self.rule = rule
        self.sets = [list(stages) for stages in subsets(answers.predicted.shape[1])]
        self.every = list(range(answers.predicted.shape[1]))
        self.lines = lines(answers, 1 - answers.wrong)
        fitted = self.sets if rule.own_weights else [self.every]
        self.weights = {tuple(stages): self._fitted(answers, stages) for stages in fitted}
        # The score of the default: a calibration on expected losses.
        self.own_lines = lines(answers, self.probabilities(answers))

    def _fitted(self, answers, stages):
        evidence, predicted = self._evidence(answers)[:, stages], answers.predicted[:, stages]
        weight = np.ones(len(evidence))
        return _fit_weights(evidence, predicted, answers.y, weight, answers.n_classes)

    def _evidence(self, answers):
        slopes, intercepts = self.lines
        line = intercepts[np.arange(len(slopes)), answers.predicted]
        return slopes * answers.odds + line + np.log(max(answers.n_classes - 1, 1))

    def probabilities(self, answers, stages=None):
        """Of the class that each stage predicts, by the vote of `stages`; None: of all."""
        stages = self.every if stages is None else stages
        weights = self.weights.get(tuple(stages))
        if weights is None:
            weights = self.weights[tuple(self.every)][stages]
        same = answers.same[:, :, stages]
        score = (same * (self._evidence(answers)[:, stages] * weights)[:, np.newaxis]).sum(axis=2)
        alike = same[:, stages].sum(axis=2)
        others = np.maximum(answers.n_classes - np.rint((1 / alike).sum(axis=1)), 0)
        parts = np.c_[score[:, stages] - np.log(alike), np.log(others + 1e-300)]
        return np.exp(score - logsumexp(parts, axis=1, keepdims=True))

    def outcomes(self, answers):
        """The stage whose class each set answers, and the score there (n_samples, n_sets)."""
        rows, found = np.arange(len(answers.y)), []
        for stages in self.sets:
            last = stages[-1]
            stage = np.full(len(rows), last)
            if "vote" in self.rule[:2]:
                vote = self.probabilities(answers, stages)
            if self.rule.answer == "vote":  # of equals the last stage
                stage = np.array(stages[::-1])[vote[:, stages[::-1]].argmax(axis=1)]
            if self.rule.score == "vote":
                score = vote[rows, stage]
            else:
                slopes, intercepts = self.own_lines
                intercept = intercepts[last, answers.predicted[:, last]]
                score = calibrate(slopes[last], intercept, expit(answers.odds[:, last]))
            found.append((stage, score))
        return tuple(np.stack(part, axis=1) for part in zip(*found))


def lines(answers, correct):
    """Calibration of every stage: slopes (n_stages,) and intercepts (n_stages, n_classes)."""
    confidence, weight = expit(answers.odds), np.ones(len(answers.y))
    parts = confidence.T, answers.predicted.T, correct.T
    fits = [fit_calibration(*stage, weight, answers.n_classes) for stage in zip(*parts)]
    return tuple(map(np.array, zip(*fits)))


# ------------------------------------------------------------------ tuning, as `fit_policy` does


def fitted_rules(answers, votes, edges):
    """Route and thresholds at each alpha, then every stage alone; sets of stages are numbered."""
    stage, score = votes.outcomes(answers)
    loss = np.take_along_axis(1 - votes.probabilities(answers), stage, axis=1)
    rules = ThresholdRules(score, loss, edges, np.ones(len(score)))
    routes = [tuple(votes.sets.index(s[: i + 1]) for i in range(len(s))) for s in votes.sets]
    values = np.stack([rules.solve(route, ALPHAS, max_sweeps=1)[1] for route in routes])
    ranks = values.argsort(axis=0, kind="stable").argsort(axis=0)
    shortlist = {route: np.flatnonzero(rank < N_BEST) for route, rank in zip(routes, ranks)}
    thresholds, best = _best_of(rules, ALPHAS, shortlist)
    alone = [(route, np.full(len(edges), np.inf)) for route in routes if len(route) == 1]
    return [*zip(best, interpolate(rules, ALPHAS, thresholds, best)), *alone]


def exits(rule, score):
    """The set of stages that each sample has visited when it exits."""
    route, thresholds = rule
    at = np.full(len(score), route[-1])
    for k in route[-2::-1]:
        at = np.where(score[:, k] >= thresholds[k], k, at)
    return at


def search(answers, cost, rule, seed):
    """Votes, rules, and their cross-fitted curve, as in `tuning/_search.py`."""
    shuffle = check_random_state(check_random_state(seed).randint(2**31 - 1))
    answers = answers.rows(_stratified(answers.y, shuffle))
    rows, weight = np.arange(len(answers.y)), np.ones(len(answers.y))
    edges = cost_of_sets(cost)
    votes = Votes(answers, rule)
    rules = fitted_rules(answers, votes, edges)
    held_out, stage_losses = np.empty((len(rules), len(rows))), np.empty(answers.odds.shape)
    for fold in range(N_FOLDS):
        fit, test = answers.rows(rows % N_FOLDS != fold), answers.rows(rows % N_FOLDS == fold)
        others, at = Votes(fit, rule), np.arange(len(test.y))
        losses = 1 - others.probabilities(test)
        stage_losses[rows % N_FOLDS == fold] = losses
        stage, score = others.outcomes(test)
        for one, route in zip(held_out, fitted_rules(fit, others, edges)):
            one[rows % N_FOLDS == fold] = losses[at, stage[at, exits(route, score)]]
    stage, score = votes.outcomes(answers)
    points = []
    for route, losses in zip(rules, held_out):
        at = exits(route, score)
        own = stage_losses[rows, stage[rows, at]], edges[0][at] * cost.edge_costs_[0, -1], at
        accuracy, *more = measure_outcome(*own, weight, len(votes.sets))
        points.append((min(accuracy, 1 - losses.mean()) if len(route[0]) > 1 else accuracy, *more))
    alphas = np.r_[ALPHAS, np.full(answers.odds.shape[1], np.nan)]
    curve = build_curve(alphas, points, stage_losses, cost, weight)
    observed = 1 - answers.wrong[:, curve.reference].mean()
    return votes, rules, curve.shifted(observed - curve.stage_accuracy[curve.reference])


def cost_of_sets(cost):
    """Relative costs from each set of stages to another; from the input: of the whole set."""
    edges = subset_costs(cost.edge_costs_[0]).edge_costs_
    return cost.relative(edges)


# ------------------------------------------------------------------ results


def one_draw(answers, cost, rule, n_rows, seed):
    """Drop, relative cost, and by how much the drop exceeds that of the curve, at each of FINE."""
    rows, rest = split(len(answers.y), n_rows, seed)
    votes, rules, curve = search(answers.rows(rows), cost, rule, seed)
    test, points = answers.rows(rest), []
    stage, score = votes.outcomes(test)
    alone, every, edges = test.wrong.mean(axis=0), np.arange(len(rest)), cost_of_sets(cost)
    for target in FINE:
        i = len(ALPHAS) + curve.reference
        if target != ALONE:
            asked = {"max_accuracy_drop": target} if target != MOST_ACCURATE else {"alpha": 0.0}
            i = OperatingPoint(**asked).choose(curve)
        at = exits(rules[i], score)
        loss = test.wrong[every, stage[every, at]].mean()
        promised = curve.reference_accuracy - curve.accuracy[i]
        beyond = loss - alone[curve.reference] - promised
        points.append((loss - alone.min(), edges[0][at].mean(), beyond))
    return points


def costs(draws):
    """Relative cost at each of DROPS, of the mean points of some draws."""
    drop, cost = front(draws.mean(axis=0)[:, :2])
    return np.interp(DROPS, drop, cost)


def missed(draws):
    """Share of draws above each of TARGETS."""
    at = [FINE.index(target) for target in TARGETS]
    return (draws[:, at, 0] > np.array(TARGETS) + 1e-12).mean(axis=0)


def table_row(table, name, found, n_rows):
    """Costs of one rule on one table, and as a ratio to those of the default."""
    draws, default = found[table, name], found[table, "default"]
    ratio = costs(draws) / costs(default)
    drawn = np.random.default_rng(0).integers(len(draws), size=(N_BOOTSTRAP, len(draws)))
    error = np.std([costs(draws[rows]) / costs(default[rows]) for rows in drawn], axis=0)
    at = [FINE.index(target) for target in TARGETS]
    return {
        "data": f"{table:<18}",
        "rule": f"{name:<30}",
        "rows": n_rows,
        "seeds": seeds(len(draws)),
        **{f"cost at {drop:g}": value for drop, value in zip(DROPS, costs(draws))},
        **{
            f"ratio at {drop:g}": f"{value:.3f} +- {more:.3f}"
            for drop, value, more in zip(DROPS, ratio, error)
        },
        "draws above": float(missed(draws).mean()),
        "points beyond the curve": float(100 * draws[:, at, 2].mean()),
        "_ratio": ratio.tolist(),
        "_error": error.tolist(),
        "_missed": missed(draws).tolist(),
    }


def mean_row(name, found, tables):
    """Geometric means over the tables, and on how many of them a rule is more expensive."""
    ratio = [costs(found[table, name]) / costs(found[table, "default"]) for table in tables]
    mean, worse = np.exp(np.log(ratio).mean(axis=0)), (np.array(ratio) > 1).sum(axis=0)
    return {
        "rule": f"{name:<30}",
        "tables": len(tables),
        **{f"ratio at {drop:g}": float(value) for drop, value in zip(DROPS, mean)},
        "more expensive on": ", ".join(map(str, worse)),
        "draws above": float(np.mean([missed(found[table, name]).mean() for table in tables])),
    }
