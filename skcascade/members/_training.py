"""Train a module on classes 0, ..., n_classes - 1, with skorch.

`settings` is anything with the parameters of
:class:`~skcascade.members.TorchClassifier` as attributes.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from skorch.callbacks import EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from ..utils._interrupt import raise_interrupts
from ..utils._skorch import (
    ClassifierNet,
    TensorRows,
    bfloat16_is_faster,
    loader_params,
    n_batches,
    rows_per_step,
)

__all__ = ["hold_out", "train_net"]


def hold_out(
    X: NDArray, codes: NDArray, settings: Any, random_state: np.random.RandomState
) -> tuple[TensorRows, TensorRows | None]:
    """Split rows into those for the weights and those for early stopping.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    codes : ndarray of shape (n_samples,), int
        Classes, each of which occurs.
    settings : object
        With `early_stopping` and `validation_fraction`.
    random_state : RandomState instance

    Returns
    -------
    train : TensorRows
        Rows to train on, copied.
    valid : TensorRows or None
        Rows held out, or None if training does not stop early.
    """
    rows, share = np.arange(len(codes)), settings.validation_fraction
    stop_early = settings.early_stopping
    if stop_early == "auto":
        stop_early = np.bincount(codes).min() * min(share, 1 - share) >= 1
    if not stop_early:
        return TensorRows.take(X, codes, rows), None
    try:
        parts = train_test_split(rows, test_size=share, stratify=codes, random_state=random_state)
    except ValueError as error:
        raise ValueError(
            f"`early_stopping=True` cannot hold out `validation_fraction={share}` of"
            f" {len(codes)} rows: {error} Use `early_stopping='auto'` or False, or another"
            " `validation_fraction`."
        ) from error
    fitting, held_out = (TensorRows.take(X, codes, part) for part in parts)
    return fitting, held_out


def train_net(
    module: nn.Module, train: TensorRows, valid: TensorRows | None, settings: Any
) -> ClassifierNet:
    """Train `module` in place.

    Parameters
    ----------
    module : torch.nn.Module
        From rows to logits.
    train, valid : TensorRows, or None for `valid`
        Rows for the weights and for early stopping.
    settings : object

    Returns
    -------
    net : ClassifierNet
        Trained, in evaluation mode, without what only training needs.

    Raises
    ------
    ValueError
        If weights are not finite at the end.
    """
    batch_size = rows_per_step(settings.batch_size, len(train))
    n_steps = settings.max_epochs * n_batches(batch_size, len(train))
    net = ClassifierNet(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=float(settings.weight_decay),
        lr=float(settings.lr),
        max_epochs=settings.max_epochs,
        classes=torch.unique(train.y).tolist(),
        callbacks=_callbacks(settings, n_steps, stop_early=valid is not None),
        train_split=None if valid is None else predefined_split(valid),
        bfloat16=_in_bfloat16(settings, train.X, training=True),
        device=str(settings.device),
        verbose=int(settings.verbose),
        **loader_params(batch_size, len(train)),
    )
    with raise_interrupts():
        net.fit(train, None)
    _finish(net)
    net.bfloat16 = _in_bfloat16(settings, train.X, training=False)
    return net


def _callbacks(settings, n_steps, stop_early):
    lr = float(settings.lr)
    policy = {
        "one_cycle": {"policy": OneCycleLR, "max_lr": lr, "total_steps": n_steps},
        "cosine": {"policy": CosineAnnealingLR, "T_max": n_steps},
    }.get(settings.schedule)
    callbacks = list(clone(settings.callbacks or [], safe=False))
    if policy is not None:
        callbacks.insert(0, ("schedule", LRScheduler(step_every="batch", **policy)))
    if stop_early:
        # Last, because it ends an epoch by an exception, after all other callbacks have run.
        stopping = EarlyStopping(patience=settings.patience, load_best=True)
        callbacks.append(("early_stopping", stopping))
    return callbacks


def _in_bfloat16(settings, X, training):
    if settings.dtype == "auto":
        return X.ndim == 4 and bfloat16_is_faster(torch.device(settings.device), training)
    return settings.dtype == "bfloat16"


def _finish(net):
    if not all(torch.isfinite(weight).all() for weight in net.module_.parameters()):
        raise ValueError(
            f"Training diverged: weights are not finite. Lower `lr` (it is {net.lr}), or set"
            " `standardize=True`."
        )
    net.module_.eval().zero_grad()
    # All of this would go into every pickle and copy: the held-out rows, a second
    # reference to the weights, AdamW's moments (twice), a record for every batch.
    net.train_split = None
    net.module = type(net.module_)
    net.initialize_optimizer()
    for _, callback in net.callbacks_:
        if isinstance(callback, LRScheduler):
            callback.lr_scheduler_ = None
    for epoch in net.history:
        epoch["batches"] = []
