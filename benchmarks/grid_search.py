"""GridSearchCV over 20 operating points against one, with the members cached."""

import tempfile

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier

from ._report import verdict
from ._timing import timed

TARGET = 1.5
ALPHAS = np.geomspace(0.002, 0.5, 20)
MEMBERS = {
    "default: 3 torch MLPs": None,
    "GaussianNB, LogisticRegression": [
        ("nb", GaussianNB()),
        ("lr", LogisticRegression(max_iter=1000)),
    ],
}


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--repeats", type=int, help="of each side (default 5, quick 1)")


def run(args):
    """One row for each kind of members."""
    repeats = args.repeats or (1 if args.quick else 5)
    for name, members in MEMBERS.items():
        search(members, ALPHAS[:1])  # warm-up: imports, thread pools
        seconds = np.array(
            [[search(members, ALPHAS), search(members, ALPHAS[:1])] for _ in range(repeats)]
        )
        many, one = np.median(seconds, axis=0)
        pairs = seconds[:, 0] / seconds[:, 1]
        # What only torch members are asked for; cheap ones are there to be seen.
        yield {
            "data": "digits",
            "split": "3 folds",
            "members": f"{name:<30}",
            "repeats": repeats,
            "20 alphas s": many,
            "1 alpha s": one,
            "ratio": many / one,
            "range": f"{pairs.min():.2f}-{pairs.max():.2f}",
            "at most": TARGET if members is None else "-",
            "met": verdict(many / one, TARGET) if members is None else "-",
            "ms for one more": 1000 * (many - one) / (3 * (len(ALPHAS) - 1)),
        }


def search(members, alphas):
    """Seconds of a search with an empty cache to begin with, without the final refit."""
    X, y = load_digits(return_X_y=True)
    with tempfile.TemporaryDirectory() as memory:
        cascade = CascadeClassifier(members, memory=memory, random_state=0)
        grid = GridSearchCV(cascade, {"alpha": list(alphas)}, cv=3, refit=False)
        return timed(lambda: grid.fit(X, y))[1]
