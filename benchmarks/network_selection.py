"""Network selection against the chain, and thresholds, on recorded predictions.

Every policy is fitted on the same rows and evaluated on all others, in two ways: by the point that
a `max_accuracy_drop` chooses, and by its cost at equal accuracy. The latter is read off the line
through its candidates (those on the cross-fitted Pareto front), at the accuracy of the best single
stage on the other rows less the drop.
"""

import numpy as np

from skcascade.policies import ConfidenceThreshold, WeightedBinary
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import Search

from ._data import recorded_nets, recorded_table
from ._draws import Draw, cost_at, mean_and_error, standard_error
from ._report import seeds, verdict
from ._timing import timed

DROPS = 0.0, 0.005, 0.01, 0.02
#: The policy that all others are compared with.
CHAIN = "weighted, chain"


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--tables", nargs="+", default=["expw", "cifar10"], choices=list(TABLES))
    parser.add_argument("--rows", type=int, default=2_000, help="rows fitted on")
    parser.add_argument("--seeds", type=int, help="random splits (default 10, quick 2)")


def run(args):
    """One row for each table, policy and drop."""
    n_seeds = args.seeds or (2 if args.quick else 10)
    for table in (TABLES[name]() for name in args.tables):
        results = {name: [] for name in policies(0, table)}
        for seed in range(n_seeds):
            for name, policy in policies(seed, table).items():
                results[name].append(one_split(table, policy, args.rows, seed))
        for name in results:
            yield from summary(table, name, results, args.rows)


TABLES = {"expw": lambda: recorded_table("expw", 4), "cifar10": recorded_nets}


def policies(seed, table):
    """The policies that are compared."""
    last = table.trace.n_stages - 1
    one_between = {0: list(range(1, last + 1))} | {k: [last] for k in range(1, last)}
    found = {
        "threshold": ConfidenceThreshold(),
        CHAIN: WeightedBinary(random_state=seed),
        "weighted, skip": WeightedBinary(skip=True, random_state=seed),
        "weighted, one between": WeightedBinary(
            skip=True, successors=one_between, random_state=seed
        ),
    }
    if last == 2:  # then "one between" is the same
        del found["weighted, one between"]
    return found


def one_split(table, policy, n_rows, seed):
    """Drop and cost on the other rows: of the chosen points, and of those on the front."""
    draw = Draw.of(table, n_rows, seed)
    search, seconds = timed(
        lambda: Search.run(policy, draw.trace, draw.y, draw.cost, random_state=seed)
    )
    chosen = [OperatingPoint(max_accuracy_drop=drop).choose(search.curve) for drop in DROPS]
    front = search.curve.pareto()
    measured = {i: draw.evaluate(search.policies[i]) for i in {*chosen, *front}}
    return {
        "seconds": seconds,
        "chosen": np.array([measured[i] for i in chosen]),
        "equal": cost_at(np.array([measured[i] for i in front]), DROPS),
    }


def summary(table, name, results, n_rows):
    """The rows of one policy."""
    equal, chain = (np.array([one["equal"] for one in results[key]]) for key in (name, CHAIN))
    chosen = np.array([one["chosen"] for one in results[name]])
    seconds = np.median([one["seconds"] for one in results[name]])
    for i, wanted in enumerate(DROPS):
        reached = equal[~np.isnan(equal[:, i]), i]
        more = (equal - chain)[~np.isnan(equal - chain)[:, i], i]
        yield {
            "data": table.name,
            "rows": n_rows,
            "seeds": seeds(len(equal)),
            "rule": name,
            "max drop": wanted,
            "drop": mean_and_error(chosen[:, i, 0]),
            "cost": mean_and_error(chosen[:, i, 1]),
            "cost at equal accuracy": mean_and_error(equal[:, i]),
            "more than the chain": mean_and_error(more, sign="+") if name != CHAIN else "-",
            "no dearer": no_costlier(more) if name != CHAIN else "-",  # words: ok
            "search s": float(seconds),
            "_reached": len(reached) / len(equal),
            "_mean cost": float(chosen[:, i, 1].mean()),
            "_mean cost at equal accuracy": float(reached.mean()) if len(reached) else None,
        }


def no_costlier(more):
    """Whether the policy is at most as expensive as the chain, up to twice the standard error."""
    return verdict(more.mean(), 2 * standard_error(more)) if len(more) > 1 else "-"
