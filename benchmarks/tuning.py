"""Choice of the operating point on recorded predictions, against scikit-fallback.

Both use the same rows of the same table. Members of scikit-fallback are stand-ins that return
recorded probabilities. Its cost of a sample is that of the stage of its exit. So it gets running
totals of the costs, and minimizes the cumulative cost, as here.

Accuracy is compared on all other rows at equal cumulative cost. For each of 20 budgets, the choice
of scikit-fallback is evaluated on them. Our accuracy at the very cost that it has there is read off
the line through our candidates (those on our Pareto front of the tuning rows).
"""

from importlib.util import find_spec

import numpy as np

from skcascade import fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold

from ._data import recorded_table, split, thresholds
from ._packages import scikit_fallback_search
from ._report import seeds, verdict
from ._timing import timed

#: At four stages: without the cross-fitted curve, and with it.
MIN_FASTER = 50, 10
N_BUDGETS = 20


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--tables", nargs="+", default=["expw", "ferplus", "yelp"])
    parser.add_argument("--stages", nargs="+", type=int, default=[3, 4])
    parser.add_argument("--rows", type=int, default=2_000, help="rows tuned on")
    parser.add_argument("--seeds", type=int, help="random splits (default 5, quick 1)")


def run(args):
    """One row for each table and number of stages."""
    n_seeds = args.seeds or (1 if args.quick else 5)
    for n_stages in args.stages:
        for name in args.tables:
            table = recorded_table(name, n_stages)
            results = [one_split(table, args.rows, seed) for seed in range(n_seeds)]
            yield summary(table, args.rows, results)


def one_split(table, n_rows, seed):
    """Seconds of the three searches, and accuracy gained at equal cost at each budget."""
    rows, rest = split(len(table.y), n_rows, seed)
    theirs, their_seconds = timed(lambda: scikit_fallback(table, rows))
    trace, y = table.trace.rows(rows), table.y[rows]
    cost_model = FixedCost(table.cost).fit(trace)
    asked = {"cost": table.cost, "max_accuracy_drop": 0.01, "random_state": seed}
    chosen, search = timed(lambda: fit_policy(ConfidenceThreshold(), trace, y, **asked))
    curve = chosen.tradeoff_
    alphas = curve.parameter[~np.isnan(curve.parameter)]
    default = ConfidenceThreshold()
    path, fit_alphas = timed(lambda: default.fit_alphas(trace, y, cost_model, alphas))
    _, replay = timed(lambda: np.array([evaluate(table, rows, policy) for policy in path]))
    alone = [thresholds([np.inf] * (trace.n_stages - 1), [k]) for k in range(trace.n_stages)]
    candidates = [(path + alone)[i] for i in curve.pareto()]
    ours = np.array([evaluate(table, rest, policy) for policy in candidates])
    ours = ours[np.lexsort((ours[:, 1], ours[:, 0]))]
    gains = []
    for values in choices(theirs):
        cost, accuracy = evaluate(table, rest, thresholds(values))
        gains.append(np.interp(cost, ours[:, 0], ours[:, 1]) - accuracy)
    return {
        "theirs": their_seconds,
        "fit_alphas": fit_alphas,
        "choice": fit_alphas + replay,
        "fit_policy": search,
        "gain": np.mean(gains),
        "worst": np.min(gains),
    }


def summary(table, n_rows, results):
    """The row of one table."""
    each = {key: np.array([result[key] for result in results]) for key in results[0]}
    theirs, fit_alphas, choice, fit_policy = (
        np.median(each[key]) for key in ("theirs", "fit_alphas", "choice", "fit_policy")
    )
    gain = each["gain"]
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
    met = [verdict(x, theirs / s) for x, s in zip(MIN_FASTER, (fit_alphas, fit_policy))]
    asked = table.trace.n_stages == 4
    return {
        "data": f"frugalml_{table.name}",
        "stages": table.trace.n_stages,
        "rows": n_rows,
        "seeds": seeds(len(results)),
        "scikit-fallback s": theirs,
        "range": f"{each['theirs'].min():.3g}-{each['theirs'].max():.3g}",
        "fit_path s": fit_alphas,  # words: ok
        "fit_path faster": theirs / fit_alphas,  # words: ok
        f">= {MIN_FASTER[0]}": met[0] if asked else "-",
        "+ choice faster": theirs / choice,
        "fit_policy s": fit_policy,
        "fit_policy faster": theirs / fit_policy,
        f">= {MIN_FASTER[1]}": met[1] if asked else "-",
        "accuracy gained at equal cost": f"{gain.mean():+.4f} +- {error:.4f}",
        "as good": verdict(0, gain.mean()),
        "worst budget": float(each["worst"].mean()),
        "_gain": float(gain.mean()),
    }


def evaluate(table, rows, policy):
    """Mean cumulative cost and accuracy of `policy` on `rows`."""
    cost = FixedCost(table.cost).fit(table.trace)
    trace = table.trace.rows(rows)
    route = walk(trace, policy)
    accuracy = (route.proba.argmax(axis=1) == table.y[rows]).mean()
    return cost.path_cost(route.visited).mean(), accuracy


def scikit_fallback(table, rows):
    """Its search over the default grid, fitted."""
    if find_spec("skfb") is None:
        raise SystemExit(
            "This benchmark needs scikit-fallback, best in an environment of its own:"
            " python -m pip install scikit-fallback==0.2"
        )
    return scikit_fallback_search(table.trace.rows(rows), table.y[rows], table.cost)


def choices(theirs):
    """Choices of scikit-fallback for each of 20 budgets: the best score within the budget."""
    score, cost = theirs.mean_cv_scores_, theirs.mean_cv_costs_
    for budget in np.linspace(cost.min(), cost[score.argmax()], N_BUDGETS):
        within = np.flatnonzero(cost <= budget + 1e-12)
        best = within[np.lexsort((cost[within], -score[within]))[0]]
        yield theirs.all_cv_thresholds_[best]
