"""The operating point of a fitted cascade, chosen anew: elsewhere, or on other rows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, check_memory

from ..evidence._top1 import encode
from ..evidence._trace import Trace
from ..tuning._fit_policy import check_weight
from ..tuning._groups import Groups
from ..tuning._operating_point import OperatingPoint
from ..tuning._reject_bound import RejectBound
from ..tuning._tuning import Tuning, get_tuning
from ..utils._kinds import as_array, check_kind
from ._checks import check_certificate, operating_point
from ._fitted import FittedCascade
from ._fitting import record

__all__ = ["TunedCascade"]


class TunedCascade(FittedCascade):
    """A fitted cascade whose operating point can be chosen anew."""

    alpha: float | None
    max_accuracy_drop: float | None
    max_cost: float | None
    confidence_level: float | None
    certified_: bool
    tuning_: Tuning
    reject_cost_: float | None
    _reject_bound: RejectBound | None

    def set_operating_point(
        self,
        *,
        alpha: float | None = None,
        max_accuracy_drop: float | None = None,
        max_cost: float | None = None,
    ) -> Self:
        """Change the operating point on the kept trace. No member is changed or run.

        A bound on rejected samples (`max_error`, `reject_rate`) and subgroups stay as in `fit`.

        Parameters
        ----------
        alpha, max_accuracy_drop, max_cost : float, default=None
            As for the cascade, whose parameters they become; none means
            `max_accuracy_drop=0`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the operating point cannot be reached, or the cascade was fitted with
            `store_trace=False`.
        """
        check_is_fitted(self)
        asked = {"alpha": alpha, "max_accuracy_drop": max_accuracy_drop, "max_cost": max_cost}
        bound = self._reject_bound
        target = OperatingPoint.check(
            **asked, confidence_level=self.confidence_level, tunable=self.policy_.tunable,
            certifies_other=bound is not None,
        )  # fmt: skip
        tuning = get_tuning(self)
        check_certificate(self, recorded=self._recorded)
        check_weight(tuning.sample_weight, tuning.y, self.confidence_level)
        self.__dict__.update(self._choose(tuning, target, bound, self.stage_names_, True))
        return self.set_params(**asked)  # type: ignore[attr-defined]

    def rejudge(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        subgroups: ArrayLike | None = None,
        extend: bool = False,
    ) -> Self:
        """Tune the policy on new labeled rows, such as after drift. No member is fitted.

        The rows take the place of the held-out ones. All that `fit` derives from held-out rows
        is theirs afterwards: the policy, the curve, the trace and the certificate. Costs stay.
        The operating point and `confidence_level` are those that the parameters say now. An
        :class:`ExitMonitor` keeps the rows it was made with: make a new one.

        Parameters
        ----------
        X : samples
            Rows like those to come that no member was fitted on.
        y : array-like of shape (n_samples,)
            Their labels, all of them in `classes_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for the policy.
        subgroups : array-like of shape (n_samples,), default=None
            As for `fit`.
        extend : bool, default=False
            Keep the rows held out so far, and add the new ones. Rows without weights then
            count 1.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the rows, their labels or their weights cannot be used, the operating point
            cannot be reached, or the cascade was fitted with `store_trace=False`. The cascade
            is then as it was.

        Warns
        -----
        CascadeWarning
            If nothing can be certified.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> from skcascade import make_cascade
        >>> X, y = load_digits(return_X_y=True)
        >>> members = LogisticRegression(C=0.01, max_iter=1000), KNeighborsClassifier(3)
        >>> cascade = make_cascade(*members, cost=[1, 20], max_accuracy_drop=0.01, random_state=0)
        >>> cascade = cascade.fit(X[:1000], y[:1000])
        >>> cascade.trace_.n_samples, cascade.rejudge(0.7 * X[1000:], y[1000:]).trace_.n_samples
        (200, 797)
        """
        check_is_fitted(self)
        old = get_tuning(self)
        check_kind("extend", extend, bool | np.bool_, "True or False")
        bound, recorded = self._reject_bound, self._recorded or not extend
        target = operating_point(self, self.policy_, bound)
        check_certificate(self, recorded=recorded)
        live = self.evidence(X)
        codes = self._codes(y, live.n_samples)
        groups = Groups.check("subgroups", subgroups, len(codes), self.confidence_level)
        weight = check_weight(sample_weight, codes, self.confidence_level)
        memory = check_memory(self.memory)
        if extend:
            groups, weight = _joined_groups(old, groups), _joined_weight(old, weight, len(codes))
            check_weight(weight, np.r_[old.y, codes], self.confidence_level)
        proba = record(live.stages, live.X, memory, batch_size=self.batch_size)
        if extend:
            proba, codes = np.concatenate([old.trace.proba, proba]), np.r_[old.y, codes]
        trace = Trace(proba, loss=self._loss, has_reject=self.stages_.has_reject)
        if self.reject_cost_ is not None:
            trace = trace.with_reject(self.reject_cost_)
        tuning = Tuning(old.policy, trace, codes, self.cost_, weight, old.seed, groups)
        chosen = self._choose(tuning, target, bound, self.stage_names_, True, memory)
        self.__dict__.update(chosen, _recorded=recorded)
        return self

    def _codes(self, y, n_samples):
        """`y` as codes; ValueError if its length or one of its labels does not fit."""
        y = as_array("y", y)
        if y.shape != (n_samples,):
            raise ValueError(
                f"`y` must have one label for each sample, the shape ({n_samples},), got {y.shape}."
            )
        return encode(y, self.classes_, "y")

    def _choose(self, tuning, target, bound, names, keep, memory=None):
        """The attributes that depend on the operating point."""
        if bound is None:
            tuning.search(self.confidence_level is not None, memory)
            policy, search, index = tuning.fit(target, self.confidence_level)
        else:
            tuning, policy, search, index = bound.choose(tuning, target, self.confidence_level)
        chosen = {
            "policy_": policy,
            "certified_": policy.certified_,
            "tradeoff_": search.curve.with_names(names, index),
            "tradeoff_index_": index,
            "reject_cost_": tuning.reject_cost,
            "_exits": tuning.replay(policy),
        }
        return {**chosen, "tuning_": tuning} if keep else chosen


def _joined_groups(old, new):
    """The groups of the rows of the tuning `old` and of the new ones."""
    if (old.groups is None) != (new is None):
        raise ValueError(
            "With `extend`, `subgroups` are needed for all rows or for none: those held out so far"
            f" have {'none' if old.groups is None else 'some'}. Drop `extend`, or fit again."
        )
    return new if new is None else old.groups.extended(new)


def _joined_weight(old, new, n_new):
    """The weights of the same rows; None if none have any."""
    if old.sample_weight is None and new is None:
        return None
    parts = (old.sample_weight, len(old.y)), (new, n_new)
    return np.concatenate([np.ones(n) if weight is None else weight for weight, n in parts])
