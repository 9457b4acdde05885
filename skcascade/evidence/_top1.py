"""Probabilities from a predicted class and its confidence."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_array, as_floats, check_kind

__all__ = ["check_classes", "encode", "spread_top1"]


def spread_top1(
    pred: ArrayLike, confidence: ArrayLike, n_classes: int | None
) -> NDArray[np.float64]:
    """Probabilities (n_samples, n_stages, n_classes), as :meth:`Trace.from_top1` says."""
    pred = as_array("pred", pred)
    if pred.dtype.kind not in "iu" or n_classes is None:
        raise ValueError(
            f"`pred` must hold codes, integers, and `n_classes` their number, got {pred.dtype} and"
            f" n_classes={n_classes}. Give `classes`, the labels, if `pred` holds labels."
        )
    check_kind("n_classes", n_classes, Integral, "an integer")
    confidence = as_floats("confidence", confidence)
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


def check_classes(classes: ArrayLike, n_classes: int | None) -> NDArray[Any]:
    """Labels of the columns (n_classes,); ValueError for another number of them, or none."""
    labels = as_array("classes", classes)
    if labels.ndim != 1 or not labels.size or n_classes not in (None, len(labels)):
        number = "" if n_classes is None else f"{n_classes} "
        raise ValueError(
            f"`classes` must label the {number}columns of `proba`, got an array of shape"
            f" {labels.shape}."
        )
    return labels


def encode(labels: ArrayLike, classes: NDArray[Any], name: str) -> NDArray[np.intp]:
    """Positions of `labels` (any shape) in `classes`; ValueError for one that is not there."""
    labels = as_array(name, labels)
    try:
        order = np.argsort(classes)
        codes = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(order) - 1)]
    except TypeError as error:
        raise TypeError(
            f"`{name}` must hold labels such as those in `classes`, got {labels.dtype} and"
            f" {classes.dtype}: {error}."
        ) from error
    unknown = classes[codes] != labels
    if np.any(unknown):
        raise ValueError(
            f"`{name}` contains labels without a column in the trace:"
            f" {np.unique(labels[unknown])[:5].tolist()}."
        )
    return codes
