"""Mean cost at a bounded accuracy drop on recorded tables."""

import numpy as np

from skcascade import fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold

from ._data import recorded_table, split
from ._report import seeds, verdict

DROP = 0.01
#: Table -> largest mean relative cost.
TARGETS = {"expw": 0.67, "ferplus": 0.56, "yelp": 0.69}


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--splits", type=int, help="random splits (default 20)")
    parser.add_argument("--tables", nargs="+", default=list(TARGETS), help="of FrugalML")


def run(args):
    """One row a table."""
    for name in args.tables:
        yield plain(recorded_table(name), n_splits=args.splits or (3 if args.quick else 20))


def plain(table, n_splits, n_rows=1_000):
    """Tuned on `n_rows`, judged on all others."""
    drop, cost = np.empty((2, n_splits))
    for seed in range(n_splits):
        rows, rest = split(len(table.y), n_rows, seed)
        policy = tuned(table, rows, seed)
        drop[seed], cost[seed] = judge(table, rest, policy)
    target = TARGETS.get(table.name, np.nan)
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


def tuned(table, rows, seed):
    """The default policy tuned on `rows`."""
    return fit_policy(
        ConfidenceThreshold(),
        table.trace.rows(rows),
        table.y[rows],
        cost=table.price,
        max_accuracy_drop=DROP,
        random_state=seed,
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
