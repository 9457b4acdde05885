"""An epoch of joint training against one plain epoch of each member, in one run."""

import numpy as np

from skcascade import CascadeClassifier
from skcascade.policies import Reinforce

from ._data import fashion_mnist
from ._report import verdict
from .learned_policies import members

#: The target.
AT_MOST = 1.3


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, help="runs of each (default 5, quick 1)")


def run(args):
    """One row for each gradient: seconds an epoch, members one by one and together."""
    X, y = fashion_mnist(1_000 if args.quick else args.images)
    for policy in (
        Reinforce(max_epochs=2, patience=None),
        Reinforce("exact", max_epochs=2, patience=None),
    ):
        repeats = args.repeats or (1 if args.quick else 5)
        seconds = np.array([one_run(policy, X, y) for _ in range(repeats)])
        together, plain = np.median(seconds, axis=0)
        ratios = seconds[:, 0] / seconds[:, 1]
        yield {
            "gradient": policy.gradient,
            "images": len(X),
            "plain epochs s": plain,
            "joint epoch s": together,
            "ratio": float(np.median(ratios)),
            "range": f"{ratios.min():.3f} - {ratios.max():.3f}",
            "asked": AT_MOST,
            "met": verdict(np.median(ratios), AT_MOST),
        }


def one_run(policy, X, y):
    """Seconds of an epoch of joint training, and the sum of one plain epoch of each member."""
    nets = members(2, early_stopping=True)
    cascade = CascadeClassifier(nets, policy=policy, alpha=0.05, random_state=0).fit(X, y)
    joint = cascade.tuning_.policy.history_
    plain = [net.history_ for net in cascade.members_.values()]
    # Early stopping takes a share of the rows from the members, but not from joint training.
    share = 1 / (1 - nets[0][1].validation_fraction)
    return np.mean(joint[:, "dur"]), share * sum(np.mean(history[:, "dur"]) for history in plain)
