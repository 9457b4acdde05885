"""A policy fitted on recorded outputs, and the checks of costs and weights."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ..costs._default import check_cost
from ..evidence._trace import Trace
from ..policies import BaseExitPolicy
from ..utils._kinds import as_array, check_kind
from ..utils._sklearn import _check_sample_weight
from ._operating_point import OperatingPoint
from ._tuning import Tuning

__all__ = ["add_free_stage", "check_weight", "fit_policy", "fitted_cost"]


def fit_policy(
    policy: Any,
    trace: Trace,
    y: ArrayLike,
    *,
    cost: Any,
    alpha: float | None = None,
    max_accuracy_drop: float | None = None,
    max_cost: float | None = None,
    confidence_level: float | None = None,
    sample_weight: ArrayLike | None = None,
    random_state: Any = None,
) -> Any:
    """Fit a policy on recorded outputs, at an operating point.

    :class:`CascadeClassifier` tunes its policy with this very function. Above 20,000
    rows the search runs on a stratified part of them, and the choice is fitted again
    on all.

    Parameters
    ----------
    policy : BaseExitPolicy
        Not changed; a fitted clone is returned.
    trace : Trace
        Answers of every stage on samples that no member was fitted on.
    y : array-like of shape (n_samples,)
        Their labels: codes, unless the trace names its classes.
    cost : BaseCostModel or array-like of shape (n_stages,)
        A fitted cost model, or the cost of each stage.
    alpha : float, default=None
        Cost weight: the cost of one full run of the last stage, in units of accuracy.
    max_accuracy_drop : float, default=None
        Largest acceptable drop below the reference stage, the most accurate stage alone, in the
        score that `trace.metric` names. 0 if no operating point is given.
    max_cost : float, default=None
        Largest acceptable mean cost, as a share of running the last stage alone.
    confidence_level : float, default=None
        Certify the bound: with at least this probability over the draw of the trace, the
        true drop (or mean cost) is not above it. Part of the rows is kept for the test. It
        holds for one call, not for the best of several.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights. Not with `confidence_level`.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds of the cross-fitted curve.

    Returns
    -------
    policy : BaseExitPolicy
        Fitted clone. Its `tradeoff_` is the :class:`TradeoffCurve` the choice was made
        from, and `tradeoff_index_` the point of it that was chosen.

    Raises
    ------
    TypeError
        If `policy` is no exit policy, or `trace` no trace.
    ValueError
        If several operating points are given, one is out of range or cannot be reached,
        or `y`, `cost` or `sample_weight` do not fit the trace.

    Warns
    -----
    CascadeWarning
        If nothing can be certified; with a number of rows that would likely be enough.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace, fit_policy, walk
    >>> from skcascade.policies import ConfidenceThreshold
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=2000)
    >>> skill = rng.uniform(0.5, 1, size=(2000, 2)) ** [1.0, 0.3]
    >>> right = rng.uniform(size=(2000, 2)) < skill
    >>> pred = np.where(right, y[:, None], 1 - y[:, None])
    >>> trace = Trace.from_top1(pred, skill, n_classes=2)
    >>> policy = fit_policy(
    ...     ConfidenceThreshold(), trace, y, cost=[1, 10], max_accuracy_drop=0.01, random_state=0
    ... )
    >>> policy.thresholds_.round(2)
    array([0.81,  inf])
    >>> np.bincount(walk(trace, policy).exit)
    array([ 664, 1336])
    """
    check_kind("policy", policy, BaseExitPolicy, "an exit policy such as ConfidenceThreshold()")
    check_kind("trace", trace, Trace, "a Trace, such as Trace(proba)")
    target = OperatingPoint.check(
        alpha, max_accuracy_drop, max_cost, confidence_level, tunable=policy.tunable
    )
    policy.check_params(trace.n_stages)
    codes = trace.codes(y)
    weight = check_weight(sample_weight, codes, confidence_level)
    tuning = Tuning(clone(policy), trace, codes, fitted_cost(cost, trace), weight, random_state)
    fitted, search, index = tuning.fit(target, confidence_level)
    fitted.tradeoff_, fitted.tradeoff_index_ = search.curve, index
    return fitted


def fitted_cost(cost, trace):
    """A fitted cost model of the stages of `trace`, from a model or a list; ValueError if none."""
    cost, n_costs = check_cost(cost), trace.n_stages - trace.has_reject
    if not hasattr(cost, "edge_costs_"):
        cost = clone(cost).fit(trace.select_stages(slice(n_costs)))
    if len(cost.edge_costs_) != n_costs:
        raise ValueError(
            f"`cost` was fitted on {len(cost.edge_costs_)} stages, the trace has {n_costs}."
        )
    return add_free_stage(cost) if trace.has_reject else cost


def add_free_stage(cost):
    """A copy of a fitted cost model with one more stage, which costs nothing."""
    n = len(cost.edge_costs_)
    edges = np.full((n + 1, n + 1), np.nan)
    edges[:n, :n] = cost.edge_costs_
    edges[:, n] = 0.0
    same = copy(cost)
    same.edge_costs_ = edges
    return same


def check_weight(sample_weight, y, confidence_level=None):
    """Weights of the rows of `y`, or None; ValueError if they cannot be used."""
    if sample_weight is None:
        return None
    if confidence_level is not None:
        raise ValueError(
            "`confidence_level` certifies the mean over equal rows: it cannot be combined"
            " with `sample_weight`. Drop one of them."
        )
    if as_array("sample_weight", sample_weight).ndim == 0:  # scikit-learn checks its type alone
        sample_weight = np.full(len(y), sample_weight)
    weight = _check_sample_weight(sample_weight, y, dtype=float, ensure_non_negative=True)
    if len(np.unique(y[weight > 0])) < min(2, len(np.unique(y))):
        raise ValueError(
            "`sample_weight` is zero on all rows, or on all but those of one class. Give weight"
            " to rows of at least two classes."
        )
    return weight
