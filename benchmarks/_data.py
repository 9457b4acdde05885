"""Data the benchmarks share.

Recorded data are files in the folder named by the environment variable ``SKCASCADE_DATA``
(default: ``../shared/data``, seen from the project's root).
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import fetch_openml, load_digits

from skcascade import Trace
from skcascade.policies import ConfidenceThreshold

ROOT = Path(__file__).resolve().parents[1]


def data_folder():
    """Where recorded data lie."""
    return Path(os.environ.get("SKCASCADE_DATA", ROOT.parent / "shared" / "data"))


class Table(NamedTuple):
    """Recorded answers of several services.

    Attributes
    ----------
    name : str
    trace : Trace
    y : ndarray of shape (n_samples,)
    price : ndarray of shape (n_stages,)
        Dollars for 10,000 calls.
    """

    name: str
    trace: Trace
    y: np.ndarray
    price: np.ndarray

    @property
    def correct(self):
        """Whether each service is right, of shape (n_samples, n_stages)."""
        return 1 - self.trace.losses(self.y)


def recorded_table(name, n_services=3):
    """A FrugalML table, its services in order of price.

    Only the best answer and its confidence are recorded; answers beyond the labels fall into
    one more class, "other".
    """
    path = data_folder() / f"frugalml_{name}.npz"
    if not path.exists():
        raise SystemExit(
            f"{path} is missing. This benchmark replays recorded answers of commercial services"
            " (FrugalML, Chen et al. 2020): set SKCASCADE_DATA to the folder that holds"
            " frugalml_*.npz with pred, conf, label and cost_per_10k."
        )
    with np.load(path) as data:
        y, price = data["label"].astype(int), data["cost_per_10k"].astype(float)
        pred, confidence = data["pred"].astype(int), data["conf"]
    services = np.argsort(price, kind="stable")[:n_services]
    n_labels = len(np.unique(y))
    pred = np.minimum(pred[:, services], n_labels)
    trace = Trace.from_top1(pred, confidence[:, services], n_classes=n_labels + 1)
    return Table(name, trace, y, price[services])


def split(n_rows, n_first, seed):
    """Two disjoint random sets of rows, the first of size `n_first`."""
    return np.split(np.random.default_rng(seed).permutation(n_rows), [n_first])


def fashion_mnist(n_rows):
    """The first training images (n_rows, 1, 28, 28) and their labels.

    From the file ``fashion_mnist.npz``, else from OpenML.
    """
    X, y = _fashion_mnist()[0]
    return _as_images(X[:n_rows]), y[:n_rows]


def fashion_mnist_test():
    """The 10,000 test images and their labels."""
    X, y = _fashion_mnist()[1]
    return _as_images(X), y


def _fashion_mnist():
    path = data_folder() / "fashion_mnist.npz"
    if path.exists():
        with np.load(path) as data:
            parts = [(data[f"x_{part}"], data[f"y_{part}"]) for part in ("train", "test")]
    else:
        X, y = fetch_openml("Fashion-MNIST", return_X_y=True, as_frame=False)
        parts = [(X[:60_000], y[:60_000]), (X[60_000:], y[60_000:])]
    return [(X, y.astype(int)) for X, y in parts]


def _as_images(X):
    return (X.reshape(-1, 1, 28, 28) / 255).astype(np.float32)


def noisy_digits(n_rows, seed=0):
    """Rows of the bundled digits, drawn with replacement and made harder by noise."""
    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    rows = rng.integers(len(y), size=n_rows)
    return X[rows] + rng.normal(scale=4.0, size=(n_rows, X.shape[1])), y[rows]


def thresholds(cuts, stages=None):
    """A policy with given thresholds: what is timed then does not depend on any tuning."""
    policy = ConfidenceThreshold()
    policy.thresholds_ = np.append(np.asarray(cuts, dtype=float), np.inf)
    policy.stages_ = list(range(len(cuts) + 1)) if stages is None else list(stages)
    return policy
