"""Tuning on expected losses against tuning on the observed ones: same search, same draws.

Losses that are given as an array have no expectation and are minimized as they are. So a trace with
the observed 0/1 losses as its `loss` shows what tuning on them would do. Costs are compared at
equal drop: read off the line through the mean points of many targets.
"""

import numpy as np

from skcascade import Trace
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning._tuning import Tuning

from ._draws import Draw, add_arguments, chosen
from ._report import seeds
from ._timing import timed
from .peers import ALONE, FINE, MOST_ACCURATE, OperatingPoint, front

__all__ = ["add_arguments", "run"]

#: Drops at which costs are compared; they are targets, too.
DROPS = 0.0025, 0.005, 0.01, 0.02
LOSSES = "observed", "expected"


def run(args):
    """For each table one row per kind of losses, then geometric means over the tables."""
    tables, n_draws = chosen(args)
    found = {name: [] for name in LOSSES}
    for table in tables:
        draws = [Draw.of(table, args.rows, seed) for seed in range(n_draws)]
        for name in LOSSES:
            points, seconds = zip(*(one_draw(draw, name) for draw in draws))
            points = np.array(points)
            cost = np.interp(DROPS, *front(points.mean(axis=0)))
            missed = [np.mean(points[:, FINE.index(drop), 0] > drop + 1e-12) for drop in DROPS]
            found[name].append((cost, missed, np.median(seconds)))
            yield row(table.name, args.rows, n_draws, name, *found[name][-1])
    for name in LOSSES:
        cost, missed, seconds = zip(*found[name])
        mean = np.exp(np.log(cost).mean(axis=0))
        yield row("all", args.rows, n_draws, name, mean, np.mean(missed, axis=0), sum(seconds))
    ratio = [np.exp(np.log([cost for cost, *_ in found[name]]).mean(axis=0)) for name in LOSSES]
    yield {"expected over observed": f"{np.round(ratio[1] / ratio[0], 3)}"}


def one_draw(draw, losses):
    """Drop and relative cost at each of FINE (n_targets, 2), and seconds of the search."""
    trace = draw.trace
    if losses == "observed":
        trace = Trace(trace.proba, loss=trace.losses(draw.y))
    tuning = Tuning(ConfidenceThreshold(), trace, draw.y, draw.cost, random_state=draw.seed)
    search, seconds = timed(tuning.search)
    points = []
    for target in FINE:
        index = search.reference
        if target != ALONE:
            asked = {"alpha": 0.0} if target == MOST_ACCURATE else {"max_accuracy_drop": target}
            index = OperatingPoint(**asked).choose(search.curve)
        points.append(draw.evaluate(search.policies[index]))
    return points, seconds


def row(data, n_rows, n_draws, losses, cost, missed, seconds):
    """Costs at equal drop, and shares of draws above the target."""
    return {
        "data": f"{data:<21}",
        "rows": n_rows,
        "seeds": seeds(n_draws),
        "losses": losses,
        **{f"cost at {drop}": float(at) for drop, at in zip(DROPS, cost)},
        **{f"missed {drop}": float(share) for drop, share in zip(DROPS, missed)},
        "search s": float(seconds),
    }
