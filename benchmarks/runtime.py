"""Growth of time and memory of tuning, and the overhead over ideal baselines.

Growth is measured on simulated traces: the fit of thresholds at one alpha, the whole search for
an operating point, and the walk (replay) of a fitted policy, against the number of rows, stages
and classes. Every run has a process of its own, forked from one that has imported the package and
done nothing else. It is the first run there after a tiny one. Memory is the peak beyond that of the
process before, without the trace and its labels.

The exponent is the slope of log time (or memory) on log size, by least squares over all runs in
the upper part of the range: the largest tenfold of rows and of classes. There neither fixed costs
nor the work on a sample of the rows dominate. The search uses at most 20,000 rows, except for its
last fit, so it has one more exponent up to there. Stages have two ranges: up to 8, where every
subset is tried, and beyond, where stages are eliminated one by one.

The ratios are those of other benchmarks with their default options, gathered in one table.
"""

import argparse
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import joblib

import skcascade
from skcascade import fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold
from skcascade.policies._threshold import EXHAUSTIVE_STAGES
from skcascade.tuning._search import SEARCH_ROWS

from ._data import data_folder
from ._report import plain, verdict
from ._timing import timed
from .memory import peak, simulate

TASKS = "one alpha", "search", "walk"
AXES = "rows", "stages", "classes"
SIZES = {
    "rows": (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
    "stages": (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    "classes": (2, 5, 10, 30, 100, 300),
}
QUICK_SIZES = {"rows": (1_000, 3_000, 30_000), "stages": (2, 3, 5), "classes": (2, 10, 30)}
#: The shape of all runs; one size at a time is varied.
SHAPE, QUICK_SHAPE = (20_000, 5, 10), (1_000, 5, 10)
#: (quantity, axis) -> largest exponent expected, for all tasks where no task is named. The slope
#: of n log n is 1 + 1 / log n, 1.08 at the rows that count. Each stage of a walk gets all
#: predictions before it. An elimination has K rounds of K subsets of K stages.
AT_MOST = {
    ("seconds", "rows"): 1.1,
    ("seconds", "classes"): 1.0,
    ("seconds", "stages"): 3.0,
    ("seconds", "stages", "walk"): 2.0,
    ("MB", "rows"): 1.0,
    ("MB", "stages"): 1.0,
    ("MB", "classes"): 1.0,
}
#: Cost of the most expensive stage over that of the cheapest; the one alpha.
SPREAD, ALPHA = 256.0, 0.05
#: Benchmark -> what its ratio is of.
RATIOS = {
    "walk_overhead": "predict_proba on many rows : members alone",
    "one_row": "predict_proba on one row : first member",
    "grid_search": "20 operating points : one, or one fit",
    "joint_training": "joint epoch : a plain one of each member",
    "early_exit": "walk from exit to exit : blocks alone",
}
NEED_IMAGES = "walk_overhead", "grid_search", "joint_training"
#: Keys of their rows: the thing measured, the range of the ratio, and the target.
MEASURED = "net", "members", "first member", "gradient", "precision", "compared"
RANGE, ASKED = ("95 %", "ratio 95 %", "range"), ("target", "at most", "asked")


def add_arguments(parser):
    """Options of this benchmark."""
    parts = ["growth", "ratios"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=AXES)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--repeats", type=int, help="processes each (default 3, quick 1)")
    parser.add_argument(
        "--cache",
        default="benchmark-cache",
        help="folder of results of the package as it is now; unused if quick",
    )


def run(args):
    """Points and exponents of the growth, then the ratios."""
    if "growth" in args.parts:
        yield from growth(args)
    if "ratios" in args.parts:
        all_rows = kept(rows_of, args)
        for name in RATIOS:
            yield from ratio_rows(name, args.quick, all_rows)


def kept(function, args):
    """`function`, with its results kept on disk while the code is the same."""
    if args.quick:
        return function
    folders = Path(skcascade.__file__).parent, Path(__file__).parent
    code = [path.read_bytes() for folder in folders for path in sorted(folder.rglob("*.py"))]
    keep = joblib.Memory(args.cache, verbose=0).cache(result_of, ignore=["function"])
    return lambda *given: keep(function, function.__name__, joblib.hash(code), *given)


def result_of(function, name, code, *given):
    """The result of `function`; `name` and `code` distinguish it from others."""
    return function(*given)


def growth(args):
    """One row for each task and shape, then one for each exponent."""
    sizes, shape = (QUICK_SIZES, QUICK_SHAPE) if args.quick else (SIZES, SHAPE)
    once = cache(kept(in_new_process, args))  # shapes that two axes share are measured once
    points = []
    for axis in args.axes:
        for task in args.tasks:
            for size in sizes[axis]:
                at = [size if name == axis else value for name, value in zip(AXES, shape)]
                runs = [once(task, *at, i) for i in range(args.repeats or (1 if args.quick else 3))]
                points.append((axis, task, size, runs))
                yield point_row(axis, task, at, runs)
    for axis in args.axes:
        for task in args.tasks:
            for quantity in ("seconds", "MB"):
                mine = [point[2:] for point in points if point[:2] == (axis, task)]
                yield from exponents(axis, task, quantity, mine)


def point_row(axis, task, shape, runs):
    """All runs of a task on one shape."""
    seconds, beyond = (sorted(run[key] for run in runs) for key in ("seconds", "MB"))
    return {
        "against": f"{axis:<7}",
        "what": f"{task:<9}",
        **{name: f"{size:<7}" for name, size in zip(AXES, shape)},
        "runs": len(runs),
        "seconds": statistics.median(seconds),
        "range": f"{seconds[0]:.3g}-{seconds[-1]:.3g}",
        "trace MB": runs[0]["trace MB"],
        "beyond it MB": statistics.median(beyond),
        "MB range": f"{beyond[0]:.3g}-{beyond[-1]:.3g}",
        "_size": dict(zip(AXES, shape))[axis],
        "_runs": runs,
    }


def exponents(axis, task, quantity, points):
    """One row for each range of the sizes in which the growth is one."""
    largest = max(size for size, _ in points)
    limits = [(largest / 10, largest)]
    if axis == "stages":
        limits = [(2, EXHAUSTIVE_STAGES), (EXHAUSTIVE_STAGES + 1, largest)]
    elif axis == "rows" and task == "search":
        limits.insert(0, (0, SEARCH_ROWS))
    for low, high in limits:
        within = [(size, runs) for size, runs in points if low <= size <= high]
        if len(within) > 1:
            yield exponent_row(axis, task, quantity, within)


def exponent_row(axis, task, quantity, points):
    """Exponent over `points`, and whether it is at most the expected, up to twice its error."""
    values = [(size, run[quantity]) for size, runs in points for run in runs]
    slope, error = log_slope(values)
    first, last = points[0][0], points[-1][0]
    most = AT_MOST.get((quantity, axis, task), AT_MOST[quantity, axis])
    subsets = axis == "stages" and quantity == "seconds" and task != "walk"
    if subsets and last <= EXHAUSTIVE_STAGES:
        most = None  # no power of K: there are 2^K - 1 subsets
    return {
        "exponent of": f"{quantity:<7}",
        "what": f"{task:<9}",
        "against": f"{axis:<7}",
        "range": f"{f'{first}-{last}':<14}",
        "points": len(values),
        "exponent": "-" if slope is None else f"{slope:.3f} +- {error or math.nan:.3f}",
        "at most": "2^K" if most is None else most,
        "met": "-" if most is None or error is None else verdict(slope - 2 * error, most),
        "_slope": slope,
        "_error": error,
        "_low": first,
        "_high": last,
    }


def log_slope(points):
    """Slope of log y on log x and its standard error, None where there is none.

    Points without measurable memory (y <= 0) are omitted.
    """
    logs = [(math.log(x), math.log(y)) for x, y in points if y > 0]
    if len({x for x, _ in logs}) < 2:
        return None, None
    slope, intercept = statistics.linear_regression(*zip(*logs))
    if len(logs) < 3:
        return slope, None
    middle = statistics.fmean(x for x, _ in logs)
    spread = math.fsum((x - middle) ** 2 for x, _ in logs)
    residual = math.fsum((y - intercept - slope * x) ** 2 for x, y in logs)
    return slope, math.sqrt(residual / (len(logs) - 2) / spread)


def in_new_process(task, n_samples, n_stages, n_classes, repeat):
    """Run `measured` in a new process; `repeat` distinguishes equal runs."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measured, task, (n_samples, n_stages, n_classes)).result()


def measured(task, shape):
    """Seconds of a task in this process, and its peak beyond the trace."""
    prepared(task, *simulate(100, 2, 2))()  # imports of first use happen here
    before = peak()
    # Small blocks, so that the peak of the simulation does not hide that of the task.
    trace, y = simulate(*shape, block=max(1, 2**17 // (shape[1] * shape[2])))
    seconds = timed(prepared(task, trace, y))[1]
    return {
        "seconds": seconds,
        "MB": (peak() - before - trace.proba.nbytes - y.nbytes) / 1e6,
        "trace MB": trace.proba.nbytes / 1e6,
        "on": time.strftime("%Y-%m-%d %H:%M"),
    }


def prepared(task, trace, y):
    """The call that is measured."""
    stage_cost = [SPREAD ** (k / (trace.n_stages - 1)) for k in range(trace.n_stages)]
    policy, cost = ConfidenceThreshold(), FixedCost(stage_cost).fit(trace)
    if task == "one alpha":
        return lambda: policy.fit(trace, y, cost, ALPHA)
    if task == "search":
        return lambda: fit_policy(
            policy, trace, y, cost=cost, max_accuracy_drop=0.01, random_state=0
        )
    few = slice(1_000)  # so that the fit does not set the peak
    policy.fit(trace.rows(few), y[few], cost, ALPHA)
    return lambda: walk(trace, policy)


def ratio_rows(name, quick, all_rows):
    """One row for each ratio of a benchmark, or one with the reason why there is none."""
    images = data_folder() / "fashion_mnist.npz"
    if quick and name in NEED_IMAGES and not images.exists():
        yield ratio_row(name, {"compared": f"skipped: no {images.name}"})
        return
    for row in all_rows(name, quick):
        yield ratio_row(name, row)


def ratio_row(name, row):
    """A row of another benchmark in the format of this table."""
    first = {
        key: next((row[k] for k in keys if k in row), "-")
        for key, keys in {"range": RANGE, "asked": ASKED}.items()
    }
    return {
        "benchmark": f"{name:<14}",
        "ratio of": f"{RATIOS[name]:<42}",
        "with": f"{', '.join(str(row[key]).strip() for key in MEASURED if key in row):<72}",
        "ratio": float(row["ratio"]) if "ratio" in row else "-",
        "range": f"{first['range']:<13}",
        "asked": first["asked"],
        "met": row.get("met", "-"),
        "_row": {key.lstrip("_"): plain(value) for key, value in row.items()},
    }


def rows_of(name, quick):
    """All rows of another benchmark with its default options."""
    module = import_module(f".{name}", __package__)
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    module.add_arguments(parser)
    return list(module.run(parser.parse_args(["--quick"] if quick else [])))
