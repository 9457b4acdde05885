"""Mean cost at a bounded accuracy drop, and certified bounds, on recorded tables."""

import warnings

import numpy as np

from skcascade import fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold

from ._data import recorded_table, split
from ._report import seeds, verdict

DROP = 0.01
#: Table -> largest mean relative cost, plain and certified.
TARGETS = {"expw": (0.67, 0.80), "ferplus": (0.56, 0.71), "yelp": (0.69, 0.84)}


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--splits", type=int, help="random splits (default 20; certified: 100)")
    parser.add_argument("--tables", nargs="+", default=list(TARGETS), help="of FrugalML")


def run(args):
    """One row a table, first plain and then certified."""
    tables = [recorded_table(name) for name in args.tables]
    for table in tables:
        yield plain(table, n_splits=args.splits or (3 if args.quick else 20))
    for table in tables:
        yield certified(table, n_splits=args.splits or (5 if args.quick else 100))


def plain(table, n_splits, n_rows=1_000):
    """Tuned on `n_rows`, judged on all others."""
    drop, cost = np.empty((2, n_splits))
    for seed in range(n_splits):
        rows, rest = split(len(table.y), n_rows, seed)
        policy = tuned(table, rows, seed)
        drop[seed], cost[seed] = judge(table, rest, policy)
    target = TARGETS.get(table.name, (np.nan, np.nan))[0]
    return {
        "data": f"frugalml_{table.name}",
        "tuned on": f"{n_rows} rows",
        "judged on": "other rows",
        "seeds": seeds(n_splits),
        "relative cost": f"{cost.mean():.4f} +- {standard_error(cost):.4f}",
        "target": target,
        "met": verdict(cost.mean(), target),
        "drop": f"{drop.mean():.5f} +- {standard_error(drop):.5f}",
        "drop target": DROP,
        "drop met": verdict(drop.mean(), DROP),
        "draws above": float((drop > DROP).mean()),
        "_cost": float(cost.mean()),
        "_drop": float(drop.mean()),
    }


def certified(table, n_splits, n_rows=3_000, confidence_level=0.9):
    """Tuned and certified on `n_rows`, judged on the whole table: that is the population."""
    drop, cost = np.empty((2, n_splits))
    nothing = 0
    for seed in range(n_splits):
        rows, _ = split(len(table.y), n_rows, seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", CascadeWarning)
            policy = tuned(table, rows, seed, confidence_level=confidence_level)
        nothing += any(issubclass(w.category, CascadeWarning) for w in caught)
        drop[seed], cost[seed] = judge(table, np.arange(len(table.y)), policy)
    violations = float((drop > DROP).mean())
    target = TARGETS.get(table.name, (np.nan, np.nan))[1]
    return {
        "data": f"frugalml_{table.name}",
        "certified on": f"{n_rows} rows",
        "judged on": "all rows",
        "seeds": seeds(n_splits),
        "relative cost": f"{cost.mean():.4f} +- {standard_error(cost):.4f}",
        "target": target,
        "met": verdict(cost.mean(), target),
        "drop above 0.01": violations,
        "at most": round(1 - confidence_level, 6),
        "kept": verdict(violations, 1 - confidence_level + 1e-9),
        "mean drop": float(drop.mean()),
        "nothing certified": nothing / n_splits,
        "_cost": float(cost.mean()),
    }


def tuned(table, rows, seed, **kwargs):
    """The default policy tuned on `rows`."""
    return fit_policy(
        ConfidenceThreshold(),
        table.trace.rows(rows),
        table.y[rows],
        cost=table.price,
        max_accuracy_drop=DROP,
        random_state=seed,
        **kwargs,
    )


def judge(table, rows, policy):
    """Accuracy drop on `rows` against the table's best service, and mean relative cost."""
    correct = table.correct
    best = correct.mean(axis=0).argmax()
    way = walk(table.trace.rows(rows), policy)
    prices = FixedCost(table.price).fit(table.trace)
    accuracy = correct[rows, way.exit].mean()
    cost = prices.relative(prices.path_cost(way.visited)).mean()
    return correct[rows, best].mean() - accuracy, cost


def standard_error(values):
    """Of the mean over splits (which share rows, so it is a lower bound)."""
    return values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
