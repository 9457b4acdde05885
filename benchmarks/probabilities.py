"""Better probabilities: the mean of all visited stages as the prediction, and calibration.

Every rule is tuned on the same rows and evaluated on others. Its accuracy at a cost is read off the
line through its candidates on the cross-fitted Pareto front. Gains are paired over splits, in
points of accuracy. Relative costs are shares of the cost of the last member.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcascade import Trace, walk
from skcascade.costs import FixedCost, MacsCost
from skcascade.policies import ConfidenceThreshold, WeightedBinary
from skcascade.policies._interpolation import interpolate
from skcascade.policies._threshold import ThresholdRules, _best_of
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import Search

from ._data import (
    Table,
    data_folder,
    recorded_nets,
    recorded_resnets,
    recorded_table,
    split,
    thresholds,
)
from ._report import seeds

COSTS = 0.2, 0.3, 0.4, 0.5, 0.6, 0.8
DROPS = 0.005, 0.01
METHODS = "temperature", "sigmoid", "isotonic"
#: Name of the predictions without calibration.
UNCALIBRATED = "uncalibrated"
#: Rows tuned on, and at most that many others evaluated on.
N_TUNING, N_EVALUATED = 2_000, 8_000
SERVICES = "expw", "ferplus", "yelp", "command"
TABLES = {name: lambda name=name: recorded_table(name) for name in SERVICES} | {
    "cifar10": recorded_nets,
    "resnets": recorded_resnets,
}
FILES = "adult", "covertype", "magic"


def add_arguments(parser):
    """Options of this benchmark."""
    parts = ["combination", "recorded", "members"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--splits", type=int, help="of recorded tables (default 20, quick 2)")
    parser.add_argument("--seeds", type=int, help="of fitted members (default 10, quick 2)")


def run(args):
    """One row for each table and rule."""
    n_splits = args.splits or (2 if args.quick else 20)
    n_seeds = args.seeds or (2 if args.quick else 10)
    if "combination" in args.parts:
        for name in list(TABLES)[: 1 if args.quick else None]:
            yield from combination(TABLES[name](), n_splits)
    if "recorded" in args.parts:
        for name in ("cifar10",) if args.quick else ("cifar10", "expw"):
            yield from recorded(TABLES[name](), n_splits, n_learned=0 if args.quick else 5)
    if "members" in args.parts:
        for name in FILES[2:] if args.quick else FILES:
            yield from members(name, n_seeds)


# ------------------------------------------------------------------ one rule on one split


class Evaluated:
    """A rule tuned on some rows and evaluated on others: points (cost, accuracy) by rising cost."""

    def __init__(self, policy, trace, y, cost, rows, rest, seed):
        search = Search.run(policy, trace.rows(rows), y[rows], cost, random_state=seed)
        self.trace, self.y, self.cost = trace.rows(rest), y[rest], cost
        front = search.curve.pareto()
        self.points = np.array([self.evaluate(search.policies[i])[:2] for i in front])
        self.expected = accuracy_at_costs(
            search.curve.relative_cost[front], search.curve.accuracy[front]
        )
        half = OperatingPoint(max_cost=0.5).choose(search.curve)
        self.most_confident = self.evaluate(search.policies[half])[2]

    def evaluate(self, policy):
        """Relative cost, accuracy, and accuracy of the 80 % most confident predictions."""
        route = walk(self.trace, policy)
        right = 1 - self.trace.losses(self.y)[np.arange(len(self.y)), route.exit]
        cost = self.cost.relative(self.cost.path_cost(route.visited)).mean()
        order = np.argsort(-route.proba.max(axis=1), kind="stable")
        return cost, right.mean(), right[order[: int(0.8 * len(self.y))]].mean()

    @property
    def best(self):
        """Accuracy of the candidate that is most accurate on the tuning rows."""
        return self.points[-1, 1]

    def accuracy_at_costs(self):
        """Accuracy at each of COSTS."""
        return accuracy_at_costs(*self.points.T)

    def cost_at_drops(self, best):
        """Cost at each of DROPS below the accuracy `best`; NaN if out of reach."""
        cost, accuracy = self.points[np.argsort(self.points[:, 0], kind="stable")].T
        accuracy = np.maximum.accumulate(accuracy)  # never pay more for less
        wanted = best - np.array(DROPS)
        return np.where(accuracy[-1] >= wanted, np.interp(wanted, accuracy, cost), np.nan)


def accuracy_at_costs(cost, accuracy):
    """Accuracy at each of COSTS on the line through points; NaN below the cheapest point."""
    order = np.argsort(cost, kind="stable")
    return np.interp(COSTS, cost[order], accuracy[order], left=np.nan)


def at_costs(accuracy, baseline):
    """Columns of accuracies (n_splits, len(COSTS)): gains; the baseline itself in percent."""
    more = 100 * (accuracy if accuracy is baseline else accuracy - baseline)
    sign = "" if accuracy is baseline else "+"
    return {f"at {cost}": as_text(more[:, i], sign) for i, cost in enumerate(COSTS)}


def as_text(values, sign="+"):
    """Mean and standard error over splits. They share rows, so the error is a lower bound."""
    values = values[~np.isnan(values)]
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():{sign}.2f} +- {error:.2f}" if len(values) else "-"


# ------------------------------------------------------------------ part 1: combined predictions


def combination(table, n_splits):
    """Rows of the rules that predict with a combination of all visited stages."""
    found = {}
    for seed in range(n_splits):
        rows, rest = split(len(table.y), N_TUNING, seed)
        rest = rest[:N_EVALUATED]
        both = np.r_[rows, rest]
        here = Table(table.name, table.trace.rows(both), table.y[both], table.cost)
        rows, rest = np.split(np.arange(len(both)), [len(rows)])
        best = here.correct[rest].mean(axis=0).max()
        evaluated = {
            name: Evaluated(policy, trace, here.y, cost, rows, rest, seed)
            for name, (policy, trace, cost) in combined_rules(here, rows).items()
        }
        for name, rule in evaluated.items():
            one = rule.accuracy_at_costs(), rule.cost_at_drops(best), rule.best - best
            found.setdefault(name, []).append(one)
        last, mean = evaluated["last"], evaluated["mean, by log odds"]
        wins = mean.expected > last.expected
        one = np.where(wins, mean.accuracy_at_costs(), last.accuracy_at_costs())
        nothing = np.full(len(DROPS), np.nan)
        found.setdefault("the better of last and log odds", []).append((one, nothing, np.nan))
    found = {name: [np.array(v) for v in zip(*results)] for name, results in found.items()}
    for name, (accuracy, cost, most) in found.items():
        saved = 100 * (found["last"][1] - cost)
        yield {
            "data": table.name,
            "splits": seeds(n_splits),
            "answer": name,
            **at_costs(accuracy, found["last"][0]),
            "cost saved (% of 1.0), 0.5 points down": as_text(saved[:, 0]),
            "1 point down": as_text(saved[:, 1]),
            "most accurate, over best stage": as_text(100 * most),
        }


def combined_rules(table, rows):
    """Name -> policy, trace and cost model; only `rows` are used for fits."""
    proba, cost = table.trace.proba, FixedCost(table.cost).fit(table.trace)
    right = table.correct[rows].mean(axis=0)
    odds = np.log(right * (table.trace.n_classes - 1) / (1 - right))
    calibrated = calibrated_trace(table, rows, "temperature").proba
    mean = Trace(combine(proba))
    last = np.stack([proba[:, members[-1]] for members in subsets(proba.shape[1])], axis=1)
    traces = {
        "mean, own confidence": Trace(last, loss=mean.losses(table.y)),
        "mean": mean,
        "geometric mean": Trace(combine(proba, log=True)),
        "mean, by accuracy": Trace(combine(proba, right)),
        "mean, by log odds": Trace(combine(proba, odds.clip(1e-3))),
        "mean of tempered": Trace(combine(calibrated)),
    }
    policy, cost_of_sets = SubsetThreshold(), subset_costs(table.cost)
    return {
        "last": (ConfidenceThreshold(), table.trace, cost),
        "last, tempered": (ConfidenceThreshold(), Trace(calibrated), cost),
    } | {name: (policy, trace, cost_of_sets) for name, trace in traces.items()}


def subsets(n_members):
    """All non-empty sets of members, each after its prefixes; the last member alone is last."""
    return sorted(s for m in range(1, n_members + 1) for s in combinations(range(n_members), m))


def combine(proba, weight=None, *, log=False):
    """Mean probabilities (n_samples, n_subsets, n_classes) of each set of members."""
    n_members = proba.shape[1]
    weight = np.ones(n_members) if weight is None else weight
    score = np.log(np.maximum(proba, 1e-6)) if log else proba
    sets = [list(members) for members in subsets(n_members)]
    means = [np.average(score[:, s], axis=1, weights=weight[s]) for s in sets]
    return (softmax(means, axis=2) if log else np.array(means)).transpose(1, 0, 2)


def subset_costs(cost):
    """Costs from each set of members to another; from the input: of all members of the set."""
    sets = subsets(len(cost))
    edges = np.tile([cost[members[-1]] for members in sets], (len(sets), 1))
    edges[0] = [cost[list(members)].sum() for members in sets]
    return FixedCost(edges).fit(len(sets))


class SubsetThreshold(ConfidenceThreshold):
    """Thresholds where stage k stands for the k-th of the sets of members visited so far.

    The members in use are those with the smallest objective at each alpha, as ever.
    """

    def _joint(self, trace, losses, cost, alphas, weight, score):
        sets = subsets((trace.n_stages + 1).bit_length() - 1)
        routes = [tuple(sets.index(s[: i + 1]) for i in range(len(s))) for s in sets]
        rules = ThresholdRules(score, losses, cost.relative(cost.edge_costs_), weight)
        shortlist = dict.fromkeys(routes, np.arange(len(alphas)))
        thresholds, stages = _best_of(rules, alphas, shortlist)
        return self._copies(interpolate(rules, alphas, thresholds, stages), stages)


# ------------------------------------------------------------------ part 2: calibrated predictions


class Recorded(ClassifierMixin, BaseEstimator):
    """A classifier whose samples are its probabilities."""

    def fit(self, X, y):
        """Keep the classes."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        """X itself."""
        return X

    def predict(self, X):
        """The most likely class; scikit-learn needs such a method."""
        return self.classes_[X.argmax(axis=1)]


def calibrated_trace(table, rows, method):
    """Probabilities of every stage, calibrated on `rows`; for services those of the top class."""
    proba, stages = table.trace.proba.astype(float), []
    full = np.isin(np.arange(proba.shape[2]), table.y[rows]).all()
    pred, confidence = proba.argmax(axis=2), proba.max(axis=2)
    for k in range(proba.shape[1]):
        X = proba[:, k] if full else np.stack([1 - confidence[:, k], confidence[:, k]], 1)
        y = table.y[rows] if full else (table.y == pred[:, k])[rows].astype(int)
        member = FrozenEstimator(Recorded().fit(X, y))
        model = CalibratedClassifierCV(member, method=method).fit(X[rows], y)
        stages.append(model.predict_proba(X) if full else model.predict_proba(X)[:, 1])
    stages = np.stack(stages, axis=1)
    return Trace(stages) if full else Trace.from_top1(pred, stages, proba.shape[2])


def recorded(table, n_splits, n_learned):
    """Rows of recorded predictions, calibrated on the rows that are tuned on."""
    found = {}
    for seed in range(n_splits):
        rows, rest = split(len(table.y), N_TUNING, seed)
        rest = rest[:N_EVALUATED]
        traces = {UNCALIBRATED: table.trace}
        traces |= {method: calibrated_trace(table, rows, method) for method in METHODS}
        learned = WeightedBinary(random_state=seed) if seed < n_learned else None
        calibration_split(found, traces, table.y, table.cost, rows, rest, seed, learned)
    yield from calibration_rows(found, table.name)


def members(name, n_seeds, n_fit=3_000):
    """Rows of members without and with CalibratedClassifierCV, at the costs of the former."""
    X, y = table_of(name)
    found = {"two": {}, "three": {}}
    for seed in range(n_seeds):
        fit, others = split(len(y), n_fit, seed)
        others = others[: N_TUNING + N_EVALUATED]
        proba_of, cost = fitted_proba(X[fit], y[fit], X[others], seed)
        rows, rest = np.split(np.arange(len(others)), [N_TUNING])
        codes = np.unique(y, return_inverse=True)[1][others]
        for chain, which in {"two": [1, 3], "three": [0, 2, 3]}.items():
            traces = {how: Trace(proba[:, which]) for how, proba in proba_of.items()}
            calibration_split(found[chain], traces, codes, cost[which], rows, rest, seed)
    names = {"two": "naive Bayes, forest", "three": "tree, logistic, forest"}
    for chain, results in found.items():
        yield from calibration_rows(results, f"{name}: {names[chain]}")


def table_of(name):
    """Numbers (n_samples, n_features) and labels of a table, categories one-hot."""
    path = data_folder() / f"{name}.parquet"
    if not path.exists():
        raise SystemExit(f"{path} is missing: set SKCASCADE_DATA to the folder of the tables.")
    data = pd.read_parquet(path)
    X = pd.get_dummies(data.drop(columns=["target", "split"], errors="ignore"), dtype=float)
    return X.to_numpy(float), data["target"].to_numpy()


def fitted_proba(X, y, X_new, seed):
    """How -> probabilities (n_samples, 4 members, n_classes) of `X_new`; and member costs."""
    plain = [
        DecisionTreeClassifier(max_depth=4, random_state=seed),
        GaussianNB(),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        RandomForestClassifier(100, random_state=seed),
    ]
    fitted = {UNCALIBRATED: [clone(member).fit(X, y) for member in plain]}
    for method in METHODS:
        for ensemble in (False, True):
            name = f"{method}, ensemble" if ensemble else method
            fitted[name] = [
                CalibratedClassifierCV(clone(member), method=method, cv=3, ensemble=ensemble).fit(
                    X, y
                )
                for member in plain
            ]
    proba = {
        how: np.stack([member.predict_proba(X_new) for member in chain], axis=1)
        for how, chain in fitted.items()
    }
    return proba, np.array([MacsCost.count(member, X) for member in fitted[UNCALIBRATED]])


def calibration_split(found, traces, y, stage_cost, rows, rest, seed, learned=None):
    """Add the results of every rule on every trace to `found`."""
    cost = FixedCost(stage_cost).fit(len(stage_cost))
    for how, trace in traces.items():
        default = Evaluated(ConfidenceThreshold(), trace, y, cost, rows, rest, seed)
        held_out = trace.rows(rest)
        accuracy = {
            "threshold per stage": default.accuracy_at_costs(),
            "one threshold": one_threshold(held_out, y[rest], cost),
        }
        if learned is not None:
            rule = Evaluated(learned, trace, y, cost, rows, rest, seed)
            accuracy["learned"] = rule.accuracy_at_costs()
        one = {
            "accuracy": accuracy,
            "most confident": default.most_confident,
            "error": calibration_error(held_out, y[rest]),
            "stages": 1 - held_out.losses(y[rest]).mean(axis=0),
        }
        found.setdefault(how, []).append(one)


def one_threshold(trace, y, cost):
    """Accuracy at each of COSTS of the same threshold for all stages, with all stages in use."""
    confidence = np.unique(trace.proba[:, :-1].max(axis=2))
    grid = np.unique(np.quantile(confidence, np.linspace(0, 1, 200), method="nearest"))
    curve = []
    for value in [*grid, np.inf]:
        route = walk(trace, thresholds([value] * (trace.n_stages - 1)))
        right = 1 - trace.losses(y)[np.arange(len(y)), route.exit]
        curve.append((cost.relative(cost.path_cost(route.visited)).mean(), right.mean()))
    return accuracy_at_costs(*np.array(curve).T)


def calibration_error(trace, y, n_bins=15):
    """Expected calibration error of the top class of each stage, in bins of equal size."""
    right, confidence = 1 - trace.losses(y), trace.proba.max(axis=2)
    errors = []
    for k in range(trace.n_stages):
        bins = np.array_split(np.argsort(confidence[:, k], kind="stable"), n_bins)
        gaps = [abs((right[b, k] - confidence[b, k]).mean()) * len(b) for b in bins]
        errors.append(sum(gaps) / len(y))
    return np.array(errors)


def calibration_rows(found, data):
    """One row for every kind of calibration and every rule; gains are over no calibration."""
    for how, results in found.items():
        error, stages = (np.mean([one[k] for one in results], axis=0) for k in ("error", "stages"))
        plain = found[UNCALIBRATED]
        confident = [a["most confident"] - b["most confident"] for a, b in zip(results, plain)]
        for rule in results[0]["accuracy"]:
            accuracy, baseline = (
                np.array([one["accuracy"][rule] for one in some if rule in one["accuracy"]])
                for some in (results, plain)
            )
            yield {
                "data": data,
                "splits": seeds(len(accuracy)),
                "answers": how,
                "rule": rule,
                **at_costs(accuracy, accuracy if how == UNCALIBRATED else baseline),
                "calibration error": " ".join(f"{value:.3f}" for value in error),
                "stage accuracy": " ".join(f"{value:.3f}" for value in stages),
                "80 % surest at cost 0.5": as_text(100 * np.array(confident)),
            }
