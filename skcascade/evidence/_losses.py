"""Losses of answers: 0/1, and with rejected samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_floats

__all__ = ["RejectLoss", "given_losses", "stage_losses", "zero_one_loss"]


def zero_one_loss(y: NDArray[np.intp], proba: NDArray[Any]) -> NDArray[np.float64]:
    """1.0 where the most likely class is not `y`, else 0.0."""
    return (proba.argmax(axis=1) != y).astype(float)


class RejectLoss:
    """`loss` of an answer, `reject_cost` of a rejected sample.

    Parameters
    ----------
    loss : callable
        `loss(y, proba)`.
    reject_cost : float
    """

    def __init__(self, loss: Callable, reject_cost: float) -> None:
        self.answer_loss, self.reject_cost = loss, reject_cost

    def __call__(self, y: NDArray[np.intp], proba: NDArray[Any]) -> NDArray[np.float64]:
        """Loss of each sample (n_samples,)."""
        answered = proba.any(axis=1)
        if answered.all():
            return self.answer_loss(y, proba)
        losses = np.full(len(y), float(self.reject_cost))
        if answered.any():
            losses[answered] = self.answer_loss(y[answered], proba[answered])
        return losses


def given_losses(loss: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Losses given as an array (n_samples, n_stages), checked."""
    losses = as_floats("loss", loss)
    if losses.shape != shape:
        raise ValueError(
            "`loss` given as an array must have the shape (n_samples, n_stages) ="
            f" {shape}, got {losses.shape}."
        )
    if not np.isfinite(losses).all():
        raise ValueError("`loss` must hold finite numbers, got NaN or infinity.")
    return losses


def stage_losses(loss: Callable, y: NDArray[np.intp], proba: NDArray[Any]) -> NDArray[np.float64]:
    """Losses (n_samples, n_stages) of probabilities (n_samples, n_stages, n_classes), checked."""
    losses = np.empty(proba.shape[:2])
    for stage in range(proba.shape[1]):
        values = np.asarray(loss(y, proba[:, stage]))
        if values.shape != (len(proba),):
            raise ValueError(
                "`loss` must return one number per sample, an array of shape"
                f" {(len(proba),)}, got {values.shape}."
            )
        losses[:, stage] = values
    if not np.isfinite(losses).all():
        raise ValueError("`loss` must return finite numbers, got NaN or infinity.")
    return losses
