"""What each part of a policy is worth, on recorded predictions.

A policy is tuned on a random draw of rows and evaluated on all other rows of the table. Its
variants get the same draws, so that differences are paired. Curves consist of the candidates on
the cross-fitted Pareto front, those that an operating point may choose. Two numbers compare them:
their area (`TradeoffCurve.area`: accuracy over the best single stage, mean over all budgets, in
points), and the relative cost at equal drop below the best stage, read off the line through
them.

Units of work are kept in `--cache` by table, draw and name of the variant. Empty it after a change
of a variant or of the package.
"""

import joblib
import numpy as np

from . import _draws
from ._ablations_units import (
    ALWAYS_ALL,
    DEFAULT_GRADIENT,
    EPSILONS,
    GRADIENTS,
    HIDDEN,
    VARIANTS,
    learn,
    measure,
    noise,
)
from ._draws import TARGETS, cost_at, mean_and_error, standard_error
from ._report import seeds

#: Most draws for learned policies, which take seconds to a minute a draw.
LEARNED_DRAWS, GRADIENT_DRAWS = 10, 5
SLOW_DRAWS = {"weighted, boosting": 3}
#: A quick run has fewer draws and rows, and only the first variants of the slow parts.
QUICK_DRAWS, QUICK_ROWS = 2, 200
QUICK_VARIANTS = {"features": 2, "gradients": 4}
#: Tables with all probabilities: only there do measures of confidence differ.
ALL_PROBABILITIES = "cifar10", "resnets_test_jpeg", "digits"
#: Drop at which costs are printed; the others are in the JSON file.
SHOWN = 0.01


def add_arguments(parser):
    """Options of this benchmark."""
    _draws.add_arguments(parser)
    parser.set_defaults(rows=None)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--cache", default="benchmark-cache", help="folder of finished units")


def run(args):
    """The rows of each part."""
    if args.quick and args.draws is None:
        args.draws = QUICK_DRAWS
    tables, n_draws = _draws.chosen(args)
    n_rows = args.rows or (QUICK_ROWS if args.quick else _draws.N_ROWS)
    memory = joblib.Memory(args.cache, verbose=0)
    for part in args.parts:
        n_variants = QUICK_VARIANTS.get(part) if args.quick else None
        yield from PARTS[part](memory, tables, n_rows, n_draws, n_variants)


def measured(memory, table, variants, n_rows, n_draws):
    """Results of each draw by variant."""
    once = memory.cache(measure, ignore=["table"])
    return {
        variant: [
            once(variant, table.name, n_rows, seed, table)
            for seed in range(min(n_draws, SLOW_DRAWS.get(variant, n_draws)))
        ]
        for variant in variants
    }


def curve_rows(part, variants):
    """A part that compares whole curves: rows per table and variant, then means over tables."""

    def rows(memory, tables, n_rows, n_draws, n_variants=None):
        gains = {variant: [] for variant in variants[1:n_variants]}
        for table in tables:
            found = measured(memory, table, variants[:n_variants], n_rows, n_draws)
            for variant, results in found.items():
                row, gain = compared(results, found[variants[0]])
                yield {
                    "part": part,
                    "data": f"{table.name:<17}",
                    "rows": n_rows,
                    "seeds": seeds(len(results)),
                    "variant": f"{variant:<26}",
                } | row
                if variant != variants[0]:
                    gains[variant].append(gain)
        yield from overall(part, variants[0], gains)

    return rows


def compared(results, default):
    """A row of the table, and the gain in area: mean and standard error."""
    area, gain = paired(lambda one: one["area"], results, default)
    equal, more = paired(lambda one: cost_at(front_of(one), TARGETS), results, default)
    asked = np.array([one["points"][one["chosen"]] for one in results])
    at = TARGETS.index(SHOWN)
    row = {
        "area": float(mean_of(area)),
        "gained": mean_and_error(gain, sign="+"),
        f"cost at drop {SHOWN:g}": float(mean_of(equal)[at]),
        "more": mean_and_error(more[:, at], sign="+"),
        f"asked {SHOWN:g}: drop": float(asked[:, at, 0].mean()),
        "cost": float(asked[:, at, 1].mean()),
        "search s": float(np.median([one["seconds"] for one in results])),
        "_areas": listed(area),
        "_targets": list(TARGETS),
        "_reached": np.isfinite(equal).mean(axis=0).tolist(),
        "_cost at equal drop": listed(mean_of(equal)),
        "_more at equal drop": listed(mean_of(more)),
        "_more, standard error": listed([error_of(x) for x in more.T]),
        "_asked, drop and cost": asked.mean(axis=0).tolist(),
    }
    return row, (mean_of(gain), error_of(gain))


def paired(value, results, default):
    """`value` of each draw, and the difference to that of `default` on the same draw."""
    own, base = (np.array([value(one) for one in draws]) for draws in (results, default))
    return own, own - base[: len(own)]


def overall(part, default, gains):
    """Gain in area of each variant, mean over the tables."""
    for variant, found in gains.items():
        mean, error = np.array([one for one in found if np.isfinite(one[0])]).reshape(-1, 2).T
        if len(mean):
            yield {
                "part": part,
                "variant": f"{variant:<26}",
                f"gained on {default}": float(mean.mean()),
                "standard error": float(np.sqrt((error**2).sum()) / len(error)),
                "tables": len(mean),
                "better": int((mean > 2 * error).sum()),
                "worse": int((mean < -2 * error).sum()),
            }


def epsilon_rows(memory, tables, n_rows, n_draws):
    """The rule exactly as in the paper, against the joint curve at its drop and at its cost."""
    for table in tables:
        found = measured(memory, table, ["joint", *EPSILONS], n_rows, n_draws)
        for variant in EPSILONS:
            own = np.array([one["points"][0] for one in found[variant]])
            joint = map(front_of, found["joint"])
            equal = [cost_at(*pair) for pair in zip(joint, own[:, 0])]
            yield {
                "part": "tuning",
                "data": f"{table.name:<17}",
                "rows": n_rows,
                "seeds": seeds(n_draws),
                "variant": f"{variant:<12}",
                "drop": mean_and_error(own[:, 0]),
                "cost": mean_and_error(own[:, 1]),
                "joint at that drop": mean_and_error(np.array(equal)),
                "more": mean_and_error(own[:, 1] - equal, sign="+"),
                "within reach": float(np.isfinite(equal).mean()),
            }


def tuning_rows(memory, tables, n_rows, n_draws, n_variants=None):
    """The choice of thresholds."""
    curves = curve_rows("tuning", ["joint", "joint, unsmoothed", "per_stage"])
    yield from curves(memory, tables, n_rows, n_draws, n_variants)
    yield from epsilon_rows(memory, tables, n_rows, n_draws)


def cross_fitting_rows(memory, tables, n_rows, n_draws, n_variants=None):
    """Operating points chosen on the cross-fitted curve and on that of the tuning rows."""
    for variant, most in ("joint", n_draws), ("weighted", LEARNED_DRAWS):
        for table in tables:
            results = measured(memory, table, [variant], n_rows, min(n_draws, most))[variant]
            for i, target in enumerate(TARGETS):
                yield {
                    "part": "cross-fitting",
                    "data": f"{table.name:<17}",
                    "rows": n_rows,
                    "seeds": seeds(len(results)),
                    "policy": f"{variant:<8}",
                    "target": target,
                    **chosen_by("chosen", "cross-fitted", results, i, target),
                    **chosen_by("apparent", "apparent", results, i, target),
                }


def chosen_by(curve, title, results, i, target):
    """How often and by how much draws exceed the target, for points chosen on one curve."""
    drop, cost = np.array([one["points"][one[curve][i]] for one in results]).T
    return {
        f"{title}: over": float((drop > target + 1e-12).mean()),
        f"{title}: by": mean_and_error(np.maximum(drop - target, 0)),
        f"{title}: cost": float(cost.mean()),
        f"_{title}: mean drop": float(drop.mean()),
        f"_{title}: cost, standard error": float(standard_error(cost)),
    }


def confidence_rows(memory, tables, n_rows, n_draws, n_variants=None):
    """Calibration per class; and measures of confidence, where all probabilities are known."""
    meaning = curve_rows("confidence", ["joint", "uncalibrated confidence"])
    yield from meaning(memory, tables, n_rows, n_draws, n_variants)
    full = [table for table in tables if table.name in ALL_PROBABILITIES]
    measures = curve_rows("confidence", ["joint", "margin", "entropy"])
    yield from measures(memory, full, n_rows, n_draws, n_variants)


def feature_rows(memory, tables, n_rows, n_draws, n_variants=None):
    """The features of learned policies, and the classifier that learns them."""
    rows = curve_rows("features", [name for name in VARIANTS if name.startswith("weighted")])
    yield from rows(memory, tables, n_rows, min(n_draws, LEARNED_DRAWS), n_variants)


def gradient_rows(memory, tables, n_rows, n_draws, n_variants=None):
    """Heads that learn when to stop: the objective, and the noise of the gradients."""
    learn_once, noise_once = (memory.cache(f, ignore=["table"]) for f in (learn, noise))
    for table in tables:
        n_seeds = min(n_draws, GRADIENT_DRAWS)
        where = [(table.name, n_rows, seed, table) for seed in range(n_seeds)]
        default = [learn_once(DEFAULT_GRADIENT, (), *at) for at in where]
        for hidden in HIDDEN:
            noisy = [noise_once(hidden, *at) for at in where]
            for variant in list(GRADIENTS)[:n_variants]:
                found = [learn_once(variant, hidden, *at) for at in where]
                yield {
                    "part": "gradients",
                    "data": f"{table.name:<17}",
                    "rows": n_rows,
                    "seeds": seeds(n_seeds),
                    "variant": f"{variant:<23}",
                    "hidden": f"{hidden!s:<6}",
                    **reached(found, default),
                    **scattered([one["start"][variant] for one in noisy], "start"),
                    **scattered([one["fitted"][variant] for one in noisy], "fitted"),
                }


def reached(results, default):
    """Objective of heads and of the policy, and how much it exceeds that of the default."""
    row = {}
    for what in "heads", "policy":
        value, more = paired(lambda one: one[what], results, default)  # noqa: B023
        row |= {what: float(value.mean()), f"{what}: more": mean_and_error(more, 5, "+")}
        row |= {f"_{what}, mean more": more.mean(), f"_{what}, error": standard_error(more)}
    return row


def scattered(results, state):
    """Relative variance of the gradient, and its squared bias over the expected one.

    Means are taken before the ratio: for confident heads, few draws hold most of the variance.
    """
    variance, bias, expected = np.array(results).T
    row = {f"{state}: variance": float(variance.mean()), f"{state}: bias": "-"}
    if expected.any():
        ratio = bias.mean() / expected.mean()
        error = standard_error(bias - ratio * expected) / expected.mean()
        row[f"{state}: bias"] = f"{ratio:.2f} +- {error:.2f}"
    return row


def front_of(result):
    """(drop, cost) of the candidates on the cross-fitted front, on the evaluation rows."""
    return result["points"][result["front"]]


def mean_of(values):
    """Mean over the draws that have a value; NaN where none has."""
    found = np.isfinite(values)
    total, n = np.where(found, values, 0).sum(axis=0), found.sum(axis=0)
    return np.where(n, total / np.maximum(n, 1), np.nan)


def error_of(values):
    """Standard error of that mean, for values of one dimension."""
    return standard_error(values[np.isfinite(values)])


def listed(values):
    """A list for JSON, which has no NaN."""
    return [float(x) if np.isfinite(x) else None for x in values]


PARTS = {
    "tuning": tuning_rows,
    "pruning": curve_rows("pruning", ["joint", "all stages or one", ALWAYS_ALL]),
    "cross-fitting": cross_fitting_rows,
    "confidence": confidence_rows,
    "features": feature_rows,
    "gradients": gradient_rows,
}
