"""Nets for the papers' experiments: trained by skorch, from the last checkpoint on.

One recipe for all sizes: SGD with Nesterov momentum, one cycle of the learning rate, bfloat16,
shifted and mirrored images.
"""

from pathlib import Path

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint
from torch import nn
from torch.nn import functional as F

from skcascade import Trace
from skcascade.costs import MacsCost
from skcascade.evidence._stages import Stages
from skcascade.members import EarlyExitNetClassifier
from skcascade.members._adapters import adapt
from skcascade.nets import CascadedResNet, CifarResNet
from skcascade.policies import Reinforce
from skcascade.tuning._operating_point import OperatingPoint

from ._images import Images

N_CLASSES = 10
BATCH, LR, WEIGHT_DECAY, WARM_UP = 128, 0.2, 5e-4, 0.3
#: Pixels by which training images are shifted at most.
SHIFT = 4
#: Probabilities are cut off here before their logarithm is taken.
LEAST = 1e-12


class InBfloat16(nn.Module):
    """`module` in channels-last bfloat16; logits are float32.

    In the module, not around it, so that joint training computes as that of the members does.
    """

    def __init__(self, module, compiled=False):
        super().__init__()
        self.module = module
        # In a list, so that it is no submodule: weights keep their names.
        self.in_training = [torch.compile(module) if compiled else module]

    def forward(self, x):
        """Map images (n, channels, height, width) to logits (n, n_classes)."""
        x = x.contiguous(memory_format=torch.channels_last)
        run = self.in_training[0] if self.training else self.module
        with torch.autocast(x.device.type, torch.bfloat16):
            return run(x).float()


class Augment(Callback):
    """Shift and mirror the images of each training batch, alike for all members."""

    def on_batch_begin(self, net, batch=None, training=False):
        """Change the batch, which is a copy, in place."""
        if training:
            X = batch[0]
            copies = X["inputs"] if isinstance(X, dict) else [X]
            moved = shifted_or_mirrored(copies[0])
            for images in copies:
                images.copy_(moved)


def shifted_or_mirrored(x):
    """Images (n, c, h, w), each shifted by up to SHIFT pixels and mirrored or not."""
    n, _, h, w = x.shape
    rows = torch.arange(h) + torch.randint(2 * SHIFT + 1, (n, 1))
    columns = torch.arange(w) + torch.randint(2 * SHIFT + 1, (n, 1))
    columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
    index = torch.arange(n)[:, None, None], slice(None), rows[:, :, None], columns[:, None, :]
    # Index arrays on both sides of a slice: what they index comes first, the channels last.
    return F.pad(x, (SHIFT,) * 4)[index].permute(0, 3, 1, 2)


class OneCycle(Callback):
    """Learning rate up and down again, as a function of the share of training that is done.

    It has no state, so that a resumed training continues at the same rate.
    """

    def __init__(self, epochs, n_batches):
        self.epochs = epochs
        self.n_batches = n_batches

    def on_batch_begin(self, net, batch=None, training=False):
        """Set the rate for the batch."""
        epoch, batch = len(net.history) - 1, len(net.history[-1]["batches"]) - 1
        done = (epoch + batch / self.n_batches) / self.epochs
        share = done / WARM_UP if done < WARM_UP else (1 - done) / (1 - WARM_UP)
        for group in net.optimizer_.param_groups:
            group["lr"] = net.lr * max(1e-3, float(np.sin(share * np.pi / 2) ** 2))


def train(data, size, epochs, folder, *, seed=0, device="cpu", compiled=False):
    """A :class:`CifarResNet`, from its last checkpoint in `folder` on if there is one.

    Parameters
    ----------
    data : ImageSet
    size : tuple of int
        Depth and width.
    epochs : int
    folder : path
    seed : int, default=0
    device : str, default="cpu"
    compiled : bool, default=False
        Train with `torch.compile`.

    Returns
    -------
    net : skorch.NeuralNetClassifier
    """
    depth, width = size
    images, name = data.train, f"{data.name}-resnet{depth}x{width}-{epochs}-{seed}"
    checkpoint = Checkpoint(dirname=str(Path(folder) / name), monitor=None, f_criterion=None)
    torch.manual_seed(1_000 * seed + depth)
    module = CifarResNet(images.X.shape[1], N_CLASSES, depth, width)
    net = NeuralNetClassifier(
        InBfloat16(module.to(memory_format=torch.channels_last), compiled),
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
        classes=list(range(N_CLASSES)),
        device=device,
    ).initialize()
    if (Path(folder) / name / "history.json").exists():
        net.load_params(checkpoint=checkpoint)
        torch.manual_seed(1_000 * seed + depth + len(net.history))
    if left := epochs - len(net.history):
        print(f"{name}: {left} of {epochs} epochs", flush=True)
        net.set_params(max_epochs=left).partial_fit(images.X, images.y)
    net.module_.in_training = [net.module_.module]
    return net


def stages_of(**members):
    """Stages of fitted nets."""
    adapted = [(name, adapt(net)) for name, net in members.items()]
    return Stages(adapted, np.arange(N_CLASSES))


def jointly(stages, data, epochs, *, alpha=0.05, seed=0, device="cpu"):
    """The stages after joint training at `alpha`; the same if that did not help.

    Half of the held-out images validate; the other half is for tuning policies.
    """
    policy = Reinforce(
        max_epochs=epochs,
        patience=None,
        callbacks=[Augment()],
        device=device,
        random_state=seed,
        verbose=1,
    )
    X, y = validation(data)
    cost = MacsCost().fit(stages, X[:2])
    target = OperatingPoint(alpha=alpha)
    return policy.fine_tune(stages, *data.train, X, y, cost, target)


def validation(data):
    """The first half of the held-out images."""
    return Images(*(part[: len(data.held_out.y) // 2] for part in data.held_out))


def with_exits(net, size, data, epochs, *, seed=0, device="cpu"):
    """The trained `net` with exits after its first two modules as well: backtrack.

    The trunk and its last exit stay as they are; the new exits are trained one by one.
    """
    torch.manual_seed(seed)
    images, trained = data.train, net.module_.module
    module = CascadedResNet(images.X.shape[1], N_CLASSES, *size)
    (stem, first), second, third = module.blocks
    mine = stem, first, second, third, module.exits[-1][-1]
    for part, given in zip(mine, (trained.stem, *trained.stages, trained.head)):
        part.load_state_dict(given.state_dict())
        part.requires_grad_(False)
    return EarlyExitNetClassifier(
        module,
        training="backtrack",
        max_epochs=epochs,
        batch_size=BATCH,
        iterator_train__drop_last=True,
        train_split=None,
        callbacks=[Augment(), OneCycle(epochs, len(images.y) // BATCH)],
        bfloat16=True,
        device=device,
        verbose=1,
    ).fit(images.X, images.y)


def recorded(stages, data):
    """Log-probabilities on held-out and test images, float16, and the cost of every edge."""
    parts = {"held_out": data.held_out.X, "test": data.test.X}
    proba = {part: Trace.record(stages, X).proba for part, X in parts.items()}
    found = {part: np.log(p.clip(LEAST)).astype(np.float16) for part, p in proba.items()}
    return found | {"macs": MacsCost().fit(stages, data.test.X[:2]).edge_costs_}
