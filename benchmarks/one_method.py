"""CPU seconds of `fit_policy` for a policy that defines one method, `exit_mask`.

Such a policy learns nothing, so that it is the same rule at every alpha. Its search only chooses
the stages to use. The trace is simulated: stages of growing skill and cost.
"""

import time

import numpy as np

from skcascade import fit_policy
from skcascade.policies import BaseExitPolicy

from ._report import verdict
from .memory import simulate

#: Largest CPU seconds, at the default shape.
AT_MOST = 3.0


class Sure(BaseExitPolicy):
    """Exit where the probability of the most likely class is 0.9 or more."""

    def exit_mask(self, stage, proba):
        """Rows that exit."""
        return proba[:, stage].max(axis=1) >= 0.9


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--stages", type=int, default=6)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--repeats", type=int, help="(default 5, quick 1)")


def run(args):
    """One row."""
    shape = args.rows, args.stages, args.classes
    trace, y = simulate(*shape)
    repeats = args.repeats or (1 if args.quick else 5)
    measured(*simulate(100, *shape[1:]))  # imports of first use happen here
    runs = [measured(trace, y) for _ in range(repeats)]
    seconds = [one for _, one in runs]
    middle = float(np.median(seconds))
    yield {
        "data": "simulated " + " x ".join(map(str, shape)),
        "policy": "exit_mask only",
        "repeats": repeats,
        "stages in use": len(runs[0][0].stages_),
        "CPU s": middle,
        "range": f"{min(seconds):.3g}-{max(seconds):.3g}",
        "at most": AT_MOST,
        "met": verdict(middle, AT_MOST),
    }


def measured(trace, y):
    """The fitted policy, and the CPU seconds of the fit."""
    cost = [4.0**k for k in range(trace.n_stages)]
    start = time.process_time()
    policy = fit_policy(Sure(), trace, y, cost=cost, max_accuracy_drop=0.01, random_state=0)
    return policy, time.process_time() - start
