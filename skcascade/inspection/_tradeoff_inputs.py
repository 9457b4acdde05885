"""The inputs of a trade-off curve: answers, labels, and policies for each target."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..cascade._splits import split_rows
from ..costs import BaseCostModel
from ..evidence._row_costs import incurred, stage_costs
from ..evidence._scoring import MeanLoss, ScorerMetric
from ..evidence._trace import Trace
from ..evidence._walk import walk
from ..policies import BaseExitPolicy, ConfidenceThreshold
from ..tuning._build_curve import oracle_exits, reference_stage
from ..tuning._fit_policy import check_weight, resolve_costs
from ..tuning._operating_point import OperatingPoint
from ..tuning._tuning import Tuning, get_tuning
from ..utils._kinds import as_floats, check_fitted_cascade, check_kind

__all__ = ["Inputs", "ScoredRows", "inputs_from_cascade", "inputs_from_trace"]

#: Range of alpha that a number of points is spread over.
ALPHA_RANGE = 1e-3, 1.0


class Inputs(NamedTuple):
    """The answers and labels to score, and how a policy is tuned.

    Attributes
    ----------
    trace : Trace
        With classes.
    y : ndarray of int, shape (n_samples,)
        Codes.
    policy, cost : BaseExitPolicy, BaseCostModel
        To be tuned on folds, and fitted.
    names : list of str
    confidence_level : float or None
    tuning : Tuning or None
        Tunes the policy without these rows.
    deployed : BaseExitPolicy or None
        The policy in use.
    labels : ndarray or None
        Labels of the classes and of rejected samples; None: those of the trace.
    """

    trace: Trace
    y: np.ndarray
    policy: BaseExitPolicy
    cost: BaseCostModel
    names: list[str]
    confidence_level: float | None = None
    tuning: Tuning | None = None
    deployed: BaseExitPolicy | None = None
    labels: Any = None

    def stage_cost(self, rows=slice(None)):
        """Relative cost of each stage alone (n_stages,), or for each row (n_rows, n_stages)."""
        return self.cost.relative(stage_costs(self.trace.rows(rows), self.cost))

    def targets(self, by, points):
        """The operating points, checked."""
        if isinstance(points, Integral):
            if points < 1:
                raise ValueError(f"`points` must be 1 or more, got {points}.")
            points = self._spread(by, points)
        points = as_floats("points", points)
        if points.ndim != 1 or not points.size:
            raise ValueError(
                "`points` must be a number of points or a sequence of operating points, got an"
                f" array of shape {points.shape}."
            )
        checks = {"confidence_level": self.confidence_level, "tunable": self.policy.tunable}
        return [OperatingPoint.check(**{by: float(point)}, **checks) for point in points]

    def _spread(self, by, n):
        """`n` operating points over the whole range."""
        accuracy = 1 - self.trace.losses(self.y).mean(axis=0)
        cost = np.atleast_2d(self.stage_cost()).mean(axis=0)
        reference = reference_stage(accuracy, cost, self.trace.has_reject)
        ends = {
            "max_accuracy_drop": (0, min(accuracy.max() - accuracy.min(), 0.999)),
            "max_cost": (max(cost.min(), 1e-9), cost[reference]),
        }
        return np.linspace(*ends[by], n) if by in ends else np.geomspace(*ALPHA_RANGE, n)

    def parts(self, targets, weight, cv, rng):
        """The rows that are scored, and parts of them with a policy for each target."""
        if cv is None:
            policies, *_ = self.tuning.fit_all(targets, self.confidence_level)
            return slice(None), [(slice(None), policies)]
        if isinstance(cv, str):
            raise ValueError(f"`cv` must be folds of the rows, or None, got {cv!r}.")
        splits = split_rows(cv, self.y, self.y, rng)
        parts, start = [], 0
        for fit, test in splits:
            tuning = Tuning(
                self.policy, self.trace.rows(fit), self.y[fit], self.cost, weight[fit], rng
            )
            policies, *_ = tuning.fit_all(targets, self.confidence_level)
            parts.append((slice(start, start + len(test)), policies))
            start += len(test)
        return np.concatenate([test for _, test in splits]), parts


def inputs_from_trace(trace, X, y, policy, cost, sample_weight=None):
    """The inputs for recorded answers."""
    if X is not None:
        raise ValueError("`X` must be None for a trace, which holds the answers already.")
    policy = ConfidenceThreshold() if policy is None else policy
    check_kind("policy", policy, BaseExitPolicy, "an exit policy")
    policy.check_params()
    codes = trace.codes(y)
    trace, model = resolve_costs(cost, trace, check_weight(sample_weight, codes))
    return Inputs(trace, codes, policy, model, list(map(str, range(trace.n_stages))))


def inputs_from_cascade(cascade, X, y, policy, cost):
    """The inputs for a fitted cascade and other rows."""
    check_fitted_cascade("cascade_or_trace", cascade)
    check_is_fitted(cascade)
    if policy is not None or cost is not None:
        raise ValueError("`policy` and `cost` are for a trace; a cascade has its own.")
    trace, tuning = cascade.record(X), get_tuning(cascade)
    return Inputs(
        trace,
        trace.codes(y),
        tuning.policy,
        cascade.cost_,
        cascade.stage_names_,
        cascade.confidence_level,
        tuning,
        cascade.policy_,
        cascade.labels_,
    )


class ScoredRows:
    """The rows that are scored, part by part.

    Parameters
    ----------
    inputs : Inputs
    weight : ndarray of shape (n_samples,)
    scoring : str, callable or None
    rows : slice or ndarray of int
        Of `inputs`, in the order of the parts.
    parts : list of (slice, list of BaseExitPolicy)
        A policy for each target.
    """

    def __init__(self, inputs, weight, scoring, rows, parts):
        self.inputs, self.parts = inputs, parts
        self.y, self.weight = inputs.y[rows], weight[rows]
        self.trace = inputs.trace.rows(rows).for_labels(self.y, self.weight)
        self.losses, self.stage_cost = self.trace.losses(self.y), inputs.stage_cost(rows)
        self.metric = MeanLoss(self.losses, self.weight, self.trace.metric)
        if scoring is not None:
            self.metric = ScorerMetric(scoring, self.trace, self.y, self.weight, inputs.labels)

    def outcome(self, i):
        """Loss, cost and exit of every row at point `i`, of shape (n_samples,) each."""
        walks = [walk(self.trace.rows(part), policies[i]) for part, policies in self.parts]
        exits = np.concatenate([part.exit for part in walks])
        costs = np.concatenate([incurred(part, self.inputs.cost) for part in walks])
        return self.losses[np.arange(len(exits)), exits], costs, exits

    def landmarks(self, curve):
        """Stages alone, oracle and the policy in use, by the metric of the curve."""
        n, n_stages = self.losses.shape
        accuracy = np.array([self.metric.value(np.full(n, k)) for k in range(n_stages)])
        best = oracle_exits(self.losses, self.stage_cost)
        found = {
            "metric": self.metric.name,
            "stage_accuracy": accuracy,
            "reference": reference_stage(accuracy, curve.stage_cost, self.trace.has_reject),
            "oracle": (curve.oracle[0], self.metric.value(best)),
        }
        if self.inputs.deployed is not None:
            used = walk(self.trace, self.inputs.deployed)
            cost = self.inputs.cost.relative(incurred(used, self.inputs.cost))
            cost = float(np.average(cost, weights=self.weight))
            found["chosen"] = cost, self.metric.value(used.exit)
        return found
