"""Images for the papers' experiments: JPEG CIFAR-10 and Fashion-MNIST.

The CIFAR-10 images are JPEG files, which are lossy: accuracies are not those of exact pixels.
"""

import io
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ._data import data_folder, fashion_mnist, fashion_mnist_test

#: Training images that are held out to tune policies on: the last ones.
N_HELD_OUT = 5_000


class Images(NamedTuple):
    """Standardized images (n, channels, height, width), float32, and their classes."""

    X: np.ndarray
    y: np.ndarray


class ImageSet(NamedTuple):
    """Images to train nets on, to tune policies on, and to evaluate on."""

    name: str
    train: Images
    held_out: Images
    test: Images


def image_set(name):
    """The set "cifar10" or "fashion_mnist"."""
    train, test = {"cifar10": _cifar10, "fashion_mnist": _fashion_mnist}[name]()
    fitting, held_out = ([part[:-N_HELD_OUT], part[-N_HELD_OUT:]] for part in train)
    (X, X_held_out), (y, y_held_out) = fitting, held_out
    mean, std = X.mean((0, 2, 3), keepdims=True), X.std((0, 2, 3), keepdims=True)
    parts = (X, y), (X_held_out, y_held_out), test
    return ImageSet(name, *(Images((X - mean) / std, y.astype(np.int64)) for X, y in parts))


def _fashion_mnist():
    return fashion_mnist(60_000), fashion_mnist_test()


def _cifar10():
    path = data_folder() / "cifar10_jpegpack.npz"
    if not path.exists():
        raise SystemExit(
            f"{path} is missing. It holds the images of CIFAR-10 as JPEG files, one after another,"
            " the position of each, and their classes: set SKCASCADE_DATA to its folder."
        )
    with np.load(path) as data:
        return [
            (_decoded(data[f"{part}_bytes"], data[f"{part}_offsets"]), data[f"y_{part}"])
            for part in ("train", "test")
        ]


def _decoded(files, offsets):
    from PIL import Image

    images = [
        np.asarray(Image.open(io.BytesIO(files[start:end])).convert("RGB"))
        for start, end in pairwise(offsets)
    ]
    return np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255
