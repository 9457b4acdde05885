"""Exit rules on the confidence: two thresholds for each predicted class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ._calibration import calibrate

__all__ = ["Cuts", "class_thresholds"]

#: Bits of 1.0. The bits of floats from 0 to 1, read as integers, are in the order of the floats.
ONE = np.float64(1.0).view(np.int64)
#: Floats on either side of the closed form among which a threshold is sought first.
NEARBY = 2**16


class Cuts(NamedTuple):
    """Exit where `lower <= confidence <= upper`, by the predicted class.

    Attributes
    ----------
    confidence : callable
        From probabilities (n_rows, n_classes) to confidences (n_rows,).
    lower, upper : ndarray of shape (n_classes,), float or None
        Thresholds for each predicted class. One number holds for all classes; None: no
        threshold on this side.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.policies import Cuts
    >>> rule = Cuts(lambda proba: proba.max(axis=1), lower=np.array([0.5, 0.9]))
    >>> rule.exits(np.array([[0.7, 0.3], [0.3, 0.7], [0.05, 0.95]]))
    array([ True, False,  True])
    """

    confidence: Callable
    lower: NDArray[np.float64] | float | None = None
    upper: NDArray[np.float64] | float | None = None

    def exits(self, proba: NDArray[Any]) -> NDArray[np.bool_]:
        """Which rows of probabilities (n_rows, n_classes) exit."""
        confidence = self.confidence(proba)
        if self.upper is None and self.lower is not None:  # the usual rule
            return confidence >= _by_class(self.lower, proba)
        exits = np.ones(len(proba), dtype=bool)
        if self.lower is not None:
            exits &= confidence >= _by_class(self.lower, proba)
        if self.upper is not None:
            exits &= confidence <= _by_class(self.upper, proba)
        return exits


def _by_class(threshold, proba):
    """The threshold of each row."""
    if isinstance(threshold, np.ndarray):
        return threshold[proba.argmax(axis=1)]
    return threshold


def class_thresholds(thresholds, slopes, intercepts):
    """Thresholds on the confidence that decide as `calibrate(...) >= threshold` does.

    The calibrated confidence is monotone in the confidence. So one threshold on the confidence
    itself decides for each class, and the walk takes no logarithm of every row. It is found by
    bisection over all floats from 0 to 1.

    Parameters
    ----------
    thresholds : ndarray of shape (n_rules, n_stages)
        On the calibrated confidence.
    slopes : ndarray of shape (n_stages,)
    intercepts : ndarray of shape (n_stages, n_classes)

    Returns
    -------
    thresholds : ndarray of shape (n_rules, n_stages, n_classes)
        The smallest confidence that exits; where the slope is negative, the largest.
    """
    thresholds, slopes = thresholds[..., np.newaxis], slopes[:, np.newaxis]
    shape = (*thresholds.shape[:-1], intercepts.shape[1])
    rises = np.broadcast_to(slopes >= 0, shape)

    def beyond(bits):
        """Whether a confidence exits; where scores fall, whether it does not."""
        exits = calibrate(slopes, intercepts, bits.view(np.float64)) >= thresholds
        return exits == rises

    first = _first_true(beyond, _closed_form(thresholds, slopes, intercepts, shape))
    value = first.view(np.float64)
    edge = np.where(rises, value, np.nextafter(value, -np.inf))
    return np.where(first > ONE, np.inf, np.where(first == 0, -np.inf, edge))


def _closed_form(thresholds, slopes, intercepts, shape):
    """Bits of the confidence at which a score reaches its threshold, but for rounding."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        odds = (logit(np.clip(thresholds, 0, 1)) - intercepts) / slopes
    guess = np.nan_to_num(expit(odds), nan=0.5)
    return np.ascontiguousarray(np.broadcast_to(guess, shape)).view(np.int64)


def _first_true(test, guess):
    """The first of the integers 0 to ONE with a true `test`, which is monotone; else ONE + 1."""
    low, high = np.maximum(guess - NEARBY, -1), np.minimum(guess + NEARBY, ONE + 1)
    # False at `low` and true at `high`: at -1 and ONE + 1 by definition.
    low = np.where((low >= 0) & test(np.maximum(low, 0)), -1, low)
    high = np.where((high <= ONE) & ~test(np.minimum(high, ONE)), ONE + 1, high)
    while (open_ := high - low > 1).any():
        middle = (low + high) // 2
        true = test(np.clip(middle, 0, ONE))
        low, high = np.where(open_ & ~true, middle, low), np.where(open_ & true, middle, high)
    return high
