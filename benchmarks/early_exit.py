"""What going from exit to exit adds to the bare blocks of one net, on 10,000 images.

The walk of a three-exit ResNet, with a policy that lets each row leave at a given exit,
against the ideal: those exits known beforehand, rows gathered by exit, and for each row
just the blocks and the head it needs, in passes of as many rows.
"""

import numpy as np
import torch

from skcascade import EXIT, walk
from skcascade._stages import Live, Stages
from skcascade.members import EarlyExitNetClassifier
from skcascade.members._adapters import adapt
from skcascade.nets import CascadedResNet
from skcascade.policies import BaseExitPolicy

from ._report import verdict
from ._timing import interval, timed

TARGET = 1.10
#: Share of the rows that leaves at each exit.
LEAVES = 0.6, 0.25, 0.15
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


class LeaveAt(BaseExitPolicy):
    """Lets row i leave at `exits[i]`; walks of one block after another, in order."""

    def __init__(self, exits):
        self.exits = exits

    def route(self, stage, proba):
        if stage == 0:  # a new block
            self.there, self.rest = np.split(self.rest, [len(proba)])
        leaves = self.there == stage
        self.there = self.there[~leaves]
        return np.where(leaves, EXIT, stage + 1)

    def begin(self):
        """Before each walk."""
        self.rest = self.exits
        return self


def fitted(depth, n_rows):
    """A net trained a little (only its time matters), random images, and their exits."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 3, 32, 32), dtype=np.float32)
    y = rng.integers(10, size=256)
    torch.manual_seed(0)
    net = EarlyExitNetClassifier(
        CascadedResNet, module__depth=depth, max_epochs=1, train_split=None, classes=range(10)
    )
    return net.fit(X[:256], y), X, rng.choice(3, size=n_rows, p=LEAVES)


def measure(net, X, exits, depth, repeats):
    """Ratio of the walk to the ideal, as the median over pairs of runs in turn."""
    stages, policy = Stages([("net", adapt(net))], range(10)), LeaveAt(exits)
    groups = [X[exits == k] for k in range(3)]

    def cascade():
        return walk(Live(stages, X), policy.begin())

    def ideal():
        return [bare_blocks(net, k, rows) for k, rows in enumerate(groups)]

    way, bare = cascade(), ideal()
    error = max(np.abs(way.proba[exits == k] - bare[k]).max() for k in range(3))
    assert (way.exit == exits).all()
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


def bare_blocks(net, exit, X):
    """Probabilities at `exit`: the blocks up to there and its head, and nothing kept."""
    blocks, head, proba = net.module_.blocks[: exit + 1], net.module_.exits[exit], []
    with torch.inference_mode(), net._autocast(X):
        for hidden in net._inputs(X, PASS_ROWS):
            for block in blocks:
                hidden = block(hidden)
            proba.append(torch.softmax(head(hidden).float(), dim=1))
    return torch.cat(proba).numpy()


def in_turn(first, second, i):
    """Seconds of both calls, the other one first at every second turn."""
    if i % 2:
        return timed(first)[1], timed(second)[1]
    later = timed(second)[1]
    return timed(first)[1], later
