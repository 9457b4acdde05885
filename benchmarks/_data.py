"""Data the benchmarks share.

Recorded data are files in the folder named by the environment variable ``SKCASCADE_DATA``
(default: ``../shared/data``, seen from the project's root).
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.datasets import fetch_openml, load_digits

from skcascade import Trace
from skcascade.policies import ConfidenceThreshold

ROOT = Path(__file__).resolve().parents[1]
#: Relative costs of LeNet-5, WRN-16-4 and VGG-16: assumed, none are recorded.
NET_COSTS = 1.0, 20.0, 60.0


def data_folder():
    """The folder of recorded data."""
    return Path(os.environ.get("SKCASCADE_DATA", ROOT.parent / "shared" / "data"))


class Table(NamedTuple):
    """Recorded predictions of several services.

    Attributes
    ----------
    name : str
    trace : Trace
    y : ndarray of shape (n_samples,)
    cost : ndarray of shape (n_stages,)
        Of each stage alone: dollars for 10,000 calls; million MACs, or assumed, for nets.
    """

    name: str
    trace: Trace
    y: np.ndarray
    cost: np.ndarray

    @property
    def correct(self):
        """Whether each service is correct, of shape (n_samples, n_stages)."""
        return 1 - self.trace.losses(self.y)


def recorded_table(name, n_services=3):
    """A FrugalML table, its services in order of cost.

    Only the top class and its confidence are recorded. Classes that are no label become one more
    class, "other".
    """
    data = _recorded(
        f"frugalml_{name}.npz",
        "pred, conf, label and cost_per_10k of commercial services (FrugalML, Chen et al. 2020)",
    )
    y, cost = data["label"].astype(int), data["cost_per_10k"].astype(float)
    pred, confidence = data["pred"].astype(int), data["conf"]
    services = np.argsort(cost, kind="stable")[:n_services]
    n_labels = len(np.unique(y))
    pred = np.minimum(pred[:, services], n_labels)
    trace = Trace.from_top1(pred, confidence[:, services], n_classes=n_labels + 1)
    return Table(name, trace, y, cost[services])


def recorded_nets():
    """LeNet-5, WRN-16-4 and VGG-16 on the CIFAR-10 test set, costs assumed."""
    data = _recorded(
        "cifar10_test_probs.npz",
        "the probabilities lenet5, wrn16_4 and vgg16 on the CIFAR-10 test set, and label",
    )
    proba = np.stack([data[name] for name in ("lenet5", "wrn16_4", "vgg16")], axis=1)
    return Table("cifar10", Trace(proba), data["label"].astype(int), np.array(NET_COSTS))


def recorded_resnets(rows="test_jpeg"):
    """ResNet-20, 32, 44 and 56 on CIFAR-10 images, with their MACs.

    Parameters
    ----------
    rows : {"test_jpeg", "test_exact", "train_jpeg10k", "train_exact"}
        The nets were trained on exact pixels of the training images, so those rows would
        overestimate them. JPEG images are a shift of the input.
    """
    data = _recorded(
        "cifar10_resnet_logits.npz",
        "logits {model}_{rows} and labels y_{rows} of CIFAR-10, models, and macs",
    )
    logits = np.stack([data[f"{model}_{rows}"] for model in data["models"]], axis=1)
    trace = Trace(softmax(logits.astype(np.float32), axis=2))
    return Table(f"resnets_{rows}", trace, data[f"y_{rows}"].astype(int), data["macs"] / 1e6)


def _recorded(name, what):
    """A file of recorded predictions, as a dict; SystemExit if it is not there."""
    path = data_folder() / name
    if not path.exists():
        raise SystemExit(f"{path} is missing. It holds {what}: set SKCASCADE_DATA to its folder.")
    with np.load(path) as data:
        return dict(data)


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


def thresholds(values, stages=None):
    """A policy with given thresholds at all stages but the last: its time depends on no tuning."""
    return ConfidenceThreshold().with_thresholds([*values, np.inf], stages)
