"""The score of recorded answers: one minus the mean loss, or that of a scikit-learn scorer."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring

from ._reject import add_reject_label, decode_labels

__all__ = ["MeanLoss", "RecordedAnswers", "ScorerMetric", "bootstrap_interval"]


class RecordedAnswers(ClassifierMixin, BaseEstimator):
    """A classifier whose samples are their own label probabilities, for scorers.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,) or (n_classes + 1,)
        Labels of the columns, and that of samples whose probabilities are all 0, if there are any.
    n_classes : int
    """

    def __init__(self, labels, n_classes):
        self.labels = labels
        self.n_classes = n_classes

    def fit(self, X, y=None):
        """Nothing to fit."""
        return self

    @property
    def classes_(self):
        """Labels of the columns."""
        return self.labels[: self.n_classes]

    def predict_proba(self, X):
        """The samples themselves."""
        return X

    def predict(self, X):
        """Most likely label of each sample."""
        return decode_labels(X, self.labels)

    def __sklearn_is_fitted__(self):
        return True


class MeanLoss:
    """One minus the mean loss."""

    def __init__(self, losses, weight, name="accuracy"):
        self.losses, self.weight, self.name = losses, weight, name

    def value(self, exits):
        return float(1 - np.average(self.losses[np.arange(len(exits)), exits], weights=self.weight))

    def draws(self, exits, costs, n, rng):
        """Value and mean cost of `n` resamples of the rows."""
        losses = self.losses[np.arange(len(exits)), exits]
        # Equal rows are interchangeable: drawing how many of each is the same, and faster.
        cells, counts = _distinct(losses, costs, self.weight)
        losses, costs, weight = (values[cells] for values in (losses, costs, self.weight))
        for _ in range(n):
            drawn = weight * rng.multinomial(counts.sum(), counts / counts.sum())
            yield 1 - drawn @ losses / drawn.sum(), drawn @ costs / drawn.sum()


def _distinct(*columns):
    """The first row of each kind of equal rows, and their number."""
    kind = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        _, code = np.unique(column, return_inverse=True)
        _, kind = np.unique(kind * (code.max() + 1) + code, return_inverse=True)
    _, first, counts = np.unique(kind, return_index=True, return_counts=True)
    return first, counts


class ScorerMetric:
    """The score of a scikit-learn scorer on the recorded answers."""

    def __init__(self, scoring, trace, y, weight, labels=None):
        classes = np.arange(trace.n_classes) if trace.classes is None else trace.classes
        if labels is None:
            labels = add_reject_label(classes) if trace.has_reject else classes
        self.answers = RecordedAnswers(labels, trace.n_classes)
        self.scorer = check_scoring(self.answers, scoring=scoring)
        self.trace, self.y, self.weight = trace, classes[y], weight
        self.equal = np.ptp(weight) == 0
        self.name = scoring if isinstance(scoring, str) else "score"

    def value(self, exits, rows=slice(None)):
        proba = self.trace.proba[np.arange(len(exits)), exits][rows]
        weighted = {} if self.equal else {"sample_weight": self.weight[rows]}
        return float(self.scorer(self.answers, proba, self.y[rows], **weighted))

    def draws(self, exits, costs, n, rng):
        """Value and mean cost of `n` resamples of the rows."""
        for _ in range(n):
            rows = rng.randint(len(exits), size=len(exits))
            yield self.value(exits, rows), np.average(costs[rows], weights=self.weight[rows])


def bootstrap_interval(metric, exits, costs, n, level, rng):
    """Ends of the bootstrap intervals of value and mean cost, of shape (2, 2)."""
    drawn = list(metric.draws(exits, costs, n, rng))
    return np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0).T
