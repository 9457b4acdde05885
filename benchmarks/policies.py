"""Every policy on every recorded table: the points it chooses, and its whole trade-off curve.

Each draw is a random set of rows to tune on; all other rows of the table evaluate. All policies get
the same draws, and one search per draw serves everything below. `Reinforce` trains its stop heads
only: recorded members cannot be trained.

- Operating points: cost and drop at each of TARGETS, and how often the drop exceeds the target.
- The curve: candidates on the cross-fitted Pareto front of the search, on the evaluation rows.
  Its area is `TradeoffCurve.area`, in points of accuracy: each budget counts with the best point
  within it, so that few points with wide gaps count for less. On the *line* through the points,
  a budget between two of them mixes them at random. So it does for the random mixture of single
  stages, and for the oracle, which knows for each sample which stages are right.
- The comparison with the default policy, draw by draw: difference in both areas, with paired
  t-tests, and in accuracy at equal relative cost, on the lines.

Draws differ in the rows tuned on and in the seed of the policy. The evaluation rows are nearly the
same every time: the table less a small part (half of *digit*). So errors and p-values say whether
other draws *from this table* would give the same result. They do not say whether other data of the
same kind would. And draws share rows, so that even for this table they are a little too small.

One policy on one draw is kept in `--cache`, as long as policy and function do not change. Use a new
folder after other changes of the package: they are not noticed.
"""

import joblib
import numpy as np
from scipy.integrate import trapezoid
from scipy.stats import ttest_1samp

from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.tuning._build_curve import build_curve, measure_outcome
from skcascade.tuning._curve import _mean_best
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import compute_outcome
from skcascade.tuning._tuning import Tuning

from . import _draws
from ._draws import TARGETS, Draw, mean_and_error, standard_error
from ._report import seeds
from ._timing import timed

#: The policy that all others are compared with.
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
#: Quick ones, one of each kind.
QUICK = DEFAULT, "per stage", "weighted", "exact"
#: Areas of a curve, and of the baseline and the bound that it is compared with.
AREAS = "area", "line", "mixture", "oracle"
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
            yield from point_rows(table, args.rows, name, found[name])
        for name in names:
            yield curve_row(table, args.rows, name, found)


def one_draw(table, name, policy, n_rows, seed):
    """Results of a policy on one draw of a table; the cache knows the table by its name.

    Returns
    -------
    draw : dict
        `chosen`: drop, relative cost, and the cost that the search expected, at each target,
        (n_targets, 3). `curve`: relative cost and accuracy by rising cost, (2, n_points).
        An area for each of AREAS. `seconds`: of the search.
    """
    draw = Draw.of(table, n_rows, seed)
    tuning = Tuning(policy, draw.trace, draw.y, draw.cost, random_state=seed)
    search, seconds = timed(tuning.search)
    fitted, _, indices = tuning.fit_all([OperatingPoint(max_accuracy_drop=t) for t in TARGETS])
    curve = evaluated_curve(draw, search)
    order, mixed = np.argsort(curve.relative_cost, kind="stable"), curve.random_mixture()
    points = np.stack([curve.relative_cost[order], curve.accuracy[order]])
    measured = [draw.evaluate(policy) for policy in fitted]
    return {
        "chosen": np.c_[measured, search.curve.relative_cost[indices]],
        "curve": points,
        "area": curve.area(),
        "line": area_of_line(*points, curve),
        "mixture": area_of_line(curve.stage_cost[mixed], curve.stage_accuracy[mixed], curve),
        "oracle": area_of_line(*oracle(draw.test.losses(draw.y_test), curve.stage_cost), curve),
        "seconds": seconds,
    }


def evaluated_curve(draw, search):
    """Candidates on the cross-fitted front, on the evaluation rows."""
    front = search.curve.pareto()
    losses = draw.test.losses(draw.y_test)
    weight, n_stages = np.ones(len(losses)), draw.test.n_stages
    outcomes = (compute_outcome(draw.test, search.policies[i], losses, draw.cost) for i in front)
    points = [measure_outcome(*outcome, weight, n_stages) for outcome in outcomes]
    return build_curve(search.curve.parameter[front], points, losses, draw.cost, weight)


def oracle(losses, stage_cost):
    """Corners (cost, accuracy) of the best curve there is, by rising cost.

    Every sample goes straight to the stage with the smallest loss + alpha * cost. With 0/1 losses,
    choices change only at alphas at which a correct prediction is worth exactly the difference
    in cost between two stages. So one alpha between each two of these finds every corner.

    Parameters
    ----------
    losses : ndarray of shape (n_samples, n_stages)
    stage_cost : ndarray of shape (n_stages,)
    """
    steps = np.unique(np.abs(np.subtract.outer(stage_cost, stage_cost)))
    turns = 1 / steps[steps > 0][::-1]
    alphas = np.r_[turns[0] / 2, (turns[1:] + turns[:-1]) / 2, turns[-1] * 2]
    best = [np.argmin(losses + alpha * stage_cost, axis=1) for alpha in alphas[::-1]]
    loss = [np.take_along_axis(losses, k[:, np.newaxis], axis=1).mean() for k in best]
    return np.array([stage_cost[k].mean() for k in best]), 1 - np.array(loss)


def area_of_line(cost, accuracy, curve):
    """Area of the line through corners, as that of `curve`; the line mixes its corners."""
    low, high = curve.stage_cost.min(), curve.stage_cost[curve.reference]
    if low == high:
        return np.nan
    budgets = np.unique(np.r_[low, np.clip(cost, low, high), high])
    mean = trapezoid(np.interp(budgets, cost, accuracy), budgets) / (high - low)
    return mean - _mean_best(curve.stage_cost, curve.stage_accuracy, low, high)


def point_rows(table, n_rows, name, draws):
    """The rows of one policy: the point chosen at each target."""
    measured = np.transpose([draw["chosen"] for draw in draws], (1, 2, 0))
    for target, (drop, cost, expected) in zip(TARGETS, measured):
        yield {
            "part": "chosen",
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
    area, line, mixture, best = (in_points(found[name], key) for key in AREAS)
    row = {
        "part": "curve",
        **labels(table, n_rows, name, found[name]),
        "area": mean_and_error(area, 3),
        "line": mean_and_error(line, 3),
        "coin toss": float(mixture.mean()),  # words: ok
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
    """p-value of the paired t-test that their mean is 0."""
    return number(ttest_1samp(differences, 0).pvalue) if len(differences) > 1 else None


def compared_costs(table):
    """SHARES of the way from the cheapest stage's relative cost to the best one's."""
    cost = table.cost / table.cost[-1]
    accuracy = table.correct.mean(axis=0)
    low, high = cost.min(), cost[accuracy == accuracy.max()].min()
    return low + np.array(SHARES) * (high - low)


def in_points(draws, key):
    """An area of each draw, in points of accuracy."""
    return 100 * np.array([draw[key] for draw in draws])


def labels(table, n_rows, name, draws):
    """The first cells of a row."""
    return {
        "data": f"{table.name:<17}",
        "rows": n_rows,
        "seeds": seeds(len(draws)),
        "policy": f"{name:<14}",
    }


def number(value):
    """A float, or None for NaN, which JSON does not have."""
    return None if np.isnan(value) else float(value)
