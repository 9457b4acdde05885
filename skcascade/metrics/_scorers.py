"""Scorers that account for the cost of a cascade.

Answers and costs come from one walk of the scored samples. With `memory` set on the cascade, all
its stages are recorded on these samples, once for all operating points, and the walk is replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import check_scoring, get_scorer

from ..cascade._cascade import CascadeClassifier
from ..evidence._scoring import RecordedAnswers
from ..evidence._walk import walk
from ..members._adapters import unwrap_frozen
from ..utils._kinds import as_array, check_kind
from ..utils._sklearn import _check_sample_weight
from ._checks import check_number

__all__ = ["accuracy_cost_scorer", "make_cost_scorer", "relative_cost_scorer", "tradeoff_scorer"]


def tradeoff_scorer(
    estimator: Any, X: Any, y: ArrayLike, sample_weight: Any = None
) -> dict[str, float]:
    """Accuracy and mean relative cost, for `scoring` of searches with several metrics.

    Both are greater for better cascades, so the cost is negative: "neg_relative_cost".

    Parameters
    ----------
    estimator : CascadeClassifier, or Pipeline or search that ends in one
        Fitted.
    X : samples
    y : array-like of shape (n_samples,)
        True labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.

    Returns
    -------
    scores : dict
        "accuracy" and "neg_relative_cost", floats.

    Raises
    ------
    ValueError
        If `estimator` neither is nor ends in a cascade.

    See Also
    --------
    cheapest_within, best_within : Rules for `refit` of a search.
    accuracy_cost_scorer : For searches that take a single metric.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import make_cascade
    >>> from skcascade.metrics import tradeoff_scorer
    >>> X, y = load_digits(return_X_y=True)
    >>> linear = LogisticRegression(C=0.01, solver="newton-cholesky")
    >>> cascade = make_cascade(linear, KNeighborsClassifier(3), cv=5, random_state=0)
    >>> scores = tradeoff_scorer(cascade.fit(X[:1200], y[:1200]), X[1200:], y[1200:])
    >>> {name: round(score, 2) for name, score in scores.items()}
    {'accuracy': 0.94, 'neg_relative_cost': -0.06}
    """
    walked = _Walked.through(estimator, X)
    sample_weight = _checked_weight(sample_weight, walked.cost)
    return {
        "accuracy": walked.score(get_scorer("accuracy"), y, sample_weight),
        "neg_relative_cost": -float(np.average(walked.relative_cost, weights=sample_weight)),
    }


def relative_cost_scorer(estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
    """Mean relative cost, negative so that greater is better.

    Parameters
    ----------
    estimator : CascadeClassifier, or Pipeline or search that ends in one
        Fitted.
    X : samples
    y : array-like of shape (n_samples,), default=None
        Not used.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.

    Returns
    -------
    score : float

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcascade import make_cascade
    >>> from skcascade.metrics import relative_cost_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> members = GaussianNB(), LogisticRegression(max_iter=1000)
    >>> cascade = make_cascade(*members, cost=[1, 10], max_cost=0.1, random_state=0).fit(X, y)
    >>> round(relative_cost_scorer(cascade, X), 2)
    -0.1
    """
    return make_cost_scorer()(estimator, X, y, sample_weight)


def accuracy_cost_scorer(alpha: float) -> Callable[..., float]:
    """Scorer of the trade-off: accuracy - `alpha` * mean relative cost.

    Parameters
    ----------
    alpha : float
        Cost weight, 0 or more: the accuracy that one full run of the last stage is worth. It
        is the same for all candidates, even if their own `alpha` is searched.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y, sample_weight=None)` gives a float.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcascade import make_cascade
    >>> from skcascade.metrics import accuracy_cost_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> members = GaussianNB(), LogisticRegression(max_iter=1000)
    >>> cascade = make_cascade(*members, cost=[1, 10], max_cost=0.1, random_state=0).fit(X, y)
    >>> round(cascade.score(X, y), 2)
    0.96
    >>> round(accuracy_cost_scorer(0.5)(cascade, X, y), 2)
    0.91
    """
    return make_cost_scorer("accuracy", alpha=alpha)


def make_cost_scorer(
    scoring: str | Callable[..., Any] | None = None,
    *,
    alpha: float = 1.0,
    statistic: Callable[..., Any] = np.average,
    relative: bool = True,
) -> Callable[..., float]:
    """Scorer: the score of another scorer, minus `alpha` times the cost.

    Parameters
    ----------
    scoring : str or callable, default=None
        A scikit-learn scorer, such as "f1_macro" or "neg_log_loss". It is given the answers
        of the walk instead of a model and its samples. None: no score, so that the result is
        the negative cost alone.
    alpha : float, default=1.0
        Cost weight in units of the score, 0 or more. 0: the score alone.
    statistic : callable, default=numpy.average
        Reduces the costs (n_samples,) to one number, for instance
        ``functools.partial(numpy.quantile, q=0.95)``. It is called with `weights` if there
        are sample weights.
    relative : bool, default=True
        Cost as a share of running the last stage alone. False: in the unit of the cost model.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y, sample_weight=None)` gives a float.

    Raises
    ------
    ValueError
        If a parameter cannot be used.

    Examples
    --------
    >>> from functools import partial
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcascade import make_cascade
    >>> from skcascade.metrics import make_cost_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> members = GaussianNB(), LogisticRegression(max_iter=1000)
    >>> cascade = make_cascade(*members, cost=[1, 10], alpha=0.05, random_state=0).fit(X, y)
    >>> for scoring in ("balanced_accuracy", "neg_log_loss", None):
    ...     print(round(make_cost_scorer(scoring, alpha=0.1)(cascade, X, y), 3))
    0.95
    -0.12
    -0.01
    >>> make_cost_scorer(statistic=partial(np.quantile, q=0.95), relative=False)(cascade, X)
    -1.0
    """
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise ValueError(
            f"`scoring` must be one scikit-learn scorer, its name, or None, got {scoring!r}."
            " For several scores, give the search a dict with a `make_cost_scorer` for each."
        )
    scorer: Any = None if scoring is None else check_scoring(scoring=scoring)
    if not callable(statistic):
        raise ValueError(
            "`statistic` must be a function of the costs, such as numpy.average, got"
            f" {statistic!r}."
        )
    check_kind("relative", relative, bool | np.bool_, "True or False")
    return _CostScorer(scorer, check_number("alpha", alpha), statistic, bool(relative))


class _Walked(NamedTuple):
    """The answers of one walk, a model that predicts them, and the costs (n_samples,)."""

    answers: RecordedAnswers
    proba: NDArray[np.float32]
    cost: NDArray[np.float64]
    relative_cost: NDArray[np.float64]

    @classmethod
    def through(cls, estimator, X):
        """One walk of the samples `X` through the cascade that `estimator` ends in."""
        cascade, X = _at_the_cascade(estimator, X)
        proba, cost = _walk(cascade, X)
        answers = RecordedAnswers(cascade.labels_, len(cascade.classes_))
        return cls(answers, proba, cost, cascade.cost_.relative(cost))

    def score(self, scorer, y, sample_weight):
        """The score of the answers by a scikit-learn scorer."""
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(self.answers, self.proba, y, **weighted))


def _checked_weight(sample_weight, cost):
    """Weights (n_samples,) that can be averaged with, or None."""
    if sample_weight is None:
        return None
    given = as_array("sample_weight", sample_weight)
    given = given if given.ndim else np.full(len(cost), given)
    weight = _check_sample_weight(given, cost, dtype=float)
    if not weight.sum() > 0:
        raise ValueError("`sample_weight` must not add up to 0 or less.")
    return weight


def _at_the_cascade(estimator, X):
    """The cascade that `estimator` ends in, and `X` as it gets there."""
    estimator = unwrap_frozen(estimator)
    if hasattr(estimator, "steps"):
        *before, (_, last) = estimator.steps
        for _, step in before:
            if hasattr(step, "transform"):  # else it passes samples through
                X = step.transform(X)
        return _at_the_cascade(last, X)
    if hasattr(estimator, "best_estimator_"):
        return _at_the_cascade(estimator.best_estimator_, X)
    if not isinstance(estimator, CascadeClassifier):
        raise ValueError(
            f"Only a cascade has a cost, got {type(estimator).__name__}. Score a CascadeClassifier,"
            " a Pipeline whose last step is one, or a fitted search with `refit` over either."
        )
    return estimator, X


def _walk(cascade, X):
    """Probabilities and cost of each sample: live, or replayed if the cascade caches answers."""
    if cascade.memory is None or cascade.stages_.key is None:
        route = cascade.walk(X)
        return route.proba, route.cost
    route = walk(cascade.record(X), cascade.policy_, batch_size=cascade.batch_size)
    return route.proba, cascade.cost_.path_cost(route.visited)


@dataclass(frozen=True)
class _CostScorer:
    """`scorer` minus `alpha` times the cost."""

    scorer: Callable | None
    alpha: float
    statistic: Callable
    relative: bool

    def __call__(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The score on samples `X` and their labels."""
        walked = _Walked.through(estimator, X)
        sample_weight = _checked_weight(sample_weight, walked.cost)
        cost = walked.relative_cost if self.relative else walked.cost
        score = 0.0 if self.scorer is None else walked.score(self.scorer, y, sample_weight)
        return score - self.alpha * self._summary(cost, sample_weight)

    def _summary(self, cost, weight):
        if weight is None:
            return float(self.statistic(cost))
        try:
            return float(self.statistic(cost, weights=weight))
        except TypeError as error:
            raise ValueError(
                "`sample_weight` needs a `statistic` that takes `weights`, as numpy.average does;"
                f" {self.statistic!r} does not."
            ) from error
