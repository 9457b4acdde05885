"""Losses of answers: 0/1, and with rejected samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RejectLoss", "zero_one_loss"]


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
