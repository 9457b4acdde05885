"""Peak memory and time on recorded predictions of a million rows: tuning, and the trade-off curve.

Every measurement has a process of its own. This process imports as little as possible: a child
starts with the peak of its parent.
"""

import json
import resource
import subprocess
import sys
import time

from ._report import verdict

#: Task -> largest seconds, and largest peak as a multiple of the trace.
PHASES = {"one alpha": (1.0, 3.0), "search": (120.0, 3.0), "50 points": (60.0, 4.0)}


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--rows", type=int, help="(default 1000000, quick 100000)")
    parser.add_argument("--stages", type=int, default=5)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--repeats", type=int, help="processes each (default 3, quick 1)")
    parser.add_argument("--phases", nargs="+", default=list(PHASES), choices=list(PHASES))


def run(args):
    """One row for each thing measured."""
    shape = args.rows or (100_000 if args.quick else 1_000_000), args.stages, args.classes
    repeats = args.repeats or (1 if args.quick else 3)
    for phase in args.phases:
        seconds, most = PHASES[phase]
        runs = [in_new_process(phase, shape) for _ in range(repeats)]
        worst = max(runs, key=lambda r: r["peak"])
        took = sorted(r["seconds"] for r in runs)
        multiple = worst["peak"] / worst["trace"]
        yield {
            "data": "simulated " + " x ".join(map(str, shape)),
            "what": phase,
            "runs": repeats,
            "trace MB": worst["trace"] / 1e6,
            "made at MB": worst["before"] / 1e6,
            "peak MB": worst["peak"] / 1e6,
            "multiple": multiple,
            "at most": most,
            "met": verdict(multiple, most),
            "seconds": took[len(took) // 2],
            "range": f"{took[0]:.3g}-{took[-1]:.3g}",
            "up to": seconds,
            "kept": verdict(took[len(took) // 2], seconds),
        }


def in_new_process(phase, shape):
    """Run `child` in a new process; the dict that it prints."""
    code = f"from benchmarks.memory import child; child({phase!r}, {shape!r})"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def child(phase, shape):
    """Measure one phase in this process and print the result."""
    from skcascade import fit_policy, tradeoff_curve
    from skcascade.costs import FixedCost
    from skcascade.policies import ConfidenceThreshold

    simulate(10, *shape[1:])  # imports of first use happen here
    before = peak()
    trace, y = simulate(*shape)
    cost = [4.0**k for k in range(shape[1])]
    made = peak() - before
    start = time.perf_counter()
    if phase == "one alpha":
        ConfidenceThreshold().fit(trace, y, FixedCost(cost).fit(trace), 0.05)
    elif phase == "50 points":  # tuned on one half, evaluated on the other
        tradeoff_curve(trace, None, y, cost=cost, points=50, cv=0.5, random_state=0)
    else:
        fit_policy(
            ConfidenceThreshold(), trace, y, cost=cost, max_accuracy_drop=0.01, random_state=0
        )
    seconds = time.perf_counter() - start
    result = {"trace": trace.proba.nbytes, "peak": peak() - before, "before": made}
    print(json.dumps({**result, "seconds": seconds}))


def simulate(n_samples, n_stages, n_classes, block=10_000):
    """A trace of stages of growing skill, and labels, made block by block."""
    import numpy as np

    from skcascade import Trace

    rng = np.random.default_rng(0)
    proba = np.empty((n_samples, n_stages, n_classes), dtype=np.float32)
    y = rng.integers(n_classes, size=n_samples)
    for start in range(0, n_samples, block):
        part, codes = proba[start : start + block], y[start : start + block]
        part[...] = rng.standard_normal(part.shape, dtype=np.float32)
        ease = rng.gamma(2.0, 1.0, size=len(codes))
        part[np.arange(len(codes)), :, codes] += ease[:, np.newaxis] * np.linspace(1, 3, n_stages)
        np.exp(part, out=part)
        part /= part.sum(axis=2, keepdims=True)
    return Trace(proba), y


def peak():
    """Largest resident size of this process so far, in bytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)
