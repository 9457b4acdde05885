"""The CIFAR-10 members of the papers' tables: residual networks, trained once, resumable.

Images are JPEG files of CIFAR-10 (lossy). The first 45,000 training images train the nets, the last
5,000 are held out for policies, the 10,000 test images are for judging.
"""

import io
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint
from torch import nn
from torch.nn import functional as F

from skcascade.nets import CifarResNet

from ._data import data_folder

N_TRAIN = 45_000
DEPTHS = 8, 20, 32, 56, 110
BATCH, LR, WEIGHT_DECAY, WARM_UP = 128, 0.1, 5e-4, 0.3


class Images(NamedTuple):
    """Standardised images (n, 3, 32, 32), float32, and their classes."""

    X: np.ndarray
    y: np.ndarray


def cifar10():
    """Images to train on, held-out ones, and those of the test set."""
    path = data_folder() / "cifar10_jpegpack.npz"
    if not path.exists():
        raise SystemExit(f"{path} is missing: it holds CIFAR-10 as JPEG files; set SKCASCADE_DATA.")
    with np.load(path) as data:
        parts = [
            (_decoded(data[f"{part}_bytes"], data[f"{part}_offsets"]), data[f"y_{part}"])
            for part in ("train", "test")
        ]
    (X, y), test = parts
    mean, std = (
        X[:N_TRAIN].mean((0, 2, 3), keepdims=True),
        X[:N_TRAIN].std((0, 2, 3), keepdims=True),
    )
    parts = (X[:N_TRAIN], y[:N_TRAIN]), (X[N_TRAIN:], y[N_TRAIN:]), test
    return [Images((X - mean) / std, y.astype(np.int64)) for X, y in parts]


def _decoded(jpeg, offsets):
    images = [
        np.asarray(Image.open(io.BytesIO(jpeg[start:end].tobytes())).convert("RGB"))
        for start, end in pairwise(offsets)
    ]
    return np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255


class InBfloat16(nn.Module):
    """`module` in channels-last bfloat16; logits are float32.

    In the module, not around it, so that joint training computes as the members' own does.
    """

    def __init__(self, module, compiled=False):
        super().__init__()
        self.module = module
        # In a list, so that it is no submodule: weights keep their names.
        self.in_training = [torch.compile(module) if compiled else module]

    def forward(self, x):
        """Map images (n, 3, 32, 32) to logits (n, 10)."""
        x = x.contiguous(memory_format=torch.channels_last)
        run = self.in_training[0] if self.training else self.module
        with torch.autocast(x.device.type, torch.bfloat16):
            return run(x).float()


def resnet(depth, compiled=False):
    """A residual network for 3x32x32 images and ten classes."""
    net = CifarResNet(in_channels=3, n_classes=10, depth=depth)
    return InBfloat16(net.to(memory_format=torch.channels_last), compiled)


class Augment(Callback):
    """Shift and mirror the images of each training batch, all copies of an image alike."""

    def on_batch_begin(self, net, batch=None, training=False):
        """Change the batch in place."""
        if training:
            found = list(_tensors(batch[0]))
            moved = _moved(found[0])
            for images in found:
                images.copy_(moved)


def _tensors(X):
    """The batches of images in what a net is given."""
    return X["inputs"] if isinstance(X, dict) else [X]


def _moved(x, pad=4):
    """Images (n, c, h, w) shifted by up to `pad` pixels and mirrored at random."""
    n, _, h, w = x.shape
    rows = torch.arange(h) + torch.randint(2 * pad + 1, (n, 1))
    columns = torch.arange(w) + torch.randint(2 * pad + 1, (n, 1))
    mirrored = torch.rand(n, 1) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    index = torch.arange(n)[:, None, None], slice(None), rows[:, :, None], columns[:, None, :]
    # Two index arrays apart from each other: their dimensions come first, channels last.
    return F.pad(x, (pad,) * 4)[index].permute(0, 3, 1, 2)


class OneCycle(Callback):
    """Learning rate up, then down to nothing, as a function of the share of training done.

    It has no state, so that a training that is resumed goes on where it was.
    """

    def __init__(self, epochs, n_batches, warm_up=WARM_UP):
        self.epochs = epochs
        self.n_batches = n_batches
        self.warm_up = warm_up

    def on_batch_begin(self, net, batch=None, training=False):
        """Set the rate of the batch that comes."""
        epoch, batch = len(net.history) - 1, len(net.history[-1]["batches"]) - 1
        done = (epoch + batch / self.n_batches) / self.epochs
        share = done / self.warm_up if done < self.warm_up else (1 - done) / (1 - self.warm_up)
        for group in net.optimizer_.param_groups:
            group["lr"] = net.lr * max(1e-3, np.sin(share * np.pi / 2) ** 2)


def train(depth, images, epochs, folder, seed=0, device="cpu", compiled=False):
    """A net trained for `epochs`, from its last checkpoint in `folder` if there is one."""
    torch.manual_seed(1000 * seed + depth)
    folder = Path(folder) / f"resnet{depth}-{epochs}-{seed}"
    checkpoint = Checkpoint(dirname=str(folder), monitor=None, f_criterion=None)
    net = NeuralNetClassifier(
        resnet(depth, compiled),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        optimizer__weight_decay=WEIGHT_DECAY,
        lr=LR,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        iterator_train__drop_last=True,
        train_split=None,
        callbacks=[Augment(), OneCycle(epochs, len(images.y) // BATCH), checkpoint],
        classes=list(range(10)),
        device=device,
    ).initialize()
    if (folder / "history.json").exists():
        net.load_params(checkpoint=checkpoint)
        torch.manual_seed(1000 * seed + depth + len(net.history))
    if left := epochs - len(net.history):
        net.set_params(max_epochs=left)
        net.partial_fit(images.X, images.y)
    net.module_.in_training = [net.module_.module]
    return net
