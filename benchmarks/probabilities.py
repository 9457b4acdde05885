"""Better probabilities: the mean of all visited stages as the answer, and calibrated answers.

Every rule is tuned on the same rows and judged on others. Its accuracy at a cost is read off the
line through its candidates on the cross-fitted Pareto front; gains are paired over splits, in
points of accuracy. Relative costs are shares of the last member's price.
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
from skcascade._operating_point import OperatingPoint
from skcascade._tuning import Search
from skcascade.costs import FixedCost, MacsCost
from skcascade.policies import ConfidenceThreshold, WeightedBinary
from skcascade.policies._threshold import ThresholdRules, _best_of, _interpolated

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
#: Rows tuned on, and at most that many others judged on.
N_TUNING, N_JUDGED = 2_000, 8_000
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
            yield from recorded(TABLES[name](), n_splits, n_learnt=0 if args.quick else 5)
    if "members" in args.parts:
        for name in FILES[2:] if args.quick else FILES:
            yield from members(name, n_seeds)


# ------------------------------------------------------------------ one rule on one split


class Judged:
    """A rule tuned on some rows and judged on others: points (cost, accuracy) by rising cost."""

    def __init__(self, policy, trace, y, prices, rows, rest, seed):
        search = Search.run(policy, trace.rows(rows), y[rows], prices, random_state=seed)
        self.trace, self.y, self.prices = trace.rows(rest), y[rest], prices
        front = search.curve.pareto()
        self.points = np.array([self.judge(search.policies[i])[:2] for i in front])
        self.expected = accuracy_at_costs(
            search.curve.relative_cost[front], search.curve.accuracy[front]
        )
        half = OperatingPoint(max_cost=0.5).choose(search.curve)
        self.surest = self.judge(search.policies[half])[2]

    def judge(self, policy):
        """Relative cost, accuracy, and accuracy over the 80 % surest answers."""
        way = walk(self.trace, policy)
        right = 1 - self.trace.losses(self.y)[np.arange(len(self.y)), way.exit]
        cost = self.prices.relative(self.prices.path_cost(way.visited)).mean()
        surest = np.argsort(-way.proba.max(axis=1), kind="stable")[: int(0.8 * len(self.y))]
        return cost, right.mean(), right[surest].mean()

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
        accuracy = np.maximum.accumulate(accuracy)  # paying more for less is nobody's choice
        wanted = best - np.array(DROPS)
        return np.where(accuracy[-1] >= wanted, np.interp(wanted, accuracy, cost), np.nan)


def accuracy_at_costs(cost, accuracy):
    """Accuracy at each of COSTS on the line through points; NaN where even the first is dearer."""
    order = np.argsort(cost, kind="stable")
    return np.interp(COSTS, cost[order], accuracy[order], left=np.nan)


def at_costs(accuracy, baseline):
    """Columns of accuracies (n_splits, len(COSTS)): gains, and of the baseline itself, percents."""
    more = 100 * (accuracy if accuracy is baseline else accuracy - baseline)
    sign = "" if accuracy is baseline else "+"
    return {f"at {cost}": in_words(more[:, i], sign) for i, cost in enumerate(COSTS)}


def in_words(values, sign="+"):
    """Mean and standard error over splits (which share rows, so it is a lower bound)."""
    values = values[~np.isnan(values)]
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():{sign}.2f} +- {error:.2f}" if len(values) else "-"


# ------------------------------------------------------------------ part 1: combined answers


def combination(table, n_splits):
    """Rows of the rules that answer with a combination of all visited stages."""
    found = {}
    for seed in range(n_splits):
        rows, rest = split(len(table.y), N_TUNING, seed)
        rest = rest[:N_JUDGED]
        both = np.r_[rows, rest]
        here = Table(table.name, table.trace.rows(both), table.y[both], table.price)
        rows, rest = np.split(np.arange(len(both)), [len(rows)])
        best = here.correct[rest].mean(axis=0).max()
        judged = {
            name: Judged(policy, trace, here.y, prices, rows, rest, seed)
            for name, (policy, trace, prices) in combined_rules(here, rows).items()
        }
        for name, rule in judged.items():
            one = rule.accuracy_at_costs(), rule.cost_at_drops(best), rule.best - best
            found.setdefault(name, []).append(one)
        last, mean = judged["last"], judged["mean, by log odds"]
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
            "cost saved (% of 1.0), 0.5 points down": in_words(saved[:, 0]),
            "1 point down": in_words(saved[:, 1]),
            "most accurate, over best stage": in_words(100 * most),
        }


def combined_rules(table, rows):
    """Name -> policy, trace and prices; anything learnt is learnt from `rows`."""
    proba, price = table.trace.proba, FixedCost(table.price).fit(table.trace)
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
    policy, prices = SubsetThreshold(), subset_prices(table.price)
    return {
        "last": (ConfidenceThreshold(), table.trace, price),
        "last, tempered": (ConfidenceThreshold(), Trace(calibrated), price),
    } | {name: (policy, trace, prices) for name, trace in traces.items()}


def subsets(n_members):
    """All non-empty sets of members, each after its prefixes; the last member alone is last."""
    return sorted(s for m in range(1, n_members + 1) for s in combinations(range(n_members), m))


def combine(proba, weight=None, *, log=False):
    """Mean answers (n_samples, n_subsets, n_classes) of each set of members."""
    n_members = proba.shape[1]
    weight = np.ones(n_members) if weight is None else weight
    score = np.log(np.maximum(proba, 1e-6)) if log else proba
    sets = [list(members) for members in subsets(n_members)]
    means = [np.average(score[:, s], axis=1, weights=weight[s]) for s in sets]
    return (softmax(means, axis=2) if log else np.array(means)).transpose(1, 0, 2)


def subset_prices(price):
    """Prices of going from a set of members to another; from the input: of asking all of it."""
    sets = subsets(len(price))
    edges = np.tile([price[members[-1]] for members in sets], (len(sets), 1))
    edges[0] = [price[list(members)].sum() for members in sets]
    return FixedCost(edges).fit(len(sets))


class SubsetThreshold(ConfidenceThreshold):
    """Thresholds where stage k stands for the k-th of the sets of members visited so far.

    The members asked are chosen as ever, as the set with the least objective at each price.
    """

    def _joint(self, trace, y, cost, alphas, weight, score):
        sets = subsets((trace.n_stages + 1).bit_length() - 1)
        ways = [tuple(sets.index(s[: i + 1]) for i in range(len(s))) for s in sets]
        rules = ThresholdRules(score, trace.losses(y), cost.relative(cost.edge_costs_), weight)
        chances = dict.fromkeys(ways, np.arange(len(alphas)))
        cuts, stages = _best_of(rules, alphas, chances)
        cuts = _interpolated(rules, alphas, cuts, stages)
        return [self._at(cut, in_use) for cut, in_use in zip(cuts, stages)]


# ------------------------------------------------------------------ part 2: calibrated answers


class Recorded(ClassifierMixin, BaseEstimator):
    """A classifier whose samples are its answers."""

    def fit(self, X, y):
        """Learn which classes there are."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        """X itself."""
        return X

    def predict(self, X):
        """The most likely class; scikit-learn asks that there be such a method."""
        return self.classes_[X.argmax(axis=1)]


def calibrated_trace(table, rows, method):
    """The answers of every stage calibrated on `rows`; of services, the top answer's alone."""
    proba, stages = table.trace.proba.astype(float), []
    full = np.isin(np.arange(proba.shape[2]), table.y[rows]).all()
    pred, sure = proba.argmax(axis=2), proba.max(axis=2)
    for k in range(proba.shape[1]):
        X = proba[:, k] if full else np.stack([1 - sure[:, k], sure[:, k]], axis=1)
        y = table.y[rows] if full else (table.y == pred[:, k])[rows].astype(int)
        member = FrozenEstimator(Recorded().fit(X, y))
        model = CalibratedClassifierCV(member, method=method).fit(X[rows], y)
        stages.append(model.predict_proba(X) if full else model.predict_proba(X)[:, 1])
    stages = np.stack(stages, axis=1)
    return Trace(stages) if full else Trace.from_top1(pred, stages, proba.shape[2])


def recorded(table, n_splits, n_learnt):
    """Rows of recorded answers, calibrated on the rows that are tuned on."""
    found = {}
    for seed in range(n_splits):
        rows, rest = split(len(table.y), N_TUNING, seed)
        rest = rest[:N_JUDGED]
        traces = {"bare": table.trace}
        traces |= {method: calibrated_trace(table, rows, method) for method in METHODS}
        learnt = WeightedBinary(random_state=seed) if seed < n_learnt else None
        calibration_split(found, traces, table.y, table.price, rows, rest, seed, learnt)
    yield from calibration_rows(found, table.name)


def members(name, n_seeds, n_fit=3_000):
    """Rows of members fitted bare and in CalibratedClassifierCV, at the prices of the bare."""
    X, y = table_of(name)
    found = {"two": {}, "three": {}}
    for seed in range(n_seeds):
        fit, others = split(len(y), n_fit, seed)
        others = others[: N_TUNING + N_JUDGED]
        answers, price = fitted_answers(X[fit], y[fit], X[others], seed)
        rows, rest = np.split(np.arange(len(others)), [N_TUNING])
        codes = np.unique(y, return_inverse=True)[1][others]
        for chain, which in {"two": [1, 3], "three": [0, 2, 3]}.items():
            traces = {how: Trace(proba[:, which]) for how, proba in answers.items()}
            calibration_split(found[chain], traces, codes, price[which], rows, rest, seed)
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


def fitted_answers(X, y, X_new, seed):
    """How -> probabilities (n_samples, 4 members, n_classes) of `X_new`; and the bare prices."""
    bare = [
        DecisionTreeClassifier(max_depth=4, random_state=seed),
        GaussianNB(),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        RandomForestClassifier(100, random_state=seed),
    ]
    fitted = {"bare": [clone(member).fit(X, y) for member in bare]}
    for method in METHODS:
        for ensemble in (False, True):
            name = f"{method}, ensemble" if ensemble else method
            fitted[name] = [
                CalibratedClassifierCV(clone(member), method=method, cv=3, ensemble=ensemble).fit(
                    X, y
                )
                for member in bare
            ]
    answers = {
        how: np.stack([member.predict_proba(X_new) for member in chain], axis=1)
        for how, chain in fitted.items()
    }
    return answers, np.array([MacsCost.count(member, X) for member in fitted["bare"]])


def calibration_split(found, traces, y, price, rows, rest, seed, learnt=None):
    """Add what every rule makes of every trace to `found`."""
    prices = FixedCost(price).fit(len(price))
    for how, trace in traces.items():
        judged = Judged(ConfidenceThreshold(), trace, y, prices, rows, rest, seed)
        held_out = trace.rows(rest)
        accuracy = {
            "threshold per stage": judged.accuracy_at_costs(),
            "one threshold": one_threshold(held_out, y[rest], prices),
        }
        if learnt is not None:
            rule = Judged(learnt, trace, y, prices, rows, rest, seed)
            accuracy["learnt"] = rule.accuracy_at_costs()
        one = {
            "accuracy": accuracy,
            "surest": judged.surest,
            "error": calibration_error(held_out, y[rest]),
            "stages": 1 - held_out.losses(y[rest]).mean(axis=0),
        }
        found.setdefault(how, []).append(one)


def one_threshold(trace, y, prices):
    """Accuracy at each of COSTS of the same threshold for all stages, none left out."""
    sure = np.unique(trace.proba[:, :-1].max(axis=2))
    cuts = np.unique(np.quantile(sure, np.linspace(0, 1, 200), method="nearest"))
    curve = []
    for cut in [*cuts, np.inf]:
        way = walk(trace, thresholds([cut] * (trace.n_stages - 1)))
        right = 1 - trace.losses(y)[np.arange(len(y)), way.exit]
        curve.append((prices.relative(prices.path_cost(way.visited)).mean(), right.mean()))
    return accuracy_at_costs(*np.array(curve).T)


def calibration_error(trace, y, n_bins=15):
    """Expected calibration error of the top answer of each stage, in bins of equal size."""
    right, sure = 1 - trace.losses(y), trace.proba.max(axis=2)
    errors = []
    for k in range(trace.n_stages):
        bins = np.array_split(np.argsort(sure[:, k], kind="stable"), n_bins)
        gaps = [abs((right[b, k] - sure[b, k]).mean()) * len(b) for b in bins]
        errors.append(sum(gaps) / len(y))
    return np.array(errors)


def calibration_rows(found, data):
    """One row for every kind of answers and every rule; gains are over the bare answers."""
    for how, results in found.items():
        error, stages = (np.mean([one[k] for one in results], axis=0) for k in ("error", "stages"))
        surest = 100 * np.array([a["surest"] - b["surest"] for a, b in zip(results, found["bare"])])
        for rule in results[0]["accuracy"]:
            accuracy, bare = (
                np.array([one["accuracy"][rule] for one in some if rule in one["accuracy"]])
                for some in (results, found["bare"])
            )
            yield {
                "data": data,
                "splits": seeds(len(accuracy)),
                "answers": how,
                "rule": rule,
                **at_costs(accuracy, accuracy if how == "bare" else bare),
                "calibration error": " ".join(f"{value:.3f}" for value in error),
                "stage accuracy": " ".join(f"{value:.3f}" for value in stages),
                "80 % surest at cost 0.5": in_words(surest),
            }
