"""Coverage of certificates, intervals and `sample_size`, on populations of known truth.

Every draw is a random set of rows, and the whole population evaluates what was certified on it.
A violation is unwarned if the certificate says that the bound holds and the population says that
it does not. With a confidence level of 0.9 a tenth of all draws may have one. A cell of the table
is kept if its share is at most a tenth plus two binomial standard errors.
"""

import warnings
from functools import lru_cache, partial

import numpy as np
from joblib import Parallel, delayed

from skcascade import fit_policy, sample_size, walk
from skcascade.evidence._row_costs import incurred
from skcascade.evidence._scoring import MeanLoss, bootstrap_interval
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning._bound_tests import bound_test
from skcascade.tuning._fit_policy import add_free_stage, resolve_costs
from skcascade.tuning._groups import Groups
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._reject_bound import RejectBound
from skcascade.tuning._tuning import Tuning

from ._populations import N_ROWS, POPULATIONS, population
from ._report import seeds, verdict

LEVEL = 0.9
#: Held-out rows of a draw -> bound on the drop: one that so many rows can certify.
DROPS = {50: 0.1, 100: 0.05, 300: 0.02, 1_000: 0.01}
#: Factor of the bound where it holds in each of two groups, which have fewer rows.
BY_GROUP = 4
#: Bound on the mean cost: 0 is that of the cheapest stage, 1 that of the most expensive one.
COST_SHARE = 0.5
#: Populations for intervals.
INTERVALS = "equal ties", "bad cheap stage", "overconfident", "costs per row"
#: Populations for `sample_size`: bound on the drop, and relative cost to reach.
GOALS = {
    "bad cheap stage": (0.04, 0.9),
    "duplicates": (0.02, 0.55),
    "costs of zero": (0.02, 0.15),
    "Brier losses": (0.02, 0.6),
}
PILOT_ROWS = 2_000
#: Populations for bounds on rejected samples.
REJECTS = "equal ties", "overconfident"
#: Populations of a quick run.
QUICK = "equal ties", "Brier losses", "costs per row"
POWER = 0.8
#: Resamples of a bootstrap interval.
N_BOOTSTRAP = 300


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--draws", type=int, help="of each cell (default 300, quick 4)")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--populations", nargs="+", default=list(POPULATIONS))
    parser.add_argument("--n-jobs", type=int, default=1, help="processes")


def run(args):
    """Every part, cell by cell."""
    n_draws = args.draws or (4 if args.quick else 300)
    sizes = list(DROPS)[1:3] if args.quick else list(DROPS)
    for part in args.parts:
        for name in args.populations:
            if args.quick and name not in QUICK:
                continue
            fewer = 3 if name == "twelve stages" else 1
            yield from PARTS[part](population(name), sizes, n_draws // fewer, args.n_jobs)


def certificates(pop, sizes, n_draws, n_jobs):
    """Bounds on the drop, on the cost, and on the drop in each of two groups."""
    for n_rows in sizes:
        targets = [*bounds(pop, n_rows)]
        measured = in_draws(partial(certified_once, pop, n_rows, targets), n_draws, n_jobs)
        for i, (kind, target, _) in enumerate(targets):
            yield cell(pop, kind, n_rows, target.text(), measured[:, i])


def bounds(pop, n_rows):
    """What is certified: name, target, and whether in each group."""
    drop = OperatingPoint(max_accuracy_drop=DROPS[n_rows])
    stage_cost = relative_stage_costs(pop)
    low, high = stage_cost.min(), stage_cost.max()
    yield "drop", drop, False
    budget = round(float(low + COST_SHARE * (high - low)), 4)
    yield "cost", OperatingPoint(max_cost=budget), False
    yield "drop by group", OperatingPoint(max_accuracy_drop=BY_GROUP * DROPS[n_rows]), True


def certified_once(pop, n_rows, targets, seed):
    """For each target: whether it is certified, by how much it is broken, and the true cost."""
    rows = np.random.default_rng(seed).integers(len(pop.y), size=n_rows)
    trace = pop.trace.rows(rows)
    trace, cost = resolve_costs(None if trace.cost is not None else pop.cost, trace)
    given = ConfidenceThreshold(), trace, pop.y[rows], cost
    plain, grouped = (
        Tuning(*given, random_state=seed, groups=groups)
        for groups in (None, Groups.of(pop.groups[rows].tolist()))
    )
    grouped.searches = plain.searches
    found = []
    for _, target, by_group in targets:
        tuning = grouped if by_group else plain
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            policy, search, index = tuning.fit(target, LEVEL)
        route = walk(pop.trace, policy)
        if target.max_cost is not None:
            broken_by = clipped_cost(pop, tuning, search, index, target, route) - target.max_cost
        else:
            broken_by = worst_drop(pop, route.exit, by_group) - target.max_accuracy_drop
        found.append((policy.certified_, broken_by, true_cost(pop, route)))
    return found


def worst_drop(pop, exits, by_group):
    """The largest drop below any stage, in all rows or in the worst group."""
    losses = pop.trace.losses(pop.y)
    excess = losses[np.arange(len(losses)), exits][:, np.newaxis] - losses
    groups = pop.groups if by_group else np.zeros(len(losses))
    return max(excess[groups == group].mean(axis=0).max() for group in np.unique(groups))


def relative_stage_costs(pop):
    """True mean cost of each stage, as a share of the last one."""
    costs = pop.cost.edge_costs_[0] if pop.trace.cost is None else pop.trace.cost.mean(axis=0)
    return costs / costs[-1]


def true_cost(pop, route):
    """Mean cost, as a share of the last stage's."""
    last = pop.cost.edge_costs_[0, -1] if pop.trace.cost is None else pop.trace.cost[:, -1].mean()
    return incurred(route, pop.cost).mean() / last


def clipped_cost(pop, tuning, search, index, target, route):
    """What is certified about the cost; costs of rows count up to the largest one tuned on."""
    if pop.trace.cost is None:
        return true_cost(pop, route)
    test = bound_test(search, target, tuning.trace, tuning.y, tuning.cost)
    last = tuning.cost.relative(pop.trace.cost[:, -1])
    values = tuning.cost.relative(route.cost) + target.max_cost * (1 - last)
    return np.minimum(values, test.upper(index)).mean()


def cell(pop, kind, n_rows, bound, measured):
    """One row of the table, of draws (n_draws, 3)."""
    certified, excess, cost = measured.T
    broken = float(((certified > 0) & (excess > 1e-9)).mean())
    limit = allowed(1 - LEVEL, len(measured))
    return {
        "kind": f"{kind:<14}",
        "population": f"{pop.name:<20}",
        "rows": n_rows,
        "seeds": seeds(len(measured)),
        "bound": f"{bound:<22}",
        "certified": float(certified.mean()),
        "unwarned violations": broken,
        "at most": round(limit, 4),
        "kept": verdict(broken, limit),
        "true cost": float(cost.mean()),
    }


def rejects(pop, sizes, n_draws, n_jobs):
    """Bounds on the error rate of answered samples, and on the share rejected.

    Every draw tunes some 14 reject costs, so that there are a third as many.
    """
    if pop.name not in REJECTS:
        return
    error = float(np.mean(pop.trace.proba.argmax(axis=2) != pop.y[:, np.newaxis], axis=0).min())
    for n_rows in sizes[1:]:
        for bound in (RejectBound(max_error=round(0.7 * error, 4)), RejectBound(reject_rate=0.2)):
            once = partial(reject_once, pop, n_rows, bound)
            measured = in_draws(once, max(2, n_draws // 3), n_jobs)
            yield cell(pop, bound.name.split("`")[1], n_rows, bound.name.replace("`", ""), measured)


def reject_once(pop, n_rows, bound, seed):
    """Whether the bound is certified, by how much it is broken, and the true cost."""
    rows = np.random.default_rng(seed).integers(len(pop.y), size=n_rows)
    given = pop.trace.rows(rows).with_reject(0.5), pop.y[rows], add_free_stage(pop.cost)
    tuning = Tuning(ConfidenceThreshold(), *given, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        chosen = bound.choose(tuning, OperatingPoint(alpha=0.01), LEVEL)
    route = walk(pop.trace.with_reject(chosen.tuning.reject_cost), chosen.policy)
    answered = route.exit < pop.trace.n_stages
    wrong = answered & (route.proba.argmax(axis=1) != pop.y)
    value, limit = 1 - answered.mean(), bound.reject_rate
    if bound.max_error is not None:
        value, limit = wrong.sum() / max(1, answered.sum()), bound.max_error
    return (
        chosen.policy.certified_,
        value - limit,
        true_cost(pop, route._replace(visited=route.visited[:, :-1])),
    )


def allowed(share, n_draws):
    """A share, and two binomial standard errors of it."""
    return share + 2 * np.sqrt(share * (1 - share) / n_draws)


def intervals(pop, sizes, n_draws, n_jobs):
    """Bootstrap intervals of `tradeoff_curve` for policies that were tuned on other rows.

    They are approximate, so the error is that of both ends together.
    """
    if pop.name not in INTERVALS:
        return
    for n_rows in sizes:
        missed = in_draws(partial(interval_once, pop, n_rows), n_draws, n_jobs).mean(axis=0)
        for kind, share in zip(("accuracy", "cost"), missed):
            limit = allowed(1 - LEVEL, n_draws)
            yield {
                "kind": f"interval of {kind:<10}",
                "population": f"{pop.name:<20}",
                "rows": n_rows,
                "seeds": seeds(n_draws),
                "level": LEVEL,
                "missed": float(share),
                "at most": round(limit, 4),
                "kept": verdict(share, limit),
            }


def interval_once(pop, n_rows, seed):
    """Whether the intervals of accuracy and of relative cost miss the truth."""
    policy, draw = tuned_policy(pop.name), np.random.default_rng(seed)
    rows, losses = draw.integers(len(pop.y), size=n_rows), pop.trace.losses(pop.y)
    route = walk(pop.trace, policy)
    truth = 1 - losses[np.arange(len(losses)), route.exit].mean(), true_cost(pop, route)
    seen, cost = resolve_costs(
        None if pop.trace.cost is not None else pop.cost, pop.trace.rows(rows)
    )
    relative = cost.relative(incurred(walk(seen, policy), cost))
    given = MeanLoss(losses[rows], np.ones(n_rows)), route.exit[rows], relative
    bands = bootstrap_interval(*given, N_BOOTSTRAP, LEVEL, np.random.RandomState(seed))
    return [not low - 1e-9 <= true <= high + 1e-9 for (low, high), true in zip(bands, truth)]


@lru_cache
def tuned_policy(name):
    """The policy of a population, tuned once."""
    pop, rows = population(name), np.random.default_rng(1_000_000).integers(N_ROWS, size=1_000)
    cost = None if pop.trace.cost is not None else pop.cost
    given = {"cost": cost, "alpha": 0.02, "random_state": 0}
    return fit_policy(ConfidenceThreshold(), pop.trace.rows(rows), pop.y[rows], **given)


def sample_sizes(pop, sizes, n_draws, n_jobs):
    """Whether a cost is reached on the number of rows that `sample_size` names for it.

    A pilot is drawn for every 15 draws, and a quick run has one. The share is the mean over
    pilots, and its error that of the mean.
    """
    if pop.name not in GOALS:
        return
    drop, goal = GOALS[pop.name]
    n_pilots = max(1, n_draws // 15)
    n_splits = 20 if n_pilots > 1 else 3
    once = partial(reached, pop, drop, goal, -(-n_draws // n_pilots), n_splits)
    share, rows = in_draws(once, n_pilots, n_jobs).T
    finite = np.isfinite(rows)
    if not finite.any():
        return
    share = share[finite]
    error = np.sqrt(max(share.var() / len(share), POWER * (1 - POWER) / n_draws))
    yield {
        "kind": "sample size",
        "population": f"{pop.name:<20}",
        "bound": f"max_accuracy_drop={drop}",
        "goal": goal,
        "pilots": len(share),
        "without a number": int((~finite).sum()),
        "median rows": float(np.median(rows[finite])),
        "reached": float(share.mean()),
        "at least": round(POWER - 2 * error, 4),
        "kept": verdict(POWER - 2 * error, share.mean()),
    }


def reached(pop, drop, goal, n_draws, n_splits, seed):
    """Share of draws of the number of rows named that reach the goal, and that number."""
    cost = None if pop.trace.cost is not None else pop.cost
    rng = np.random.default_rng([seed, 1])
    rows = rng.integers(len(pop.y), size=PILOT_ROWS)
    given = {"cost": cost, "max_accuracy_drop": drop, "power": POWER, "random_state": seed}
    given |= {"n_splits": n_splits}
    size = sample_size(pop.trace.rows(rows), pop.y[rows], confidence_level=LEVEL, **given)
    found = size.n_rows[size.relative_cost <= goal]
    if not len(found):
        return np.nan, np.inf
    target = [("drop", OperatingPoint(max_accuracy_drop=drop), False)]
    draws = [
        certified_once(pop, int(found[0]), target, int(draw))[0]
        for draw in rng.integers(2**31, size=n_draws)
    ]
    return np.mean([certified and true <= goal for certified, _, true in draws]), found[0]


def in_draws(once, n_draws, n_jobs):
    """What `once` gives for each seed, as an array."""
    if n_jobs == 1:
        return np.array([once(seed) for seed in range(n_draws)], dtype=float)
    return np.array(Parallel(n_jobs)(delayed(once)(i) for i in range(n_draws)), dtype=float)


#: Part -> rows of the table for one population.
PARTS = {
    "certificates": certificates,
    "rejects": rejects,
    "intervals": intervals,
    "sample sizes": sample_sizes,
}
