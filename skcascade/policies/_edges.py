"""Learned rules: where rows are routed, by the edge they came over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..evidence._walk import EXIT
from ._features import last_seen, show_only

__all__ = ["INPUT", "EdgeRule", "Edges", "fit_weighted", "nearest_stage", "score"]

#: Where the edge to the entry stage comes from.
INPUT = -1


class Edges(NamedTuple):
    """Route each row by the rule of the edge it came over.

    Attributes
    ----------
    rules : dict of int to EdgeRule
        The rule for rows that came from each earlier stage (-1: from the input).
    targets : list of int
        The later stages in use that rows can be sent to.
    features : callable
        `features(stage, proba)` gives what the rules read, of shape (n_rows, n_features).
    """

    rules: dict[int, EdgeRule]
    targets: list[int]
    features: Callable

    def route(self, stage: int, proba: NDArray[Any]) -> NDArray[np.intp]:
        """:data:`~skcascade.EXIT` or a later stage, for each row (n_rows,)."""
        to = np.full(len(proba), EXIT)
        source = last_seen(proba[:, :stage])
        for j in np.unique(source):
            rows = np.flatnonzero(source == j)
            rule = self.rules.get(int(j))
            if rule is not None:
                to[rows] = rule.decide(self.features(stage, show_only(proba[rows], rule.shown)))
        return nearest_stage(to, self.targets)


class EdgeRule(NamedTuple):
    """The decision about rows that came over one edge.

    Attributes
    ----------
    shown : tuple of int
        The stages whose answers the rule reads.
    actions : tuple of int
        :data:`~skcascade.EXIT` and later stages.
    models : tuple of list
        For each action but the last, weights and fitted classifiers: is the action better
        than the best of those after it?
    center, scale : ndarray of shape (n_features,)
        Mean and standard deviation of the features.
    """

    shown: tuple[int, ...]
    actions: tuple[int, ...]
    models: tuple[Any, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def decide(self, X):
        """The action (n_rows,) for features X (n_rows, n_features)."""
        X = (X - self.center) / self.scale
        to = np.full(len(X), self.actions[-1])
        for action, parts in zip(self.actions[-2::-1], self.models[::-1]):
            to[sum(share * score(model, X) for share, model in parts) >= 0] = action
        return to

    def blend(self, other, share):
        """A mean of this rule and `other`, of the same actions, with the weight `share` on it."""
        models = [
            [(w * (1 - share), m) for w, m in mine] + [(w * share, m) for w, m in theirs]
            for mine, theirs in zip(self.models, other.models)
        ]
        return self._replace(models=tuple(models))


def nearest_stage(to, targets):
    """Decisions `to` where only the stages `targets` can be reached: the next, or last."""
    if not len(targets):
        return np.full(len(to), EXIT)
    nearest = np.searchsorted(targets, to).clip(max=len(targets) - 1)
    return np.where(to == EXIT, EXIT, np.asarray(targets)[nearest])


def fit_weighted(estimator, X, label, weight):
    """A fitted clone of `estimator`; a constant where all labels are equal."""
    matters = weight > 0
    if label[matters].all() or not label[matters].any():
        return Always(bool(label[matters].all()))
    # Mean 1, so that a penalty has the same weight at every alpha.
    weight = weight[matters] / weight[matters].mean()
    return clone(estimator).fit(X[matters], label[matters].astype(int), sample_weight=weight)


def score(model, X):
    """Probability of label 1 less 1/2; just its sign for classifiers without probabilities."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)[:, 1] - 0.5
    return model.predict(X) - 0.5


class Always:
    """The classifier that predicts one constant label."""

    def __init__(self, label):
        self.label = label

    def predict(self, X):
        """The label, (n_rows,)."""
        return np.full(len(X), int(self.label))
