"""Every policy on every recorded table: where its dial lands, and its whole trade-off curve.

Each draw is a random set of rows to tune on; all other rows of the table judge. All policies get
the same draws, and one search per draw serves everything below. `Reinforce` trains its stop heads
only: recorded members cannot be trained.

- The dial: cost and drop at each of TARGETS, and how often the drop is larger than asked for.
- The curve: candidates on the cross-fitted Pareto front of the search, judged on the other rows.
  Its area is `TradeoffCurve.area`, in points of accuracy: each budget buys the best point it
  pays for, and what is left is lost, so that few points with wide gaps count for less. On the
  *line* through the points, a budget between two of them is shared out; so it is for the coin
  toss between single stages and the oracle, which knows of each sample which stages are right.
- The comparison with the default policy, draw by draw: difference in both areas, with paired
  t-tests, and in accuracy at equal relative cost, on the lines.

What varies from draw to draw are the rows tuned on and the seed of the policy. The judging rows
are nearly the same every time: the table less a small part (half of *digit*). So errors and
p-values say whether other draws *from this table* would give the same result, not whether other
data of the same kind would; and draws share rows, so that they are a little too small even then.

One policy on one draw is kept in `--cache`, as long as policy and function stay as they are; a
change elsewhere in the package is not noticed, so use a new folder then.
"""

import joblib
import numpy as np
from scipy.integrate import trapezoid
from scipy.stats import ttest_1samp

from skcascade._curve import _mean_best, curve_of
from skcascade._operating_point import OperatingPoint
from skcascade._search import way_of
from skcascade._tuning import Tuning
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary

from . import _draws
from ._draws import TARGETS, Draw, mean_and_error, standard_error
from ._report import seeds
from ._timing import timed

#: What the others are compared with.
DEFAULT = "threshold"
#: Name -> policy for a seed.
POLICIES = {
    DEFAULT: lambda seed: ConfidenceThreshold(),
    "per stage": lambda seed: ConfidenceThreshold(tuning="per_stage"),
    "weighted": lambda seed: WeightedBinary(random_state=seed),
    "weighted, skip": lambda seed: WeightedBinary(skip=True, random_state=seed),
    "reinforce": lambda seed: Reinforce(random_state=seed),
    "exact": lambda seed: Reinforce("exact", random_state=seed),
}
#: Those that are quick, one of each kind.
QUICK = DEFAULT, "per stage", "weighted", "exact"
#: What is known of a curve: its own areas, and those it is measured by.
AREAS = "area", "line", "coin toss", "oracle"
#: Accuracies are compared at these shares of the way from the cheapest to the best stage's cost.
SHARES = 0.25, 0.5, 0.75


def add_arguments(parser):
    """Options of this benchmark."""
    _draws.add_arguments(parser)
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), help="default: all")
    parser.add_argument("--cache", default="benchmark-cache", help="folder of finished draws")


def run(args):
    """For each table one row per policy and target, then one row per policy and curve."""
    once = joblib.Memory(args.cache, verbose=0).cache(one_draw, ignore=["table"])
    tables, n_draws = _draws.chosen(args)
    names = args.policies or list(QUICK if args.quick else POLICIES)
    for table in tables:
        found = {}
        for name in names:
            found[name] = [
                once(table, table.name, POLICIES[name](seed), args.rows, seed)
                for seed in range(n_draws)
            ]
            yield from dial_rows(table, args.rows, name, found[name])
        for name in names:
            yield curve_row(table, args.rows, name, found)


def one_draw(table, name, policy, n_rows, seed):
    """What a policy does on one draw of a table, which is known to the cache by its name.

    Returns
    -------
    draw : dict
        `dial`: drop, relative cost, and the cost that the search expected, at each target,
        (n_targets, 3). `curve`: relative cost and accuracy by rising cost, (2, n_points).
        `area`, `line`, `coin toss`, `oracle`: areas. `seconds`: of the search.
    """
    draw = Draw.of(table, n_rows, seed)
    tuning = Tuning(policy, draw.trace, draw.y, draw.prices, random_state=seed)
    search, seconds = timed(tuning.search)
    fitted, _, indices = tuning.fit_all([OperatingPoint(max_accuracy_drop=t) for t in TARGETS])
    curve = judged_curve(draw, search)
    order, toss = np.argsort(curve.relative_cost, kind="stable"), curve.coin_toss()
    points = np.stack([curve.relative_cost[order], curve.accuracy[order]])
    judged = [draw.judge(policy) for policy in fitted]
    return {
        "dial": np.c_[judged, search.curve.relative_cost[indices]],
        "curve": points,
        "area": curve.area(),
        "line": area_of_line(*points, curve),
        "coin toss": area_of_line(curve.stage_cost[toss], curve.stage_accuracy[toss], curve),
        "oracle": area_of_line(*oracle(draw.test.losses(draw.y_test), curve.stage_cost), curve),
        "seconds": seconds,
    }


def judged_curve(draw, search):
    """Candidates on the cross-fitted front, on the rows that judge."""
    front = search.curve.pareto()
    losses = draw.test.losses(draw.y_test)
    ways = (way_of(draw.test, search.policies[i], losses, draw.prices) for i in front)
    weight = np.ones(len(losses))
    return curve_of(search.curve.parameter[front], ways, losses, draw.prices, weight)


def oracle(losses, price):
    """Corners (cost, accuracy) of the best curve there is, by rising cost.

    Every sample goes straight to the stage of the least loss + alpha * price. With 0/1 losses
    choices change only where a right answer is worth just the step between two stages, so that
    one alpha between each two such prices finds every corner.

    Parameters
    ----------
    losses : ndarray of shape (n_samples, n_stages)
    price : ndarray of shape (n_stages,)
    """
    steps = np.unique(np.abs(np.subtract.outer(price, price)))
    turns = 1 / steps[steps > 0][::-1]
    alphas = np.r_[turns[0] / 2, (turns[1:] + turns[:-1]) / 2, turns[-1] * 2]
    best = [np.argmin(losses + alpha * price, axis=1) for alpha in alphas[::-1]]
    lost = [np.take_along_axis(losses, k[:, np.newaxis], axis=1).mean() for k in best]
    return np.array([price[k].mean() for k in best]), 1 - np.array(lost)


def area_of_line(cost, accuracy, curve):
    """Area as of `curve`, of the line through corners: budgets between them are shared out."""
    low, high = curve.stage_cost.min(), curve.stage_cost[curve.reference]
    if low == high:
        return np.nan
    budgets = np.unique(np.r_[low, np.clip(cost, low, high), high])
    mean = trapezoid(np.interp(budgets, cost, accuracy), budgets) / (high - low)
    return mean - _mean_best(curve.stage_cost, curve.stage_accuracy, low, high)


def dial_rows(table, n_rows, name, draws):
    """The rows of one policy: where the dial lands at each target."""
    measured = np.transpose([draw["dial"] for draw in draws], (1, 2, 0))
    for target, (drop, cost, expected) in zip(TARGETS, measured):
        yield {
            "part": "dial",
            **labels(table, n_rows, name, draws),
            "max drop": target,
            "relative cost": mean_and_error(cost, 4),
            "drop": mean_and_error(drop, 5),
            "over target": float((drop > target + 1e-12).mean()),
            "search s": float(np.median([draw["seconds"] for draw in draws])),
            "_mean cost": float(cost.mean()),
            "_cost error": number(standard_error(cost)),
            "_expected cost": float(expected.mean()),
            "_mean drop": float(drop.mean()),
            "_drop error": number(standard_error(drop)),
        }


def curve_row(table, n_rows, name, found):
    """Areas of one policy, and the comparison with the default one; all in points."""
    area, line, toss, best = (in_points(found[name], key) for key in AREAS)
    row = {
        "part": "curve",
        **labels(table, n_rows, name, found[name]),
        "area": mean_and_error(area, 3),
        "line": mean_and_error(line, 3),
        "coin toss": float(toss.mean()),
        "oracle": float(best.mean()),
        "_areas": area.tolist(),
        "_lines": line.tolist(),
        "_mean area": float(area.mean()),
        "_mean line": float(line.mean()),
        "_below oracle": bool((np.maximum(area, line) <= best + 1e-9).all()),
    }
    if name == DEFAULT or DEFAULT not in found:
        return row | dict.fromkeys(("more area", "p", "more line", "p line", "at cost"), "-")
    return row | comparison(table, found[name], found[DEFAULT])


def comparison(table, draws, default):
    """How much better a policy is than the default one on the same draws, in points."""
    area, line = (in_points(draws, key) - in_points(default, key) for key in ("area", "line"))
    costs = compared_costs(table)
    at = 100 * np.array(
        [
            np.interp(costs, *a["curve"]) - np.interp(costs, *b["curve"])
            for a, b in zip(draws, default)
        ]
    )
    return {
        "more area": mean_and_error(area, 3, "+"),
        "p": p_value(area),
        "more line": mean_and_error(line, 3, "+"),
        "p line": p_value(line),
        "at cost": ", ".join(
            f"{c:.2f}: {mean_and_error(more, 2, '+')}" for c, more in zip(costs, at.T)
        ),
        "_mean more area": float(area.mean()),
        "_more area error": number(standard_error(area)),
        "_mean more line": float(line.mean()),
        "_more line error": number(standard_error(line)),
        "_costs": costs.tolist(),
        "_more accuracy": at.mean(axis=0).tolist(),
        "_more accuracy error": [number(standard_error(more)) for more in at.T],
    }


def p_value(differences):
    """Of the paired t-test that their mean is 0."""
    return number(ttest_1samp(differences, 0).pvalue) if len(differences) > 1 else None


def compared_costs(table):
    """SHARES of the way from the cheapest stage's relative cost to the best one's."""
    price = table.price / table.price[-1]
    accuracy = table.correct.mean(axis=0)
    low, high = price.min(), price[accuracy == accuracy.max()].min()
    return low + np.array(SHARES) * (high - low)


def in_points(draws, key):
    """An area of each draw, in points of accuracy."""
    return 100 * np.array([draw[key] for draw in draws])


def labels(table, n_rows, name, draws):
    """What a row is about."""
    return {
        "data": f"{table.name:<17}",
        "rows": n_rows,
        "seeds": seeds(len(draws)),
        "policy": f"{name:<14}",
    }


def number(value):
    """A float, None where there is none: JSON knows no NaN."""
    return None if np.isnan(value) else float(value)
