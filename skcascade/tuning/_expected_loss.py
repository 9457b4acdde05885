"""Expected losses: what the answers of all stages say about the loss of each one.

Whether a recorded answer is correct is the result of one draw. Its probability is known better from
the answers of all stages together. A stage that predicts class c with the calibrated confidence p
speaks for c with

    z = logit(p) + log(C - 1)                                                               (1)

out of C classes: 0 for a guess. Class c then has a probability proportional to

    exp(sum over the stages k that predict c of w_k z_k).                                   (2)

The weights w, one for each stage, are fitted by penalized maximum likelihood: a normal prior with
mean 1 / K for K stages and precision 1. Equal weights of 1 / K average the stages; stages that are
right and wrong independently have weights near 1.

Two stages that predict the same class have the same expected loss, so that their difference is
free of noise. That is what rules are tuned on.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp, softmax

from ..policies._calibration import fit_calibration, log_odds, rows_of_use
from ..stats._newton import minimize_convex

__all__ = ["ExpectedLoss"]


class ExpectedLoss:
    """Expected losses of answers, by the answers of all stages.

    Attributes
    ----------
    slopes : ndarray of shape (n_stages,)
    intercepts : ndarray of shape (n_stages, n_classes)
        The calibration of each stage that does not reject.
    weights : ndarray of shape (n_stages,)
        w of equation (2).

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace
    >>> from skcascade.tuning._expected_loss import ExpectedLoss
    >>> a, b, y = [0.8, 0.2], [0.2, 0.8], np.repeat([0, 1], 100)
    >>> half = [[a, a]] * 65 + [[a, b]] * 20 + [[b, a]] * 10 + [[b, b]] * 5
    >>> trace = Trace(np.r_[half, np.flip(half, axis=2)])
    >>> expected = ExpectedLoss.fit(trace, y, np.ones(200)).of(trace).objective_losses(y)
    >>> expected[[0, 65]].round(2)  # of answers that agree, and of answers that do not
    array([[0.07, 0.07],
           [0.33, 0.67]])
    """

    def __init__(self, slopes, intercepts, weights=None):
        self.slopes, self.intercepts, self.weights = slopes, intercepts, weights

    @classmethod
    def fit(cls, trace, y, weight):
        """Fit the calibration of every stage, then the weights of the stages.

        Parameters
        ----------
        trace : Trace
        y : ndarray of int, shape (n_samples,)
            True codes.
        weight : ndarray of shape (n_samples,)
            Not all zero; their scale does not matter.

        Returns
        -------
        expected : ExpectedLoss
        """
        rows = rows_of_use(weight)
        confidence, predicted = _answers(trace.rows(rows))
        y, weight = y[rows], weight[rows]
        lines = [
            fit_calibration(
                confidence[:, k], predicted[:, k], predicted[:, k] == y, weight, trace.n_classes
            )
            for k in range(predicted.shape[1])
        ]
        model = cls(*map(np.array, zip(*lines)))
        evidence = model._evidence(confidence, predicted)
        relative = weight / weight.mean()
        model.weights = _fit_weights(evidence, predicted, y, relative, trace.n_classes)
        return model

    def of(self, trace):
        """`trace` with expected losses."""
        return trace.with_expected(self.predict_proba(trace))

    def predict_proba(self, trace):
        """Probability that each class is the true one, of shape (n_samples, n_classes)."""
        confidence, predicted = _answers(trace)
        votes = self._evidence(confidence, predicted) * self.weights
        total, rows = np.zeros((len(votes), trace.n_classes)), np.arange(len(votes))
        for k in range(votes.shape[1]):
            total[rows, predicted[:, k]] += votes[:, k]
        return softmax(total, axis=1)

    def _evidence(self, confidence, predicted):
        """z of equation (1), of shape (n_samples, n_stages)."""
        intercept = self.intercepts[np.arange(predicted.shape[1]), predicted]
        n_others = max(self.intercepts.shape[1] - 1, 1)
        return self.slopes * log_odds(confidence) + intercept + np.log(n_others)


def _answers(trace):
    """Confidence and predicted class of every stage that does not reject."""
    answering = trace.proba[:, : trace.n_stages - trace.has_reject]
    return answering.max(axis=2), answering.argmax(axis=2)


def _fit_weights(z, predicted, y, weight, n_classes):
    """The weights of equation (2), by Newton's method: the likelihood is concave.

    At most K of the classes have votes, so that sums over classes are sums over stages: each
    class that is predicted counts once for every stage that predicts it, divided by their number.
    """
    same = (predicted[:, :, np.newaxis] == predicted[:, np.newaxis]).astype(float)  # (n, K, K)
    alike = same.sum(axis=2)
    n_others = np.maximum(n_classes - (1 / alike).sum(axis=1).round(), 0)[:, np.newaxis]
    correct = predicted == y[:, np.newaxis]
    usual = np.full(z.shape[1], 1 / z.shape[1])

    def votes(w):
        """For each stage the votes for its prediction (n, K), and the log of all votes (n, 1)."""
        score = np.einsum("njk,nk->nj", same, z * w)
        parts, times = np.c_[score, np.zeros(len(score))], np.c_[1 / alike, n_others]
        return score, logsumexp(parts, b=times, axis=1, keepdims=True)

    def loss(w):
        _, total = votes(w)
        fit = weight @ (total[:, 0] - (correct * z) @ w)
        return fit + (w - usual) @ (w - usual) / 2

    def derivatives(w):
        score, total = votes(w)
        p = np.exp(score - total)
        mean = z * p
        uphill = weight @ (z * (correct - p))
        bend = np.einsum("n,nj,nk,njk->jk", weight, z, mean, same, optimize=True)
        bend += np.eye(len(w)) - (weight[:, np.newaxis] * mean).T @ mean
        return w - usual - uphill, bend

    return minimize_convex(loss, derivatives, usual, 1e-9 * len(z))
