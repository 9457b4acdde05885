"""Overhead of the walk from exit to exit over the blocks of one net alone, on 10,000 images.

The walk of a three-exit ResNet, with a policy that makes each row exit at a given stage, is
compared with the ideal: exits known beforehand, rows gathered by exit, and for each row only the
blocks and the head it needs, in passes of the same size.
"""

import numpy as np
import torch

from skcascade import EXIT, walk
from skcascade.evidence import Live, Stages
from skcascade.members import EarlyExitNetClassifier
from skcascade.members._adapters import adapt
from skcascade.nets import CascadedResNet
from skcascade.policies import BaseExitPolicy

from ._report import verdict
from ._timing import interval, timed

TARGET = 1.10
#: Exit rate of each exit.
EXIT_RATES = 0.6, 0.25, 0.15
#: Images of 3x32x32 in one pass, as in `EarlyExitNetClassifier.step`.
PASS_ROWS = 85


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--rows", type=int, help="images (default 10000, quick 2000)")
    parser.add_argument("--depth", type=int, default=20, help="of the ResNet (default 20)")
    parser.add_argument("--repeats", type=int, help="of each side (default 11, quick 3)")


def run(args):
    """One row for each precision: float32, and bfloat16 where that is the default."""
    n_rows = args.rows or (2_000 if args.quick else 10_000)
    repeats = args.repeats or (3 if args.quick else 11)
    net, X, exits = fitted(args.depth, n_rows)
    for precision in (False, "auto"):
        net.bfloat16 = precision
        yield measure(net, X, exits, args.depth, repeats)


class ExitAt(BaseExitPolicy):
    """Row i exits at `exits[i]`; for walks of one block of rows after another, in order."""

    def __init__(self, exits):
        self.exits = exits

    def route(self, stage, proba):
        if stage == 0:  # a new block
            self.deferred, self.rest = np.split(self.rest, [len(proba)])
        exits = self.deferred == stage
        self.deferred = self.deferred[~exits]
        return np.where(exits, EXIT, stage + 1)

    def begin(self):
        """Before each walk."""
        self.rest = self.exits
        return self


def fitted(depth, n_rows):
    """A briefly trained net (only its time matters), random images, and their exits."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 3, 32, 32), dtype=np.float32)
    y = rng.integers(10, size=256)
    torch.manual_seed(0)
    net = EarlyExitNetClassifier(
        CascadedResNet, module__depth=depth, max_epochs=1, train_split=None, classes=range(10)
    )
    return net.fit(X[:256], y), X, rng.choice(3, size=n_rows, p=EXIT_RATES)


def measure(net, X, exits, depth, repeats):
    """Ratio of the walk to the ideal: the median over pairs of alternating runs."""
    stages, policy = Stages([("net", adapt(net))], range(10)), ExitAt(exits)
    groups = [X[exits == k] for k in range(3)]

    def cascade():
        return walk(Live(stages, X), policy.begin())

    def ideal():
        return [blocks_alone(net, k, rows) for k, rows in enumerate(groups)]

    route, known = cascade(), ideal()
    error = max(np.abs(route.proba[exits == k] - known[k]).max() for k in range(3))
    assert (route.exit == exits).all()
    seconds = np.array([in_turn(cascade, ideal, i) for i in range(repeats)])
    ratios = seconds[:, 0] / seconds[:, 1]
    drawn = np.random.default_rng(0).integers(repeats, size=(300, repeats))
    return {
        "net": f"CascadedResNet {depth}",
        "precision": "float32" if net.bfloat16 is False else "default",
        "images": len(X),
        "at each exit": " ".join(map(str, np.bincount(exits))),
        "repeats": repeats,
        "walk s": float(np.median(seconds[:, 0])),
        "ideal s": float(np.median(seconds[:, 1])),
        "ratio": float(np.median(ratios)),
        "95 %": "{:.3f}-{:.3f}".format(*interval(np.median(ratios[drawn], axis=1))),
        "largest difference": float(error),
        "target": TARGET,
        "met": verdict(np.median(ratios), TARGET),
    }


def blocks_alone(net, exit, X):
    """Probabilities at `exit`: the blocks up to there and its head; no state is kept."""
    blocks, head, proba = net.module_.blocks[: exit + 1], net.module_.exits[exit], []
    with torch.inference_mode(), net._autocast(X):
        for hidden in net._inputs(X, PASS_ROWS):
            for block in blocks:
                hidden = block(hidden)
            proba.append(torch.softmax(head(hidden).float(), dim=1))
    return torch.cat(proba).numpy()


def in_turn(first, second, i):
    """Seconds of both calls; every second time the other one runs first."""
    if i % 2:
        return timed(first)[1], timed(second)[1]
    later = timed(second)[1]
    return timed(first)[1], later
