"""Refit rules, which choose the candidate of a search over the trade-off to deploy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._checks import check_number

__all__ = ["best_within", "cheapest_within"]

#: Scores this close are equal: sums of the same numbers in another order.
ROUNDING = 1e-12


def cheapest_within(
    tol: float, *, score: str = "accuracy", cost: str = "neg_relative_cost"
) -> Callable[[Mapping[str, Any]], int]:
    """Refit rule: the cheapest candidate whose mean score is within `tol` of the best.

    Of equally cheap ones the rule takes the best. It ignores candidates that failed.

    Parameters
    ----------
    tol : float
        Largest acceptable loss of the best mean score, in its units, 0 or more.
    score, cost : str, default="accuracy" and "neg_relative_cost"
        Names of the metrics in `scoring`. Both are scores: costs are negative.

    Returns
    -------
    rule : callable
        For `refit`: `rule(cv_results_)` gives the index of the candidate.

    Raises
    ------
    ValueError
        If `tol` is negative; when called, if `cv_results_` lacks the metrics, all
        candidates failed, or costs are positive.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV, StratifiedKFold
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import make_cascade
    >>> from skcascade.metrics import cheapest_within, tradeoff_scorer
    >>> X, y = load_digits(return_X_y=True)
    >>> linear = LogisticRegression(C=0.01, solver="newton-cholesky")
    >>> cascade = make_cascade(linear, KNeighborsClassifier(3), random_state=0)
    >>> search = GridSearchCV(
    ...     cascade,
    ...     {"alpha": [0.01, 0.03, 0.3]},
    ...     scoring=tradeoff_scorer,
    ...     refit=cheapest_within(0.01),
    ...     cv=StratifiedKFold(3, shuffle=True, random_state=0),
    ... ).fit(X, y)
    >>> search.cv_results_["mean_test_accuracy"].round(3)
    array([0.985, 0.98 , 0.977])
    >>> search.cv_results_["mean_test_neg_relative_cost"].round(2)
    array([-0.23, -0.09, -0.04])
    >>> search.best_params_
    {'alpha': 0.3}
    """
    return _CheapestWithin(score, cost, check_number("tol", tol))


def best_within(
    max_cost: float, *, score: str = "accuracy", cost: str = "neg_relative_cost"
) -> Callable[[Mapping[str, Any]], int]:
    """Refit rule: the best mean score among candidates whose mean cost is at most `max_cost`.

    Of equally good ones the rule takes the cheapest. It ignores candidates that failed.

    Parameters
    ----------
    max_cost : float
        Largest acceptable mean cost, in the unit of the metric; with :func:`tradeoff_scorer`,
        a share of running the last stage alone.
    score, cost : str, default="accuracy" and "neg_relative_cost"
        Names of the metrics in `scoring`. Both are scores: costs are negative.

    Returns
    -------
    rule : callable
        For `refit`: `rule(cv_results_)` gives the index of the candidate.

    Raises
    ------
    ValueError
        If `max_cost` is negative; when called, if no candidate is cheap enough,
        `cv_results_` lacks the metrics, all candidates failed, or costs are positive.

    Examples
    --------
    >>> from skcascade.metrics import best_within
    >>> cv_results = {
    ...     "params": [{"alpha": 0.01}, {"alpha": 0.1}, {"alpha": 0.5}],
    ...     "mean_test_accuracy": [0.98, 0.97, 0.9],
    ...     "mean_test_neg_relative_cost": [-0.5, -0.2, -0.1],
    ... }
    >>> best_within(0.3)(cv_results)
    1
    """
    return _BestWithin(score, cost, check_number("max_cost", max_cost))


@dataclass(frozen=True)
class _Rule:
    """Chooses by the mean of a score and the mean of a cost."""

    score: str
    cost: str

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Index of the candidate."""
        if not hasattr(cv_results, "keys") or "params" not in cv_results:
            raise TypeError(
                f"`cv_results` must be the `cv_results_` of a search, got {cv_results!r:.80}."
            )
        score = self._column(cv_results, self.score)
        cost = -self._column(cv_results, self.cost)
        rows = np.flatnonzero(np.isfinite(score) & np.isfinite(cost))
        if not rows.size:
            raise ValueError("Every candidate failed: all mean scores are NaN. See the warnings.")
        if (cost[rows] < 0).any():
            raise ValueError(
                f"`cost`={self.cost!r} names positive numbers. Rules read costs as scores, where"
                " greater is better: give them negative, as `relative_cost_scorer` does."
            )
        params = [cv_results["params"][row] for row in rows]
        return int(rows[self._choose(score[rows], cost[rows], params)])

    def _choose(self, score, cost, params) -> int:
        """Index among candidates that did not fail."""
        raise NotImplementedError

    def _column(self, cv_results, name) -> NDArray[np.float64]:
        if f"mean_test_{name}" in cv_results:
            return np.asarray(cv_results[f"mean_test_{name}"], dtype=float)
        keys = map(str, cv_results)
        found = [key.removeprefix("mean_test_") for key in keys if "mean_test_" in key]
        raise ValueError(
            f"The search has no metric {name!r}, only {found}. Search with"
            " scoring=tradeoff_scorer, or with a dict of scorers under the names that the rule"
            f" reads: `score`={self.score!r} and `cost`={self.cost!r}."
        )


@dataclass(frozen=True)
class _CheapestWithin(_Rule):
    tol: float

    def _choose(self, score, cost, params):
        good = np.flatnonzero(score >= score.max() - self.tol - ROUNDING)
        return good[np.lexsort((-score[good], cost[good]))[0]]


@dataclass(frozen=True)
class _BestWithin(_Rule):
    max_cost: float

    def _choose(self, score, cost, params):
        cheap = np.flatnonzero(cost <= self.max_cost + ROUNDING)
        if not cheap.size:
            i = cost.argmin()
            raise ValueError(
                f"No candidate has a mean cost of at most `max_cost`={self.max_cost:g}. The"
                f" cheapest, {params[i]}, costs {cost[i]:.3g}: raise `max_cost`, or search cheaper"
                " ones."
            )
        return cheap[np.lexsort((cost[cheap], -score[cheap]))[0]]
