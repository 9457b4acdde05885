"""Leave when the stage is confident enough (Berestizshevsky & Even)."""

from copy import copy
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._walk import walk
from ._base import PathPolicy
from ._confidence import CONFIDENCES
from ._threshold import cut_places, fit_thresholds

__all__ = ["ConfidenceThreshold"]

#: Values of epsilon tried where none is given.
EPSILONS = np.r_[0.0, np.geomspace(1e-3, 1.0, 60)]


class ConfidenceThreshold(PathPolicy):
    """Leave at the first stage whose confidence reaches its threshold.

    There is nothing to train and no decision function to learn: one number per stage.

    Parameters
    ----------
    confidence : {"max_proba", "margin", "entropy"}, default="max_proba"
        What is compared with the threshold: the probability of the most likely class,
        its lead over the second, or one less the entropy as a share of its maximum.
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
        A sample leaves at stage k if its confidence is `thresholds_[k]` or more.
    stages_ : list of int
        The stages in use, in order.
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
    array([0.75,  inf])
    >>> np.bincount(walk(trace, policy).exit)
    array([60, 40])
    """

    _parameter_constraints = {
        "confidence": [StrOptions(set(CONFIDENCES))],
        "tuning": [StrOptions({"joint", "per_stage"})],
        "epsilon": [Interval(Real, 0, 1, closed="both"), None],
    }

    def __init__(self, confidence="max_proba", *, tuning="joint", epsilon=None):
        self.confidence = confidence
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
        stages = range(trace.n_stages)
        score = np.stack([self.exit_score(k, trace.proba) for k in stages], axis=1)
        solve = {"joint": self._joint, "per_stage": self._per_stage}[self.tuning]
        return solve(trace, y, cost, alphas, weight, score, smooth)

    def _joint(self, trace, y, cost, alphas, weight, score, smooth):
        edges = cost.relative(cost.edge_costs_)
        losses = trace.losses(y)
        thresholds, stages = fit_thresholds(score, losses, edges, alphas, weight, smooth=smooth)
        return [self._at(cuts, in_use) for cuts, in_use in zip(thresholds, stages)]

    def _per_stage(self, trace, y, cost, alphas, weight, score, smooth):
        losses = trace.losses(y)
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
        loss = [np.average(losses[np.arange(len(y)), w.exit], weights=weight) for w in walks]
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
        """Rows whose confidence reaches the threshold of `stage`.

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
        """Confidence of each row.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_score`.

        Returns
        -------
        score : ndarray of shape (n_rows,)
        """
        return CONFIDENCES[self.confidence](proba[:, stage])

    def exit_threshold(self, stage):
        """The confidence from which rows leave.

        Parameters
        ----------
        stage : int

        Returns
        -------
        threshold : float
        """
        return self.thresholds_[stage]


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
