"""The losses of recorded answers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._losses import expected_losses, stage_losses, zero_one_loss
from ._named_losses import Loss, score_name

__all__ = ["TraceLosses"]


class TraceLosses:
    """What the answers of a trace lose: observed, and expected.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_stages, n_classes)
    loss : callable, ndarray of shape (n_samples, n_stages) or None
        None is the 0/1 loss.
    expected : ndarray of shape (n_samples, n_stages) or None
        Expected losses, while a policy is tuned.
    """

    proba: NDArray[np.float32]
    loss: Any
    expected: NDArray[np.float64] | None = None

    @property
    def metric(self) -> str:
        """Name of the score that is one minus the mean loss, such as "accuracy"."""
        return score_name(self.loss)

    def losses(self, y: ArrayLike) -> NDArray[np.float64]:
        """Loss of every stage on every sample.

        Parameters
        ----------
        y : array-like of int, shape (n_samples,)
            True codes.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_stages), float64

        Raises
        ------
        ValueError
            If `loss` is a callable that does not return one number per sample.
        """
        if isinstance(self.loss, np.ndarray):
            return self.loss
        return stage_losses(self.loss or zero_one_loss, np.asarray(y), self.proba)

    def expected_losses(self, target: ArrayLike) -> NDArray[np.float64]:
        """Loss of every stage to be expected on every sample, where labels are not certain.

        Parameters
        ----------
        target : array-like of shape (n_samples, n_classes)
            Probability of each class to be the true one. Rows add up to 1.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_stages), float64
            Given losses as they are.

        Raises
        ------
        ValueError
            If `loss` is a callable that does not return one finite number per sample.

        Examples
        --------
        >>> from skcascade import Trace
        >>> trace = Trace([[[0.9, 0.1], [0.3, 0.7]]], loss="brier")
        >>> trace.expected_losses([[0.75, 0.25]]).round(2)
        array([[0.21, 0.39]])
        """
        if isinstance(self.loss, np.ndarray):
            return self.loss
        return expected_losses(self.loss or zero_one_loss, np.asarray(target), self.proba)

    def with_expected(self, target: ArrayLike) -> Self:
        """The trace with expected losses, which policies minimize instead of the observed ones.

        Parameters
        ----------
        target : array-like of shape (n_samples, n_classes)
            As for :meth:`expected_losses`.

        Returns
        -------
        trace : Trace
        """
        part = object.__new__(type(self))
        vars(part).update(vars(self), expected=self.expected_losses(target))
        return part

    def objective_losses(self, y: ArrayLike) -> NDArray[np.float64]:
        """The losses that policies minimize: the expected ones where there are any.

        Parameters
        ----------
        y : array-like of int, shape (n_samples,)
            True codes.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_stages), float64
            `expected`, or those of :meth:`losses`.
        """
        return self.losses(y) if self.expected is None else self.expected

    def for_labels(self, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """The trace whose "balanced" loss knows how frequent each class is.

        Its rows then keep these frequencies, however they are selected. :meth:`losses` of a
        trace that does not know them takes those of the labels it is given. All other losses
        stay as they are.

        Parameters
        ----------
        y : array-like of int, shape (n_samples,)
            True codes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        trace : Trace
            Itself if there is nothing to know.
        """
        if not (isinstance(self.loss, Loss) and self.loss.needs_counts):
            return self
        counts = np.bincount(np.asarray(y), sample_weight, self.proba.shape[2])  # type: ignore[arg-type]
        part = object.__new__(type(self))
        vars(part).update(vars(self), loss=self.loss.with_counts(counts))
        return part
