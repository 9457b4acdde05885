"""Confidence: one number per row, larger for a more confident answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import entr

__all__ = ["CONFIDENCES", "confidence_function", "max_proba"]


def max_proba(proba):
    """Probability of the most likely class."""
    return np.maximum.reduce(proba, axis=1)  # as max, with less overhead for single rows


def margin(proba):
    """Probability of the most likely class minus that of the second."""
    if proba.shape[1] == 1:
        return proba[:, 0]
    top = np.partition(proba, -2, axis=1)
    return top[:, -1] - top[:, -2]


def entropy(proba):
    """One minus the entropy, as a share of the largest possible entropy."""
    return 1 - entr(proba).sum(axis=1) / np.log(max(proba.shape[1], 2))


#: Confidence measures by name.
CONFIDENCES = {"max_proba": max_proba, "margin": margin, "entropy": entropy}


def confidence_function(confidence: str | Callable) -> Callable:
    """The function behind a name of :data:`CONFIDENCES`; a callable is itself."""
    return confidence if callable(confidence) else CONFIDENCES[confidence]
