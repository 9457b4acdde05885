"""How likely an answer is right, given how sure its stage is and which class it names.

One class is announced too boldly, another too shyly. At each stage

    log odds of being right = slope * log odds of the confidence + intercept[class named],

fitted by penalised maximum likelihood: without evidence the chance is the confidence as it stands,
and a class that was rarely named is treated nearly as the others are.
"""

import numpy as np
from scipy.special import expit, logit

__all__ = ["chance_right", "fit_chances"]

#: Doubt that is told from none; answers are float32.
LEAST_DOUBT = 1e-7
#: Precision of the normal priors: of slope and common intercept, and of what a class adds to it.
#: Log odds have a variance of 4 / n or more after n answers, so that 12 answers weigh as much as
#: the prior of a class.
COMMON, OF_CLASS = 1.0, 3.0
#: Rows beyond which a finer estimate is of no use.
MAX_ROWS = 100_000


def chance_right(slope, intercepts, confidence, named):
    """Chance of each answer to be right.

    Parameters
    ----------
    slope : float
    intercepts : ndarray of shape (n_classes,)
    confidence : ndarray of shape (n_rows,)
    named : ndarray of int, shape (n_rows,)
        The class that each row is said to be of.

    Returns
    -------
    chance : ndarray of shape (n_rows,)
    """
    return expit(slope * _log_odds(confidence) + intercepts[named])


def fit_chances(confidence, named, right, weight, n_classes):
    """Fit slope and intercepts of one stage.

    Parameters
    ----------
    confidence, named
        As for :func:`chance_right`.
    right : ndarray of shape (n_rows,)
        1 where the answer is right, 0 where it is wrong, or a share of that.
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
    >>> from skcascade.policies._chances import chance_right, fit_chances
    >>> named = np.repeat([0, 1], 100)
    >>> right = np.tile(np.r_[np.ones(9), 0], 20) * (named == 0) + np.tile([1, 0], 100) * named
    >>> confidence = np.full(200, 0.7)
    >>> line = fit_chances(confidence, named, right, np.ones(200), n_classes=3)
    >>> chance_right(*line, np.full(3, 0.7), np.arange(3)).round(2)  # the last was never named
    array([0.87, 0.53, 0.73])
    """
    rows = np.flatnonzero(weight)
    rows = rows[:: -(-len(rows) // MAX_ROWS)]
    classes, own = np.unique(named[rows], return_inverse=True)
    relative = weight[rows] / weight[rows].mean()
    line = _maximum(_log_odds(confidence[rows]), own, right[rows], relative, len(classes))
    intercepts = np.full(n_classes, line[1])
    intercepts[classes] += line[2:]
    return line[0], intercepts


def _log_odds(confidence):
    return logit(np.clip(np.asarray(confidence, dtype=float), LEAST_DOUBT, 1 - LEAST_DOUBT))


def _maximum(odds, own, right, weight, n_own):
    """Slope, common intercept and additions of the classes, by Newton's method."""
    prior, usual = np.r_[COMMON, COMMON, np.full(n_own, OF_CLASS)], np.r_[1.0, np.zeros(n_own + 1)]

    def at(line):
        return line[0] * odds + line[1] + line[2:][own]

    def loss(line):
        z = at(line)
        fit = weight @ (np.logaddexp(0, z) - right * z)
        return fit + prior @ (line - usual) ** 2 / 2

    line, value = usual, loss(usual)
    while True:
        chance = expit(at(line))
        slack = weight * (right - chance)
        uphill = np.r_[slack @ odds, slack.sum(), np.bincount(own, slack, n_own)]
        bend = _curvature(odds, own, weight * chance * (1 - chance), n_own) + np.diag(prior)
        step = np.linalg.solve(bend, uphill - prior * (line - usual))
        while (new := loss(line + step)) > value and abs(step).max() > 1e-9:
            step = step / 2  # too far: the curvature is less out there
        if value - new <= 1e-9 * len(odds):
            return line
        line, value = line + step, new


def _curvature(odds, own, bend, n_own):
    """Second derivatives of the log-likelihood, but for their sign."""
    flat, tilted = np.bincount(own, bend, n_own), np.bincount(own, bend * odds, n_own)
    matrix = np.zeros((n_own + 2, n_own + 2))
    matrix[0, 0] = bend @ odds**2
    matrix[0, 1:] = matrix[1:, 0] = np.r_[tilted.sum(), tilted]
    matrix[1, 1:] = matrix[1:, 1] = np.r_[flat.sum(), flat]
    matrix[2:, 2:] = np.diag(flat)
    return matrix
