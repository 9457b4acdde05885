"""A policy fitted on recorded outputs, and the checks of costs and weights."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ..costs import BaseCostModel, FixedCost
from ..costs._default import check_cost
from ..evidence._row_costs import with_costs
from ..evidence._trace import Trace
from ..policies import BaseExitPolicy
from ..utils._kinds import as_array, check_kind
from ..utils._sklearn import _check_sample_weight
from ._groups import Groups
from ._operating_point import OperatingPoint
from ._tuning import Tuning

__all__ = ["add_free_stage", "check_weight", "fit_policy", "resolve_costs"]


def fit_policy(
    policy: Any,
    trace: Trace,
    y: ArrayLike,
    *,
    cost: Any = None,
    alpha: float | None = None,
    max_accuracy_drop: float | None = None,
    max_cost: float | None = None,
    confidence_level: float | None = None,
    groups: ArrayLike | None = None,
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
    cost : BaseCostModel or array-like of shape (n_stages,) or (n_samples, n_stages), default=None
        A fitted cost model, the cost of each stage, or what each stage cost on each sample.
        None: the costs of the rows that the trace has. Relative costs of rows are shares of the
        mean cost of the last stage.
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
        holds for one call, not for the best of several. Where rows have costs, the mean cost
        is bounded as a share of the true mean cost of the last stage, for costs clipped at the
        largest seen while tuning.
    groups : array-like of shape (n_samples,), default=None
        Labels of groups. The bound is then certified in every group: the drop of a group is
        measured against the stage that is best for that group. Needs `confidence_level`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights. Not with `confidence_level`.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds of the cross-fitted curve.

    Returns
    -------
    policy : BaseExitPolicy
        Fitted clone. Its `tradeoff_` is the :class:`TradeoffCurve` the choice was made
        from, `tradeoff_index_` the point of it that was chosen, and `certified_` says
        whether the bound was certified (False without `confidence_level`).

    Raises
    ------
    TypeError
        If `policy` is no exit policy, or `trace` no trace.
    ValueError
        If several operating points are given, one is out of range or cannot be reached,
        or `y`, `cost`, `groups` or `sample_weight` do not fit the trace.

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
    array([0.78,  inf])
    >>> np.bincount(walk(trace, policy).exit)
    array([ 780, 1220])
    """
    check_kind("policy", policy, BaseExitPolicy, "an exit policy such as ConfidenceThreshold()")
    check_kind("trace", trace, Trace, "a Trace, such as Trace(proba)")
    target = OperatingPoint.check(
        alpha, max_accuracy_drop, max_cost, confidence_level, tunable=policy.tunable
    )
    policy.check_params(trace.n_stages)
    codes = trace.codes(y)
    weight = check_weight(sample_weight, codes, confidence_level)
    split = Groups.check("groups", groups, trace.n_samples, confidence_level)
    trace, model = resolve_costs(cost, trace, weight)
    tuning = Tuning(clone(policy), trace, codes, model, weight, random_state, split)
    fitted, search, index = tuning.fit(target, confidence_level)
    fitted.tradeoff_, fitted.tradeoff_index_ = search.curve, index
    return fitted


def resolve_costs(cost, trace, weight=None):
    """The trace with costs of its rows, if they have any, and a fitted cost model of its stages.

    Parameters
    ----------
    cost : BaseCostModel, array-like, dict or None
        As :func:`fit_policy` takes it.
    trace : Trace
    weight : ndarray of shape (n_samples,), default=None
        For the mean costs, which the cost model holds where rows have costs.

    Returns
    -------
    trace : Trace
    cost : BaseCostModel

    Raises
    ------
    ValueError
        If there are no costs, or they do not fit the trace.
    """
    n_costs = trace.n_stages - trace.has_reject
    if cost is not None and trace.cost is not None:
        raise ValueError(
            "`cost` was given although the trace has costs of its rows. Drop `cost`, or build the"
            " trace without costs."
        )
    if _is_per_row(cost, trace.n_samples, n_costs):
        trace, cost = with_costs(trace, cost), None
    if cost is None:
        if trace.cost is None:
            raise ValueError(
                "`cost` is needed with a trace: the cost of each stage, such as [1.0, 20.0], a"
                " fitted cost model, or costs of the rows, as Trace(..., cost=...)."
            )
        cost = FixedCost(np.average(trace.cost[:, :n_costs], axis=0, weights=weight))
    return trace, _fitted(check_cost(cost), trace, n_costs)


def _is_per_row(cost, n_samples, n_costs):
    """Whether `cost` has a row for each sample; ValueError where that cannot be told."""
    if cost is None or isinstance(cost, BaseCostModel | Mapping | str):
        return False
    shape = as_array("cost", cost).shape
    if shape == (n_costs, n_costs) == (n_samples, n_costs) and n_costs > 1:
        raise ValueError(
            f"`cost` of shape {shape} may hold a row for each sample or for each stage. Give costs"
            " of rows as Trace(..., cost=...), and costs of edges as a FixedCost."
        )
    return len(shape) == 2 and shape != (n_costs, n_costs)


def _fitted(cost, trace, n_costs):
    """A fitted cost model of all stages of `trace`; ValueError if it does not fit."""
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
