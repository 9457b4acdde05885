"""Certified operating points: how often a bound is exceeded, and the cost of keeping it.

Every draw is a random set of rows of a recorded table. The whole table is the population, and
evaluates the chosen policy: its drop below the best single stage, and its mean cost. A bound that
holds with confidence 0.9 may be exceeded in a tenth of all draws. Draws in which nothing is
certified, with a warning, promise nothing and break nothing; their cost counts.
"""

import warnings

import numpy as np

from skcascade import walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._tuning import Tuning

from ._data import recorded_nets, recorded_resnets, recorded_table, split
from ._report import seeds, verdict

LEVEL = 0.9
DROP = OperatingPoint(max_accuracy_drop=0.01)
#: The largest mean cost: 0 is that of the cheapest stage, 1 that of the most expensive one.
COST_SHARE = 0.5
TABLES = {
    "expw": lambda: recorded_table("expw"),
    "ferplus": lambda: recorded_table("ferplus"),
    "yelp": lambda: recorded_table("yelp"),
    "command": lambda: recorded_table("command"),
    "nets": recorded_nets,
    "resnets": recorded_resnets,
}
#: Tables on which coverage is measured.
COVERED = "expw", "yelp", "nets", "resnets"
#: Rows of a draw -> largest geometric mean, over the tables, of the mean relative cost.
TARGETS = {3_000: 0.455, 1_000: 0.55}
POLICIES = {
    "threshold": ConfidenceThreshold,
    "weighted": WeightedBinary,
    "weighted, skip": lambda: WeightedBinary(skip=True),
    "reinforce": Reinforce,
}


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--draws", type=int, help="of each row (default 100, coverage 200)")
    parser.add_argument("--parts", nargs="+", default=["cost", "coverage"])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=list(POLICIES))


def run(args):
    """Costs of certified points, then how often bounds are exceeded, for every policy."""
    if "cost" in args.parts:
        yield from cost_rows(args.draws or (4 if args.quick else 100))
    if "coverage" in args.parts:
        n_draws = args.draws or (4 if args.quick else 200)
        for name in args.policies[:1] if args.quick else args.policies:
            for table in (TABLES[name]() for name in COVERED):
                yield from coverage_rows(name, table, n_draws)


def cost_rows(n_draws):
    """The default policy at a drop of 0.01, and the geometric mean over the tables."""
    for n_rows, target in TARGETS.items():
        costs = []
        for table in (TABLES[name]() for name in TABLES):
            drops, cost, nothing = draws(ConfidenceThreshold(), table, n_rows, [DROP], n_draws)
            costs.append(cost[0].mean())
            excess = np.where(nothing[0], -np.inf, drops[0] - 0.01)
            yield row("threshold", table.name, n_rows, n_draws, DROP, excess, cost[0]) | {
                "mean drop": float(drops[0].mean()),
                "nothing certified": float(nothing[0].mean()),
            }
        mean = float(np.exp(np.mean(np.log(costs))))
        yield {
            "rows": n_rows,
            "geometric mean of the relative costs": mean,
            "at most": target,
            "met": verdict(mean, target),
        }


def coverage_rows(name, table, n_draws, n_rows=1_000):
    """Both bounds for one policy on one table."""
    stage_cost = table.cost / table.cost[-1]
    budget = stage_cost.min() + COST_SHARE * (stage_cost.max() - stage_cost.min())
    targets = [DROP, OperatingPoint(max_cost=float(budget))]
    drops, costs, nothing = draws(POLICIES[name](), table, n_rows, targets, n_draws)
    excess = np.where(nothing, -np.inf, [drops[0] - 0.01, costs[1] - budget])
    for target, over, cost in zip(targets, excess, costs):
        yield row(name, table.name, n_rows, n_draws, target, over, cost)


def row(policy, table, n_rows, n_draws, target, excess, cost):
    """One row of the table; `excess` over the bound is of shape (n_draws,)."""
    broken = float((excess > 1e-12).mean())
    return {
        "policy": f"{policy:<14}",
        "data": f"{table:<18}",
        "rows": n_rows,
        "seeds": seeds(n_draws),
        "bound": f"{target.text():<25}",
        "broken": broken,
        "at most": round(1 - LEVEL, 3),
        "kept": verdict(broken, 1 - LEVEL + 1e-9),
        "relative cost": f"{cost.mean():.4f} +- {cost.std() / np.sqrt(n_draws):.4f}",
        "_cost": float(cost.mean()),
    }


def draws(policy, table, n_rows, targets, n_draws):
    """Drop, relative cost and whether nothing was certified, of shape (n_targets, n_draws)."""
    cost = FixedCost(table.cost).fit(table.trace)
    correct, every_row = table.correct, np.arange(len(table.y))
    best = correct.mean(axis=0).max()
    drops, costs, nothing = np.empty((3, len(targets), n_draws))
    for seed in range(n_draws):
        rows, _ = split(len(table.y), n_rows, seed)
        if "random_state" in policy.get_params():
            policy.set_params(random_state=seed)
        tuning = Tuning(policy, table.trace.rows(rows), table.y[rows], cost, random_state=seed)
        for i, target in enumerate(targets):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", CascadeWarning)
                fitted, *_ = tuning.fit(target, LEVEL)
            route = walk(table.trace, fitted)
            drops[i, seed] = best - correct[every_row, route.exit].mean()
            costs[i, seed] = cost.relative(cost.path_cost(route.visited)).mean()
            nothing[i, seed] = any(issubclass(w.category, CascadeWarning) for w in caught)
    return drops, costs, nothing
