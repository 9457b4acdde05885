"""Calibration: the probability that a prediction is correct, by its confidence and its class.

A stage is overconfident for one class and underconfident for another. At each stage

    log odds of being correct = slope * log odds of the confidence + intercept[predicted class],

fitted by penalized maximum likelihood. Without evidence the calibrated confidence is the
confidence itself, and a class that was rarely predicted is treated nearly as the others are.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from ..stats._newton import minimize_convex
from ..utils._numbers import SMALLEST_DOUBT

__all__ = ["calibrate", "fit_calibration", "log_odds", "rows_of_use"]

#: Precision of the normal priors: of slope and common intercept, and of what a class adds to it.
#: Log odds have a variance of 4 / n or more after n answers, so that 12 answers weigh as much as
#: the prior of a class.
COMMON, PER_CLASS = 1.0, 3.0
#: Rows beyond which a finer estimate is of no use.
MAX_ROWS = 100_000


def calibrate(slope, intercept, confidence):
    """Probability that a prediction is correct.

    Parameters
    ----------
    slope, intercept : float or ndarray
        Of the stage, and of the predicted class at that stage.
    confidence : ndarray of shape (n_rows,)

    Returns
    -------
    calibrated : ndarray of shape (n_rows,)
    """
    return expit(slope * log_odds(confidence) + intercept)


def fit_calibration(confidence, predicted, correct, weight, n_classes):
    """Fit slope and intercepts of one stage.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
    predicted : ndarray of int, shape (n_rows,)
        The predicted classes.
    correct : ndarray of shape (n_rows,)
        1 where the prediction is correct, 0 where it is wrong, or a value between.
    weight : ndarray of shape (n_rows,)
        Not all zero; their scale does not matter.
    n_classes : int

    Returns
    -------
    slope : float
    intercepts : ndarray of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.policies._calibration import calibrate, fit_calibration
    >>> predicted = np.repeat([0, 1], 100)
    >>> correct = np.r_[np.tile([1] * 9 + [0], 10), np.tile([1, 0], 50)]
    >>> confidence = np.full(200, 0.7)
    >>> slope, intercepts = fit_calibration(confidence, predicted, correct, np.ones(200), 3)
    >>> calibrate(slope, intercepts, np.full(3, 0.7)).round(2)  # the last was never predicted
    array([0.87, 0.53, 0.73])
    """
    rows = rows_of_use(weight)
    classes, own = np.unique(predicted[rows], return_inverse=True)
    relative = weight[rows] / weight[rows].mean()
    line = _maximum(log_odds(confidence[rows]), own, correct[rows], relative, len(classes))
    intercepts = np.full(n_classes, line[1])
    intercepts[classes] += line[2:]
    return line[0], intercepts


def rows_of_use(weight):
    """Rows with weight, evenly spread; of very many, no more than a fine estimate needs."""
    rows = np.flatnonzero(weight)
    return rows[:: -(-len(rows) // MAX_ROWS)]


def log_odds(confidence):
    """Log odds of a confidence (any shape), kept off 0 and 1 so that they are finite."""
    return logit(np.clip(np.asarray(confidence, dtype=float), SMALLEST_DOUBT, 1 - SMALLEST_DOUBT))


def _maximum(odds, own, correct, weight, n_own):
    """Slope, common intercept and additions of the classes, by Newton's method."""
    prior, usual = np.r_[COMMON, COMMON, np.full(n_own, PER_CLASS)], np.r_[1.0, np.zeros(n_own + 1)]

    def at(line):
        return line[0] * odds + line[1] + line[2:][own]

    def loss(line):
        z = at(line)
        fit = weight @ (np.logaddexp(0, z) - correct * z)
        return fit + prior @ (line - usual) ** 2 / 2

    def derivatives(line):
        p = expit(at(line))
        slack = weight * (correct - p)
        uphill = np.r_[slack @ odds, slack.sum(), np.bincount(own, slack, n_own)]
        bend = _curvature(odds, own, weight * p * (1 - p), n_own) + np.diag(prior)
        return prior * (line - usual) - uphill, bend

    return minimize_convex(loss, derivatives, usual, 1e-9 * len(odds))


def _curvature(odds, own, bend, n_own):
    """Second derivatives of the log-likelihood, but for their sign."""
    flat, tilted = np.bincount(own, bend, n_own), np.bincount(own, bend * odds, n_own)
    matrix = np.zeros((n_own + 2, n_own + 2))
    matrix[0, 0] = bend @ odds**2
    matrix[0, 1:] = matrix[1:, 0] = np.r_[tilted.sum(), tilted]
    matrix[1, 1:] = matrix[1:, 1] = np.r_[flat.sum(), flat]
    matrix[2:, 2:] = np.diag(flat)
    return matrix
