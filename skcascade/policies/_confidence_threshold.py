"""Leave when the stage is confident enough (Berestizshevsky & Even)."""

from copy import copy
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._walk import walk
from ._base import PathPolicy
from ._chances import chance_right, fit_chances
from ._confidence import CONFIDENCES
from ._threshold import cut_places, fit_thresholds

__all__ = ["ConfidenceThreshold"]

#: Values of epsilon tried where none is given.
EPSILONS = np.r_[0.0, np.geomspace(1e-3, 1.0, 60)]


class ConfidenceThreshold(PathPolicy):
    """Leave at the first stage whose confidence reaches its threshold.

    There is no decision function to learn: one number per stage, and one per stage and
    class that says how far the stage can be trusted when it names that class.

    Parameters
    ----------
    confidence : {"max_proba", "margin", "entropy"}, default="max_proba"
        How sure a stage is: the probability of the most likely class, its lead over the
        second, or one less the entropy as a share of its maximum.
    per_class : bool or "auto", default="auto"
        Whether the threshold is for the confidence as it stands (False), or for the chance
        to be right that it means, given the class the stage names (True): a line in the log
        odds with an intercept for each class, fitted by penalised likelihood. "auto": with
        `tuning="joint"`; the rule of [1]_ is for the confidence.
    tuning : {"joint", "per_stage"}, default="joint"
        How thresholds are chosen.

        - "joint": all together, with the stages worth using, so that mean loss +
          alpha * mean relative cost is least: exact cuts, stage by stage, in sweeps to a
          fixed point; the best of all subsets of up to 8 stages.
        - "per_stage": the rule of [1]_, each stage on its own and no stage left out:
          with a(d) the accuracy over the samples with confidence d or more and a* its
          maximum, the threshold is the smallest d with a(d) >= a* - `epsilon`. Equal
          confidences leave together. a* may be that of a handful of samples (it is
          nearly always 1), as in the paper.
    epsilon : float in [0, 1], default=None
        For `tuning="per_stage"`: the drop below a* that is accepted at each stage. It is
        measured against that stage's own best, so it bounds nothing about the cascade,
        and it replaces the operating point. None: the epsilon of a fixed grid with the
        least objective at the operating point.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_stages,)
        A sample leaves at stage k if its score is `thresholds_[k]` or more.
    stages_ : list of int
        The stages in use, in order.
    slopes_ : ndarray of shape (n_stages,) or None
        Chance to be right at stage k if it names class c: the logistic function of
        `slopes_[k] * logit(confidence) + intercepts_[k, c]`. None: the score is the
        confidence.
    intercepts_ : ndarray of shape (n_stages, n_classes) or None
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
        "confidence": [StrOptions(set(CONFIDENCES))],
        "per_class": ["boolean", StrOptions({"auto"})],
        "tuning": [StrOptions({"joint", "per_stage"})],
        "epsilon": [Interval(Real, 0, 1, closed="both"), None],
    }

    slopes_ = intercepts_ = None

    def __init__(self, confidence="max_proba", *, per_class="auto", tuning="joint", epsilon=None):
        self.confidence = confidence
        self.per_class = per_class
        self.tuning = tuning
        self.epsilon = epsilon

    @property
    def tunable(self):
        """False where `epsilon` fixes the thresholds whatever the operating point."""
        return self.epsilon is None

    def check_params(self):
        """ValueError if a parameter cannot be used."""
        super().check_params()
        if self.epsilon is not None and self.tuning != "per_stage":
            raise ValueError(
                "`epsilon` needs tuning='per_stage', got tuning='joint'. Joint thresholds"
                " follow the operating point alone."
            )

    def _path(self, trace, y, cost, alphas, weight, smooth):
        losses = trace.losses(y)
        scored = self._with_chances(trace, losses, weight)
        score = [scored.exit_score(k, trace.proba) for k in range(trace.n_stages)]
        solve = {"joint": scored._joint, "per_stage": scored._per_stage}[self.tuning]
        return solve(trace, losses, cost, alphas, weight, np.stack(score, axis=1), smooth)

    def _with_chances(self, trace, losses, weight):
        """A copy that knows what its confidence means, if it is to."""
        policy = copy(self)
        policy.slopes_ = policy.intercepts_ = None
        per_class = self.tuning == "joint" if self.per_class == "auto" else self.per_class
        if per_class:
            right = _share_right(losses, trace.n_stages - trace.no_answer)
            lines = [
                fit_chances(
                    policy.exit_score(k, trace.proba),
                    trace.proba[:, k].argmax(axis=1),
                    right[:, k],
                    weight,
                    trace.n_classes,
                )
                for k in range(trace.n_stages)
            ]
            policy.slopes_, policy.intercepts_ = map(np.array, zip(*lines))
        return policy

    def _joint(self, trace, losses, cost, alphas, weight, score, smooth):
        edges = cost.relative(cost.edge_costs_)
        thresholds, stages = fit_thresholds(score, losses, edges, alphas, weight, smooth=smooth)
        return [self._at(cuts, in_use) for cuts, in_use in zip(thresholds, stages)]

    def _per_stage(self, trace, losses, cost, alphas, weight, score, smooth):
        candidates = []
        for epsilon in EPSILONS if self.epsilon is None else [self.epsilon]:
            cuts = [
                per_stage_threshold(score[:, k], 1 - losses[:, k], epsilon, weight)
                for k in range(trace.n_stages - 1)
            ]
            policy = self._at(np.append(cuts, np.inf), range(trace.n_stages))
            policy.epsilon_ = float(epsilon)
            candidates.append(policy)
        if len(candidates) == 1:
            return candidates * len(alphas)
        walks = [walk(trace, policy) for policy in candidates]
        loss = [np.average(losses[np.arange(len(losses)), w.exit], weights=weight) for w in walks]
        price = [
            np.average(cost.relative(cost.path_cost(w.visited)), weights=weight) for w in walks
        ]
        best = (np.array(loss) + alphas[:, np.newaxis] * np.array(price)).argmin(axis=1)
        return [candidates[i] for i in best]

    def _at(self, thresholds, stages):
        policy = copy(self)
        policy.thresholds_ = np.asarray(thresholds, dtype=float)
        policy.stages_ = [int(k) for k in stages]
        return policy

    def exit_mask(self, stage, proba):
        """Rows whose score reaches the threshold of `stage`.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_mask`.

        Returns
        -------
        leaves : ndarray of bool, shape (n_rows,)
        """
        return self.exit_score(stage, proba) >= self.thresholds_[stage]

    def exit_score(self, stage, proba):
        """Chance of each row to be right, or its confidence.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_score`.

        Returns
        -------
        score : ndarray of shape (n_rows,)
        """
        seen = proba[:, stage]
        confidence = CONFIDENCES[self.confidence](seen)
        if self.slopes_ is None:
            return confidence
        line = self.slopes_[stage], self.intercepts_[stage]
        return chance_right(*line, confidence, seen.argmax(axis=1))

    def exit_threshold(self, stage):
        """The score from which rows leave.

        Parameters
        ----------
        stage : int

        Returns
        -------
        threshold : float
        """
        return self.thresholds_[stage]


def _share_right(losses, n_answering):
    """1 where an answer loses as little as any does, 0 where it loses the most."""
    answering = losses[:, :n_answering]
    least, most = answering.min(), answering.max()
    if least == most:  # all are right, or all wrong: whether anything is lost tells which
        return (losses <= 0).astype(float)
    return np.clip((most - losses) / (most - least), 0, 1)


def per_stage_threshold(score, correct, epsilon, weight):
    """Smallest threshold d with a(d) >= a* - epsilon; -inf if that takes in everybody.

    a(d) is the weighted mean of `correct` over the samples with `score` d or more and
    a* its maximum over d.
    """
    order, ends, cuts = cut_places(score)
    mass = np.cumsum(weight[order])[ends]
    right = np.cumsum((weight * correct)[order])[ends]
    accuracy = np.divide(right, mass, out=np.zeros_like(right), where=mass > 0)
    return cuts[np.flatnonzero(accuracy >= accuracy.max() - epsilon - 1e-12)[-1]]
