"""Probabilities from a predicted class and its confidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["spread_top1"]


def spread_top1(pred: ArrayLike, confidence: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Probabilities (n_samples, n_stages, n_classes), as :meth:`Trace.from_top1` says."""
    pred = np.asarray(pred)
    confidence = np.asarray(confidence, dtype=float)
    if pred.shape != confidence.shape or pred.ndim != 2:
        raise ValueError(
            "`pred` and `confidence` must both have the shape (n_samples, n_stages),"
            f" got {pred.shape} and {confidence.shape}."
        )
    if not ((pred >= 0) & (pred < n_classes)).all():
        raise ValueError(f"`pred` must hold codes 0 to n_classes - 1 = {n_classes - 1}.")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("`confidence` must lie in [0, 1].")
    least = min(1.01 / n_classes, 1.0)
    squeezed = np.minimum(1.005 / n_classes + confidence * (0.005 / 1.01), least)
    top = np.where(confidence < least, squeezed, confidence)
    rest = (1 - top) / max(n_classes - 1, 1)
    proba = np.repeat(rest[:, :, np.newaxis], n_classes, axis=2)
    np.put_along_axis(proba, pred[:, :, np.newaxis], top[:, :, np.newaxis], axis=2)
    return proba
