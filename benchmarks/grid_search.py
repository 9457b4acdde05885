"""GridSearchCV over 20 operating points against one, and against one fit, with the members cached.

On the digits a search over 20 values of `alpha` is compared with a search over one, three folds
each and no refit. The ratio shows the cost of further operating points, compared with fitting the
members. On Fashion-MNIST the search of the user guide (one split, scored rows kept, refit on all
rows) is compared with one `fit` of the cascade on the same images, and three folds again with one
value of `alpha`. Every search begins with an empty cache.
"""

import tempfile

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier
from skcascade.metrics import cheapest_within, tradeoff_scorer

from ._data import fashion_mnist
from ._report import verdict
from ._timing import timed
from .learned_policies import members as nets

#: At most: 20 values against one on three folds, and the search against one fit.
TARGET, TARGET_FIT = 1.5, 2.0
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
    parser.add_argument("--repeats", type=int, help="on digits, of each side (default 5, quick 1)")
    parser.add_argument("--images", type=int, help="of Fashion-MNIST (default 6000, quick 600)")
    parser.add_argument("--epochs", type=int, help="of each net (default 4, quick 1)")


def run(args):
    """One row for each kind of members, then two for nets on images."""
    repeats = args.repeats or (1 if args.quick else 5)
    for name, members in MEMBERS.items():
        yield on_digits(name, members, repeats)
    images, epochs = args.images or (600 if args.quick else 6_000), args.epochs
    yield from on_images(images, epochs or (1 if args.quick else 4))


def on_digits(name, members, repeats):
    """20 values against one, three folds each, without the final refit."""
    X, y = load_digits(return_X_y=True)
    search(members, X, y, ALPHAS[:1])  # warm-up: imports, thread pools
    seconds = np.array(
        [[search(members, X, y, ALPHAS), search(members, X, y, ALPHAS[:1])] for _ in range(repeats)]
    )
    many, one = np.median(seconds, axis=0)
    pairs = seconds[:, 0] / seconds[:, 1]
    # The target is for torch members; cheap ones are only reported.
    return {
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


def on_images(images, epochs):
    """The search of the user guide against one fit, and three folds against one value."""
    X, y = fashion_mnist(images)
    members = nets(epochs, early_stopping=False)
    search(nets(1, early_stopping=False), X[:300], y[:300], ALPHAS[:1])  # warm-up
    one_fit = timed(lambda: CascadeClassifier(members, random_state=0).fit(X, y))[1]
    split = StratifiedShuffleSplit(1, test_size=0.2, random_state=0)
    rule = {"scoring": tradeoff_scorer, "refit": cheapest_within(0.005)}
    whole = search(members, X, y, ALPHAS, cv=split, **rule)
    rule["refit"] = False
    three, three_one = (search(members, X, y, alphas, **rule) for alphas in (ALPHAS, ALPHAS[:1]))
    same = {
        "data": "Fashion-MNIST",
        "images": images,
        "epochs": epochs,
        "members": "3 CifarResNets",
    }
    yield {
        **same,
        "compared": "20 alphas, one split, refit : one fit on the same images",
        "first s": whole,
        "second s": one_fit,
        "ratio": whole / one_fit,
        "at most": TARGET_FIT,
        "met": verdict(whole / one_fit, TARGET_FIT),
    }
    yield {
        **same,
        "compared": "20 alphas : one alpha, three folds, no refit            ",
        "first s": three,
        "second s": three_one,
        "ratio": three / three_one,
        "at most": TARGET,
        "met": verdict(three / three_one, TARGET),
    }


def search(members, X, y, alphas, *, cv=3, refit=False, **params):
    """Seconds of a search with an empty cache to begin with."""
    with tempfile.TemporaryDirectory() as memory:
        cascade = CascadeClassifier(members, memory=memory, random_state=0)
        grid = GridSearchCV(cascade, {"alpha": list(alphas)}, cv=cv, refit=refit, **params)
        return timed(lambda: grid.fit(X, y))[1]
