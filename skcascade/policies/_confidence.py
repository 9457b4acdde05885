"""How sure a stage is of its answer: one number per row, larger is surer."""

import numpy as np
from scipy.special import entr

__all__ = ["CONFIDENCES"]


def max_proba(proba):
    """Probability of the most likely class."""
    return np.maximum.reduce(proba, axis=1)  # as max, with less overhead for single rows


def margin(proba):
    """Probability of the most likely class less that of the second."""
    if proba.shape[1] == 1:
        return proba[:, 0]
    top = np.partition(proba, -2, axis=1)
    return top[:, -1] - top[:, -2]


def entropy(proba):
    """One less the entropy, as a share of the largest entropy possible."""
    return 1 - entr(proba).sum(axis=1) / np.log(max(proba.shape[1], 2))


#: Confidence measures by name.
CONFIDENCES = {"max_proba": max_proba, "margin": margin, "entropy": entropy}
