"""Overhead of the cascade over its members on 10,000 rows.

`predict_proba` of the cascade against `predict_proba` of each member called on exactly the
rows that reach it, gathered beforehand.
"""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from skcascade import CascadeClassifier
from skcascade.members import TorchClassifier
from skcascade.nets import CifarResNet

from ._data import fashion_mnist, noisy_digits, thresholds
from ._report import verdict
from ._timing import compare

TARGET = 1.05
#: Depth and width of the nets of examples/plot_fashion_mnist.py.
NETS = {"small": (8, 4), "medium": (8, 10), "large": (14, 16)}
#: Exit rate of each stage but the last.
EXIT_RATE = 0.6


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, help="of each side (default 31, quick 5)")


def run(args):
    """One row for nets, one for forests."""
    repeats = args.repeats or (5 if args.quick else 31)
    yield measure("Fashion-MNIST", "3 CifarResNets", *nets(args.rows), repeats)
    yield measure("noisy digits", "forests, 20 and 300 trees", *forests(args.rows), repeats)


def nets(n_rows, n_train=1_000):
    """Briefly trained nets (only their time matters), and images."""
    X, y = fashion_mnist(n_rows)
    members = [
        (
            name,
            TorchClassifier(
                CifarResNet,
                module_params={"depth": depth, "width": width},
                max_epochs=2,
                early_stopping=False,
                random_state=0,
            ).fit(X[:n_train], y[:n_train]),
        )
        for name, (depth, width) in NETS.items()
    ]
    return members, X, y


def forests(n_rows, n_train=2_000):
    """Two forests, and digits."""
    X, y = noisy_digits(n_rows)
    members = [
        (f"trees{n}", RandomForestClassifier(n, random_state=0).fit(X[:n_train], y[:n_train]))
        for n in (20, 300)
    ]
    return members, X, y


def measure(data, what, members, X, y, repeats):
    """Ratio for `members` on all of `X`, with thresholds that spread the exits."""
    cascade = CascadeClassifier(members, cv="prefit", cost=list(range(1, len(members) + 1)))
    cascade.fit(X[:1_000], y[:1_000])
    cascade.policy_ = thresholds(spreading_thresholds(cascade, X))
    visited = cascade.decision_path(X)
    gathered = [(member, X[visited[:, k]]) for k, (_, member) in enumerate(members)]

    def alone():
        for member, rows in gathered:
            member.predict_proba(rows)

    timing = compare(lambda: cascade.predict_proba(X), alone, repeats=repeats)
    return {
        "data": data,
        "members": f"{what:<24}",
        "rows": len(X),
        "at each stage": " ".join(map(str, visited.sum(axis=0))),
        "repeats": repeats,
        "cascade s": timing.first,
        "bare s": timing.second,
        "ratio": timing.ratio,
        "95 %": "{:.3f}-{:.3f}".format(*timing.ratio_range),
        "target": TARGET,
        "met": verdict(timing.ratio, TARGET),
    }


def spreading_thresholds(cascade, X):
    """Thresholds at which a share `EXIT_RATE` of the rows that reach each stage exits."""
    found, deferred = [], np.ones(len(X), dtype=bool)
    for proba in list(cascade.staged_predict_proba(X))[:-1]:
        confidence = proba.max(axis=1)
        found.append(np.quantile(confidence[deferred], 1 - EXIT_RATE))
        deferred &= confidence < found[-1]
    return found
