"""Overhead of the cascade over its first member, for one row that exits there."""

import cProfile
import pstats

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier
from skcascade.members import TorchClassifier
from skcascade.nets import CifarResNet

from ._data import noisy_digits, thresholds
from ._report import verdict
from ._timing import compare

MAX_RATIO, MAX_ADDED = 1.3, 150.0
#: Name -> (member, whether there is a target for the ratio, not only for the microseconds).
FIRST = {
    "TorchClassifier, MLP (8,)": (
        TorchClassifier(module_params={"hidden": (8,)}, max_epochs=1, random_state=0),
        True,
    ),
    "TorchClassifier, CifarResNet 8": (
        TorchClassifier(CifarResNet, max_epochs=1, random_state=0),
        True,
    ),
    "RandomForest, 100 trees": (RandomForestClassifier(random_state=0), True),
    "LogisticRegression": (LogisticRegression(max_iter=500), False),
    "GaussianNB": (GaussianNB(), False),
}


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--calls", type=int, help="of each side (default 5000, quick 500)")
    parser.add_argument("--profile", action="store_true", help="also list the slowest functions")


def run(args):
    """One row for each member."""
    calls = args.calls or (500 if args.quick else 5_000)
    for name, (first, ratio_counts) in FIRST.items():
        cascade, row = first_exit(first)
        member = cascade.members_.first
        timing = compare(
            lambda: cascade.predict_proba(row),  # noqa: B023
            lambda: member.predict_proba(row),  # noqa: B023
            repeats=calls,
            warm_up=50,
        )
        yield {
            "first member": f"{name:<30}",
            "data": "1 row of digits",
            "calls": calls,
            "cascade us": timing.first * 1e6,
            "member us": timing.second * 1e6,
            "ratio": timing.ratio,
            "ratio 95 %": "{:.3f}-{:.3f}".format(*timing.ratio_range),
            "at most": MAX_RATIO if ratio_counts else "-",
            "met": verdict(timing.ratio, MAX_RATIO) if ratio_counts else "-",
            "added us": timing.added * 1e6,
            "added 95 %": "{:.0f} to {:.0f}".format(*(1e6 * t for t in timing.added_range)),
            "up to": MAX_ADDED,
            "kept": verdict(timing.added * 1e6, MAX_ADDED),
        }
        if args.profile:
            profile(cascade, row, calls)


def first_exit(first):
    """A cascade in which every row exits at the first stage, and one row."""
    X, y = noisy_digits(500)
    if isinstance(first, TorchClassifier) and first.module is CifarResNet:
        X = np.kron(X.reshape(-1, 1, 8, 8), np.ones((4, 4))).astype(np.float32)  # 32 x 32
    second = TorchClassifier(module_params={"hidden": (8,)}, max_epochs=1, random_state=0)
    members = [("first", first), ("second", second)]
    cascade = CascadeClassifier(members, cost=[1.0, 2.0], random_state=0).fit(X, y)
    cascade.policy_ = thresholds([-np.inf])
    return cascade, X[:1]


def profile(cascade, row, calls):
    """Print the functions in which calls of the cascade spend their time."""
    with cProfile.Profile() as profiler:
        for _ in range(calls):
            cascade.predict_proba(row)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(30)
