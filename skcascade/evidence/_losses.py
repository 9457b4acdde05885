"""Losses of answers: from a name, a matrix, a function or an array, and of rejected samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_floats
from ._named_losses import (
    NAMED_LOSSES,
    CostMatrix,
    Loss,
    check_cost_matrix,
    largest_loss,
    score_name,
)

__all__ = [
    "RejectLoss",
    "expected_losses",
    "given_losses",
    "resolve_loss",
    "stage_losses",
    "zero_one_loss",
]

zero_one_loss = NAMED_LOSSES["zero_one"]


class RejectLoss(Loss):
    """`loss` of an answer, `reject_cost` of a rejected sample.

    Parameters
    ----------
    loss : callable
        `loss(y, proba)`.
    reject_cost : float
    """

    def __init__(self, loss: Callable, reject_cost: float) -> None:
        self.answer_loss, self.reject_cost = loss, reject_cost

    @property
    def name(self) -> str:  # type: ignore[override]
        """That of the loss of an answer."""
        return score_name(self.answer_loss)

    @property
    def upper(self) -> float:  # type: ignore[override]
        """The largest loss that is possible."""
        return max(largest_loss(self.answer_loss), float(self.reject_cost))

    @property
    def needs_counts(self) -> bool:  # type: ignore[override]
        """Whether the loss of an answer does."""
        return isinstance(self.answer_loss, Loss) and self.answer_loss.needs_counts

    def with_counts(self, counts: NDArray[Any]) -> Loss:
        """The loss where the classes have these frequencies (n_classes,)."""
        if not self.needs_counts:
            return self
        return RejectLoss(self.answer_loss.with_counts(counts), self.reject_cost)  # type: ignore[attr-defined]

    def __call__(self, y: NDArray[np.intp], proba: NDArray[Any]) -> NDArray[np.float64]:
        """Loss of each sample (n_samples,)."""
        answered = proba.any(axis=1)
        if answered.all():
            return self.answer_loss(y, proba)
        losses = np.full(len(y), float(self.reject_cost))
        if answered.any():
            losses[answered] = self.answer_loss(y[answered], proba[answered])
        return losses

    def expected(self, target: NDArray[Any], proba: NDArray[Any]) -> NDArray[np.float64]:
        """Expected loss of each sample (n_samples,)."""
        answered = proba.any(axis=1)
        losses = np.full(len(proba), float(self.reject_cost))
        if answered.any():
            losses[answered] = _expected(self.answer_loss, target[answered], proba[answered])
        return losses


def resolve_loss(loss: Any, n_classes: int, shape: tuple[int, ...] | None = None) -> Any:
    """What a name or an array stands for.

    Parameters
    ----------
    loss : str, callable, array-like or None
    n_classes : int
    shape : tuple of int, default=None
        (n_samples, n_stages) where an array of this shape is the loss of each answer.

    Returns
    -------
    loss : callable, ndarray of shape (n_samples, n_stages) or None
        As given, where it is a callable or None.

    Raises
    ------
    ValueError
        If the name is unknown, or the array has another shape or unusable numbers.
    """
    if isinstance(loss, str):
        if loss not in NAMED_LOSSES:
            names = ", ".join(map(repr, NAMED_LOSSES))
            raise ValueError(
                f"`loss` must be one of {names}, a cost matrix by class or a callable, got"
                f" {loss!r:.80}."
            )
        return NAMED_LOSSES[loss]
    matrix = isinstance(loss, CostMatrix)
    if loss is None or (callable(loss) and not matrix):
        return loss
    values = loss.matrix if matrix else as_floats("loss", loss)
    if shape is not None and values.shape == shape and not matrix:
        return given_losses(values, shape)
    if values.shape == (n_classes, n_classes):
        return loss if matrix else CostMatrix(check_cost_matrix("loss", values))
    answers = "" if shape is None else f" or (n_samples, n_stages) = {shape}"
    raise ValueError(
        "`loss` given as an array must have the shape (n_classes, n_classes) ="
        f" {(n_classes, n_classes)}, a row for each true class{answers}, got {values.shape}."
    )


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
    if isinstance(loss, Loss) and loss.needs_counts:
        loss = loss.with_counts(np.bincount(y, minlength=proba.shape[2]))
    losses = np.empty(proba.shape[:2])
    for stage in range(proba.shape[1]):
        losses[:, stage] = _numbers(loss(y, proba[:, stage]), len(proba))
    return _finite(losses)


def expected_losses(
    loss: Callable, target: NDArray[Any], proba: NDArray[Any]
) -> NDArray[np.float64]:
    """Losses to be expected if the true classes have the probabilities `target`.

    Parameters
    ----------
    loss : callable
        Its method `expected(target, proba)` is used if there is one. Else it is called with
        each class in turn, on the samples where that class is possible.
    target : ndarray of shape (n_samples, n_classes)
        Rows add up to 1.
    proba : ndarray of shape (n_samples, n_stages, n_classes)
        Zeros where the sample is rejected.

    Returns
    -------
    losses : ndarray of shape (n_samples, n_stages)

    Raises
    ------
    ValueError
        If the loss is not one finite number per sample.
    """
    if isinstance(loss, Loss) and loss.needs_counts:
        loss = loss.with_counts(target.sum(axis=0))
    stages = range(proba.shape[1])
    return _finite(np.stack([_expected(loss, target, proba[:, k]) for k in stages], axis=1))


def _expected(loss, target, proba):
    """Expected losses (n_samples,) of one stage."""
    if hasattr(loss, "expected"):
        return _numbers(loss.expected(target, proba), len(proba))
    losses = np.zeros(len(proba))
    for c in np.flatnonzero(target.any(axis=0)):
        rows = np.flatnonzero(target[:, c])
        values = _numbers(loss(np.full(len(rows), c), proba[rows]), len(rows))
        losses[rows] += target[rows, c] * values
    return losses


def _numbers(values, n):
    """The values of a loss, one per sample; ValueError if there are more or fewer."""
    values = np.asarray(values)
    if values.shape != (n,):
        raise ValueError(
            "`loss` must return one number per sample, an array of shape"
            f" {(n,)}, got {values.shape}."
        )
    return values


def _finite(losses):
    if not np.isfinite(losses).all():
        raise ValueError("`loss` must return finite numbers, got NaN or infinity.")
    return losses
