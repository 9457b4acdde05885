"""The exit "no answer": a last stage that costs nothing and says nothing.

Its answer is a row of zeros: no class has any probability. What that loses is given, as a share
of an error (Chow, On optimum recognition error and reject tradeoff, IEEE Transactions on
Information Theory 1970), and all the rest follows: it is one more stage, which policies, curves
and operating points take like any other.
"""

from copy import copy

import numpy as np

from ._stages import num_rows

__all__ = [
    "NO_ANSWER",
    "NoAnswer",
    "NoAnswerLoss",
    "labels_of",
    "reject_label_of",
    "with_free_stage",
]

#: Name of the stage.
NO_ANSWER = "no answer"


class NoAnswer:
    """The member behind it.

    Parameters
    ----------
    n_classes : int
    """

    n_exits = 1
    labels = None
    silent = True

    def __init__(self, n_classes):
        self.n_classes = n_classes

    def step(self, exit, X, held):
        """Zeros (n_rows, n_classes), and nothing to go on from."""
        return np.zeros((num_rows(X), self.n_classes), dtype=np.float32), None


class NoAnswerLoss:
    """`loss` of an answer, `reject_cost` where there is none.

    Parameters
    ----------
    loss : callable
        `loss(y, proba)`.
    reject_cost : float
    """

    def __init__(self, loss, reject_cost):
        self.of_answers, self.reject_cost = loss, reject_cost

    def __call__(self, y, proba):
        """Loss of each sample (n_samples,)."""
        answered = proba.any(axis=1)
        if answered.all():
            return self.of_answers(y, proba)
        lost = np.full(len(y), float(self.reject_cost))
        if answered.any():
            lost[answered] = self.of_answers(y[answered], proba[answered])
        return lost


def reject_label_of(classes, reject_label=None):
    """What is said where there is no answer: `reject_label`, if there is one."""
    if reject_label is not None:
        return reject_label
    return NO_ANSWER if classes.dtype.kind in "USOT" else -1


def labels_of(proba, classes, reject_label=None):
    """Most likely label of each sample (n_samples,); the reject label where there is no answer."""
    labels, answered = classes[proba.argmax(axis=1)], proba.any(axis=1)
    if answered.all():
        return labels
    return np.where(answered, labels, np.asarray(reject_label_of(classes, reject_label)))


def with_free_stage(cost):
    """A copy of a fitted cost model with one more stage, which costs nothing."""
    n = len(cost.edge_costs_)
    edges = np.full((n + 1, n + 1), np.nan)
    edges[:n, :n] = cost.edge_costs_
    edges[:, n] = 0.0
    same = copy(cost)
    same.edge_costs_ = edges
    return same
