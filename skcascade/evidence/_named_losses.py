"""Losses that have a name: what an answer loses, and what it is expected to lose.

A loss takes codes (n_samples,) and the probabilities (n_samples, n_classes) of one stage. Its
`expected` takes the probability of each class to be the true one instead of codes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_floats
from ..utils._numbers import SMALLEST_DOUBT

__all__ = [
    "NAMED_LOSSES",
    "BalancedLoss",
    "BrierLoss",
    "CostMatrix",
    "LogLoss",
    "Loss",
    "ZeroOneLoss",
    "check_cost_matrix",
    "largest_loss",
    "score_name",
]


class Loss:
    """The loss of an answer.

    Attributes
    ----------
    name : str
        Of the score one minus the mean loss.
    upper : float
        The largest loss that is possible.
    needs_counts : bool
        Whether it depends on how frequent the classes are, and does not know it yet.
    """

    name: str
    upper: float
    needs_counts = False

    def __call__(self, y: NDArray[np.intp], proba: NDArray[Any]) -> NDArray[np.float64]:
        """Loss of each sample (n_samples,)."""
        raise NotImplementedError

    def expected(self, target: NDArray[Any], proba: NDArray[Any]) -> NDArray[np.float64]:
        """Expected loss (n_samples,) if the true class has the probabilities `target`."""
        raise NotImplementedError

    def with_counts(self, counts: NDArray[Any]) -> Loss:
        """The loss where the classes have these frequencies (n_classes,)."""
        return self


class ZeroOneLoss(Loss):
    """1.0 where the most likely class is not `y`, else 0.0."""

    name, upper = "accuracy", 1.0

    def __call__(self, y, proba):
        return (proba.argmax(axis=1) != y).astype(float)

    def expected(self, target, proba):
        return 1.0 - target[np.arange(len(target)), proba.argmax(axis=1)]


class LogLoss(Loss):
    """Minus the natural logarithm of the probability of `y`, at least `SMALLEST_DOUBT`."""

    name, upper = "1 - log loss", float(-np.log(SMALLEST_DOUBT))

    def __call__(self, y, proba):
        return -_log(proba[np.arange(len(y)), y])

    def expected(self, target, proba):
        return -(target * _log(proba)).sum(axis=1)


def _log(proba):
    """Logarithm, and at most 0: probabilities may exceed 1 by a rounding error."""
    return np.log(np.clip(proba.astype(float), SMALLEST_DOUBT, 1.0))


class BrierLoss(Loss):
    """Half the squared distance of the probabilities from those of a perfect answer, in [0, 1].

    With two classes it is the square of the probability of the wrong one.
    """

    name, upper = "1 - Brier loss", 1.0

    def __call__(self, y, proba):
        difference = proba.astype(float)
        difference[np.arange(len(y)), y] -= 1.0
        return 0.5 * (difference**2).sum(axis=1)

    def expected(self, target, proba):
        proba = proba.astype(float)
        # sum_c t_c (|p|^2 - 2 p_c + 1) / 2, with |p|^2 - 2 p.t = |p - t|^2 - |t|^2
        return 0.5 * (((proba - target) ** 2).sum(axis=1) + (target * (1.0 - target)).sum(axis=1))


class BalancedLoss(Loss):
    """An error loses as much as its class is rare: n / (n_classes * n_samples of its class).

    One minus the mean loss is the balanced accuracy, the mean over the classes of the share
    that is predicted correctly. Classes without samples do not count, as in scikit-learn.

    Parameters
    ----------
    class_weight : ndarray of shape (n_classes,), default=None
        Loss of an error by the true class. None: taken from the labels at hand.
    """

    name = "balanced accuracy"

    def __init__(self, class_weight: NDArray[np.float64] | None = None) -> None:
        self.class_weight = class_weight

    @property
    def needs_counts(self) -> bool:  # type: ignore[override]
        """Whether the class weights are not known yet."""
        return self.class_weight is None

    @property
    def upper(self) -> float:  # type: ignore[override]
        """The largest class weight."""
        return np.inf if self.class_weight is None else float(self.class_weight.max())

    def __call__(self, y, proba):
        if self.class_weight is None:
            return self.with_counts(np.bincount(y, minlength=proba.shape[1]))(y, proba)
        return self.class_weight[y] * (proba.argmax(axis=1) != y)

    def expected(self, target, proba):
        if self.class_weight is None:
            return self.with_counts(target.sum(axis=0)).expected(target, proba)
        losses = target * self.class_weight
        losses[np.arange(len(losses)), proba.argmax(axis=1)] = 0.0
        return losses.sum(axis=1)

    def with_counts(self, counts):
        """With the weights of these class frequencies; itself where it has weights already."""
        if self.class_weight is not None:
            return self
        counts = np.asarray(counts, dtype=float)
        present = counts > 0
        each = counts.sum() / max(1, present.sum())
        return BalancedLoss(np.divide(each, counts, out=np.zeros_like(counts), where=present))


class CostMatrix(Loss):
    """The loss by true and predicted class, as the `loss` of a cascade or a trace.

    A cascade takes the bare matrix as well. A :class:`Trace` does too, unless the matrix has
    the shape (n_samples, n_stages): such an array is the loss of each answer.

    Parameters
    ----------
    matrix : array-like of shape (n_classes, n_classes)
        Entry [i, j] is the loss of predicting class j where class i is true: finite numbers,
        0 or more. The order is that of `classes_`. The diagonal may differ from 0.

    Attributes
    ----------
    name : str
        "1 - cost": the score that a drop is measured in.
    upper : float
        The largest entry.

    Raises
    ------
    ValueError
        If the matrix is not square, or holds negative numbers, NaN or infinity.

    Examples
    --------
    Missing class 1 is ten times as bad as a false alarm.

    >>> from skcascade import Trace
    >>> from skcascade.evidence import CostMatrix
    >>> answers = [[[0.6, 0.4], [0.2, 0.8]], [[0.3, 0.7], [0.1, 0.9]]]
    >>> trace = Trace(answers, loss=CostMatrix([[0, 0.1], [1, 0]]))
    >>> trace.losses([1, 0])
    array([[1. , 0. ],
           [0.1, 0.1]])
    """

    name = "1 - cost"

    def __init__(self, matrix: ArrayLike) -> None:
        self.matrix = check_cost_matrix("matrix", matrix)
        self.upper = float(self.matrix.max())

    def __call__(self, y, proba):
        return self.matrix[y, proba.argmax(axis=1)]

    def expected(self, target, proba):
        return (target * self.matrix.T[proba.argmax(axis=1)]).sum(axis=1)

    def __repr__(self) -> str:
        return f"CostMatrix({self.matrix.tolist()})"


def check_cost_matrix(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """A square matrix of finite numbers, 0 or more; ValueError for any other."""
    matrix = as_floats(name, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(
            f"`{name}` given as a cost matrix must have the shape (n_classes, n_classes), a row for"
            f" each true and a column for each predicted class, got {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        raise ValueError(f"`{name}` must hold finite numbers, got NaN or infinity.")
    if matrix.min() < 0:
        raise ValueError(
            f"`{name}` given as a cost matrix must not be negative, got {matrix.min():.4g}."
            " Subtract the smallest entry of each row: all drops stay the same."
        )
    return matrix


#: The losses that `loss` can name.
NAMED_LOSSES: dict[str, Loss] = {
    "zero_one": ZeroOneLoss(),
    "log_loss": LogLoss(),
    "brier": BrierLoss(),
    "balanced": BalancedLoss(),
}


def score_name(loss: Any) -> str:
    """Name of one minus the mean loss, for a loss as a trace has it."""
    if loss is None:
        return ZeroOneLoss.name
    return loss.name if isinstance(loss, Loss) else "1 - loss"


def largest_loss(loss: Any) -> float:
    """The largest loss that is possible, for a loss as a trace has it; inf if unknown."""
    if loss is None:
        return ZeroOneLoss.upper
    return loss.upper if isinstance(loss, Loss) else np.inf
