"""Exit when the stage is confident enough (Berestizshevsky & Even)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..evidence._row_costs import incurred, relative_edges
from ..evidence._walk import walk
from ..utils._kinds import as_floats, as_indices
from ..utils._sklearn import Interval, StrOptions
from ._alpha_path import AlphaPathPolicy, fitted_rules
from ._calibration import calibrate, fit_calibration
from ._confidence import CONFIDENCES, confidence_function
from ._cuts import Cuts, class_thresholds
from ._threshold import fit_thresholds, per_stage_threshold

__all__ = ["ConfidenceThreshold"]

#: Values of epsilon tried where none is given.
EPSILONS = np.r_[0.0, np.geomspace(1e-3, 1.0, 60)]


class ConfidenceThreshold(AlphaPathPolicy):
    """Exit at the first stage whose confidence reaches its threshold.

    There is no decision function to learn: one threshold per stage, and one number per stage
    and class that calibrates the confidence of predictions of that class.

    Parameters
    ----------
    confidence : {"max_proba", "margin", "entropy"} or callable, default="max_proba"
        The probability of the most likely class, its margin over the second, or one minus
        the entropy as a share of its maximum. A callable `confidence(proba)` takes
        probabilities (n_rows, n_classes) and returns numbers (n_rows,) from 0 to 1, larger
        for a more confident answer; with `per_class=False` they may be on any scale.
    per_class : bool or "auto", default="auto"
        Whether the threshold is for the calibrated confidence, the probability of being
        correct given the predicted class (True), or for the uncalibrated confidence (False).
        Calibration is a line in the log odds with an intercept for each class, fitted by
        penalized likelihood. "auto": True with `tuning="joint"`; the rule of [1]_ uses the
        uncalibrated confidence.
    tuning : {"joint", "per_stage"}, default="joint"
        How thresholds are chosen.

        - "joint": all together, with the stages worth using, so that mean loss +
          alpha * mean relative cost is smallest: exact thresholds, stage by stage, in sweeps
          to a fixed point; the best of all subsets of up to 8 stages.
        - "per_stage": the rule of [1]_, each stage on its own, and all stages in use:
          with a(d) the accuracy over the samples with confidence d or more and a* its
          maximum, the threshold is the smallest d with a(d) >= a* - `epsilon`. Equal
          confidences exit together. a* may be that of a few samples (it is
          nearly always 1), as in the paper.
    epsilon : float in [0, 1], default=None
        For `tuning="per_stage"`: the drop below a* that is accepted at each stage. It is
        measured against that stage's own best, so it bounds nothing about the cascade.
        It replaces the operating point. None: the epsilon of a fixed grid with the
        smallest objective at the operating point.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_stages,)
        A sample exits at stage k if its score is `thresholds_[k]` or more.
    stages_ : list of int
        The stages in use, in order.
    slopes_ : ndarray of shape (n_stages,) or None
        Calibrated confidence of stage k if it predicts class c: the logistic function of
        `slopes_[k] * logit(confidence) + intercepts_[k, c]`. None: the score is the
        uncalibrated confidence.
    intercepts_ : ndarray of shape (n_stages, n_classes) or None
    rules_ : list of Cuts
        The decision at each stage: thresholds on the uncalibrated confidence, for each
        predicted class.
    epsilon_ : float
        The epsilon used. Only with `tuning="per_stage"`.

    References
    ----------
    .. [1] K. Berestizshevsky and G. Even. Dynamically sacrificing accuracy for reduced
       computation: cascaded inference based on softmax confidence. ICANN 2019,
       :arxiv:`1805.10982`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace, fit_policy, walk
    >>> from skcascade.policies import ConfidenceThreshold
    >>> sure, right, wrong = [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]
    >>> trace = Trace([[sure, sure]] * 60 + [[right, sure]] * 20 + [[wrong, sure]] * 20)
    >>> policy = fit_policy(
    ...     ConfidenceThreshold(), trace, np.zeros(100, int), cost=[1, 10], random_state=0
    ... )
    >>> policy.thresholds_.round(2)
    array([0.53,  inf])
    >>> np.bincount(walk(trace, policy).exit)
    array([80, 20])
    """

    _parameter_constraints = {
        "confidence": [StrOptions(set(CONFIDENCES)), callable],
        "per_class": ["boolean", StrOptions({"auto"})],
        "tuning": [StrOptions({"joint", "per_stage"})],
        "epsilon": [Interval(Real, 0, 1, closed="both"), None],
    }

    slopes_: NDArray[np.float64] | None = None
    intercepts_: NDArray[np.float64] | None = None

    def __init__(
        self,
        confidence: str | Callable = "max_proba",
        *,
        per_class: bool | str = "auto",
        tuning: str = "joint",
        epsilon: float | None = None,
    ) -> None:
        self.confidence = confidence
        self.per_class = per_class
        self.tuning = tuning
        self.epsilon = epsilon

    @property
    def tunable(self) -> bool:  # type: ignore[override]
        """False where `epsilon` fixes the thresholds whatever the operating point."""
        return self.epsilon is None

    def check_params(self, n_stages: int | None = None) -> None:
        """ValueError if a parameter cannot be used."""
        super().check_params(n_stages)
        if self.epsilon is not None and self.tuning != "per_stage":
            raise ValueError(
                "`epsilon` needs tuning='per_stage', got tuning='joint'. Joint thresholds"
                " follow the operating point alone."
            )
        if callable(self.confidence):
            values = np.asarray(
                self.confidence(np.array([[0.7, 0.3], [0.4, 0.6]], dtype=np.float32))
            )
            if values.shape != (2,) or values.dtype.kind not in "fiu":
                raise ValueError(
                    "`confidence` must return one real number per row, an array of shape (n_rows,),"
                    f" got {values.dtype} of shape {values.shape} for 2 rows."
                )

    def with_thresholds(
        self, thresholds: ArrayLike, stages: Sequence[int] | None = None
    ) -> ConfidenceThreshold:
        """A copy that exits at given thresholds.

        Parameters
        ----------
        thresholds : array-like of shape (n_stages,)
            On the calibrated confidence if this policy was fitted so, else on the
            uncalibrated one. No sample exits below +inf, and all exit from -inf.
        stages : sequence of int, default=None
            The stages in use; None: all.

        Returns
        -------
        policy : ConfidenceThreshold

        Examples
        --------
        >>> import numpy as np
        >>> from skcascade.policies import ConfidenceThreshold
        >>> policy = ConfidenceThreshold("margin").with_thresholds([0.5, np.inf])
        >>> policy.exit_mask(0, np.array([[[0.8, 0.2]], [[0.6, 0.4]]]))
        array([ True, False])
        """
        thresholds = as_floats("thresholds", thresholds)
        if thresholds.ndim != 1 or not thresholds.size or np.isnan(thresholds).any():
            raise ValueError(
                "`thresholds` must hold one number for each stage, or infinity, got"
                f" {thresholds.tolist()!r:.80}."
            )
        n_stages = len(thresholds)
        name = "stages` of the `thresholds"  # either may be the one that is wrong
        stages = as_indices(name, range(n_stages) if stages is None else stages, n_stages)
        return self._copies(thresholds[np.newaxis], [stages])[0]

    def _path(self, trace, y, cost, alphas, weight):
        losses = trace.objective_losses(y)
        calibrated = self._calibrated(trace, _share_correct(trace, y), weight)
        score = [calibrated.exit_score(k, trace.proba) for k in range(trace.n_stages)]
        solve = {"joint": calibrated._joint, "per_stage": calibrated._per_stage}[self.tuning]
        return solve(trace, losses, cost, alphas, weight, np.stack(score, axis=1))

    def _calibrated(self, trace, correct, weight):
        """A copy with the calibration of every stage, if there is to be one."""
        policy = copy(self)
        policy.slopes_ = policy.intercepts_ = None
        per_class = self.tuning == "joint" if self.per_class == "auto" else self.per_class
        if per_class:
            lines = [
                fit_calibration(
                    _checked_confidence(policy.exit_score(k, trace.proba)),
                    trace.proba[:, k].argmax(axis=1),
                    correct[:, k],
                    weight,
                    trace.n_classes,
                )
                for k in range(trace.n_stages)
            ]
            policy.slopes_, policy.intercepts_ = map(np.array, zip(*lines))
        return policy

    def _joint(self, trace, losses, cost, alphas, weight, score):
        edges = relative_edges(trace, cost)
        return self._copies(*fit_thresholds(score, losses, edges, alphas, weight))

    def _per_stage(self, trace, losses, cost, alphas, weight, score):
        epsilons = EPSILONS if self.epsilon is None else [float(self.epsilon)]
        thresholds = np.full((len(epsilons), trace.n_stages), np.inf)
        for row, epsilon in zip(thresholds, epsilons):
            for k in range(trace.n_stages - 1):
                row[k] = per_stage_threshold(score[:, k], 1 - losses[:, k], epsilon, weight)
        candidates = self._copies(thresholds, [range(trace.n_stages)] * len(epsilons))
        for policy, epsilon in zip(candidates, epsilons):
            policy.epsilon_ = float(epsilon)
        if len(candidates) == 1:
            return candidates * len(alphas)
        walks = [walk(trace, policy) for policy in candidates]
        rows = np.arange(len(losses))
        loss = [np.average(losses[rows, w.exit], weights=weight) for w in walks]
        spent = [np.average(cost.relative(incurred(w, cost)), weights=weight) for w in walks]
        best = (np.array(loss) + alphas[:, np.newaxis] * np.array(spent)).argmin(axis=1)
        return [candidates[i] for i in best]

    def _copies(self, thresholds, stages):
        """One copy for each row of `thresholds` (n_copies, n_stages), with its stages in use."""
        policies = []
        for row, in_use, rules in zip(thresholds, stages, self._rules(thresholds)):
            policy = copy(self)
            policy.thresholds_ = np.array(row, dtype=float)
            policy.stages_ = [int(k) for k in in_use]
            policy.rules_ = rules
            policies.append(policy)
        return policies

    def _rules(self, thresholds):
        """For each row of `thresholds`, the rule at each stage."""
        confidence = confidence_function(self.confidence)
        if self.slopes_ is None:
            return [[Cuts(confidence, lower=edge) for edge in row] for row in thresholds]
        edges = class_thresholds(np.asarray(thresholds), self.slopes_, self.intercepts_)
        rises = self.slopes_ >= 0
        return [
            [
                Cuts(confidence, lower=edge) if up else Cuts(confidence, upper=edge)
                for edge, up in zip(row, rises)
            ]
            for row in edges
        ]

    def exit_mask(self, stage: int, proba: NDArray[Any]) -> NDArray[np.bool_]:
        """Rows whose score reaches the threshold, as in :meth:`BaseExitPolicy.exit_mask`."""
        return fitted_rules(self)[stage].exits(proba[:, stage])

    def rule(self, stage: int) -> Cuts:
        """The decision at `stage`: thresholds on the uncalibrated confidence."""
        return fitted_rules(self)[stage]

    def exit_score(self, stage: int, proba: NDArray[Any]) -> NDArray[Any]:
        """Calibrated confidence of each row, or the uncalibrated one.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_score`.

        Returns
        -------
        score : ndarray of shape (n_rows,)
        """
        seen = proba[:, stage]
        confidence = confidence_function(self.confidence)(seen)
        if self.slopes_ is None or self.intercepts_ is None:
            return confidence
        intercept = self.intercepts_[stage][seen.argmax(axis=1)]
        return calibrate(self.slopes_[stage], intercept, confidence)

    def exit_threshold(self, stage: int) -> float:
        """The score from which rows exit.

        Parameters
        ----------
        stage : int

        Returns
        -------
        threshold : float
        """
        return self.thresholds_[stage]


def _checked_confidence(confidence):
    """Confidences that can be calibrated; ValueError for another scale."""
    if not ((confidence >= -1e-6) & (confidence <= 1 + 1e-6)).all():
        raise ValueError(
            "`confidence` must return numbers from 0 to 1, got"
            f" {np.min(confidence):.4g} to {np.max(confidence):.4g}. Rescale them, or set"
            " per_class=False, which uses them as they are."
        )
    return confidence


def _share_correct(trace, y):
    """1 where an answer has the smallest loss of all, 0 where it has the largest."""
    observed = trace.losses(y)[:, : trace.n_stages - trace.has_reject]
    losses = trace.objective_losses(y)
    least, most = observed.min(), observed.max()
    if least == most:  # all are correct, or all wrong: whether there is a loss tells which
        return (losses <= 0).astype(float)
    return np.clip((most - losses) / (most - least), 0, 1)
