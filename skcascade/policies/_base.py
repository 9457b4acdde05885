"""What every exit policy is: a map from the answers seen so far to the next stage."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from ..evidence._walk import EXIT
from ._pruning import Replay

__all__ = ["BaseExitPolicy"]


class BaseExitPolicy(BaseEstimator):
    """Base class of exit policies.

    The smallest policy overrides :meth:`exit_mask` alone. One that learns overrides
    :meth:`fit` as well. One that may skip stages overrides :meth:`route` instead, and
    one that trains the members overrides :meth:`fine_tune`. The cascade always calls
    all of them.

    Attributes
    ----------
    validation_fraction : float, default=0.0
        Share of the fitting rows that members are not fitted on; :meth:`fine_tune` gets it.
    tunable : bool, default=True
        False if the rule is the same at every operating point by definition.
    may_skip : bool, default=False
        Whether a sample may skip a stage in use.
    stages_ : list of int or None
        The stages in use, in order; None: all of them. The walk enters at the first
        and always ends at the last.
    certified_ : bool, default=False
        Whether the bound was certified at `confidence_level`; False without one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcascade import CascadeClassifier
    >>> from skcascade.policies import BaseExitPolicy
    >>> class Sure(BaseExitPolicy):
    ...     def exit_mask(self, stage, proba):
    ...         return proba[:, stage].max(axis=1) >= 0.9
    >>> X, y = load_digits(return_X_y=True)
    >>> members = [("lr", LogisticRegression(max_iter=5000)), ("rf", RandomForestClassifier())]
    >>> cascade = CascadeClassifier(members, policy=Sure(), random_state=0).fit(X, y)
    >>> cascade.predict_exit(X[:8])
    array([0, 0, 0, 0, 0, 1, 0, 0])
    """

    validation_fraction: float = 0.0
    tunable: bool = True
    may_skip: bool = False
    stages_: list[int] | None = None
    certified_: bool = False
    _parameter_constraints: dict[str, Any] = {}

    def check_params(self, n_stages: int | None = None) -> None:
        """Check the parameters; the cascade does so before anything is fitted.

        Parameters
        ----------
        n_stages : int, default=None
            Number of stages, if it is known.

        Raises
        ------
        ValueError
            If one cannot be used.
        """
        self._validate_params()

    def fine_tune(
        self, stages: Any, X: Any, y: ArrayLike, X_val: Any, y_val: Any, cost: Any, target: Any
    ) -> Any:
        """Train members jointly with the policy. Does nothing here.

        Parameters
        ----------
        stages : Stages
            Fitted members.
        X, y : training samples and their codes (n_samples,)
            The rows the members were fitted on.
        X_val, y_val : samples and codes
            `validation_fraction` of the fitting rows, not used so far; None
            where the fraction is 0.
        cost : BaseCostModel
            Fitted.
        target : OperatingPoint
            What to train for.

        Returns
        -------
        stages : Stages
            The very object that came in if no member was changed.
        """
        return stages

    def fit(
        self,
        trace: Any,
        y: ArrayLike,
        cost: Any,
        alpha: float,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn the rule from recorded evidence. Nothing to learn here.

        Parameters
        ----------
        trace : Trace
            Held-out answers of every stage.
        y : ndarray of int, shape (n_samples,)
            True codes.
        cost : BaseCostModel
            Fitted.
        alpha : float
            Cost weight: the cost of one full run of the last stage, in units of accuracy.
        sample_weight : ndarray of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : object
        """
        return self

    def fit_alphas(
        self,
        trace: Any,
        y: ArrayLike,
        cost: Any,
        alphas: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> list[Any]:
        """Copies fitted and pruned at each of several alphas.

        The choice of the operating point calls this. Override it where many
        alphas can be solved together faster than one by one.

        Parameters
        ----------
        trace, y, cost, sample_weight
            As for :meth:`fit`.
        alphas : sequence of float
            Cost weights.

        Returns
        -------
        policies : list of BaseExitPolicy
        """
        replay = Replay(trace, y, cost, sample_weight)
        # Copies, not clones: what `fine_tune` learned must stay.
        return [
            replay.prune(copy(self).fit(trace, y, cost, alpha, sample_weight), alpha)
            for alpha in np.asarray(alphas, dtype=float).tolist()
        ]

    def exit_mask(self, stage: int, proba: NDArray[Any]) -> NDArray[np.bool_]:
        """Which rows exit. Override this to write a policy for a chain of stages.

        A row's decision must not depend on the other rows.

        Parameters
        ----------
        stage : int
            The stage just run.
        proba : ndarray of shape (n_rows, stage + 1, n_classes)
            All answers seen so far; NaN for stages that were skipped.

        Returns
        -------
        exits : ndarray of bool, shape (n_rows,)
        """
        raise NotImplementedError(f"{type(self).__name__} must override `exit_mask` or `route`.")

    def route(self, stage: int, proba: NDArray[Any]) -> NDArray[Any]:
        """The next stage of each row. Override this to skip stages.

        Parameters
        ----------
        stage, proba
            As for :meth:`exit_mask`.

        Returns
        -------
        to : ndarray of int, shape (n_rows,)
            :data:`~skcascade.EXIT` or the index of a later stage in use.
        """
        exits = np.asarray(self.exit_mask(stage, proba))
        if exits.dtype.kind != "b":
            raise ValueError(
                f"`exit_mask` of {type(self).__name__} must return an array of booleans, got"
                f" {exits.dtype}. Compare with a threshold."
            )
        return np.where(exits, EXIT, self.next_stage(stage))

    def rule(self, stage: int) -> Any:
        """The decision at `stage` as plain numbers, for export and inspection.

        Policies that have such a rule decide by this very object.

        Parameters
        ----------
        stage : int

        Returns
        -------
        rule : Cuts, Head, Edges or None
            None: there is none, so the policy cannot be exported.
        """
        return None

    def exit_score(self, stage: int, proba: NDArray[Any]) -> NDArray[Any]:
        """How strongly each row tends to exit, for plots: the walk does not call it.

        Override this where the policy compares a number of its own.

        Parameters
        ----------
        stage, proba
            As for :meth:`exit_mask`.

        Returns
        -------
        score : ndarray of shape (n_rows,)
            A larger score speaks for the exit. Here the probability of the most likely class.
        """
        return proba[:, stage].max(axis=1)

    def exit_threshold(self, stage: int) -> float:
        """The score from which rows exit, up to rounding, where one number decides.

        Parameters
        ----------
        stage : int

        Returns
        -------
        threshold : float
            Of :meth:`exit_score`; infinite where no row exits, or all do. Here NaN: there is no
            such number.
        """
        return np.nan

    def next_stage(self, stage: int) -> int:
        """The stage in use that follows `stage`."""
        if self.stages_ is None:
            return stage + 1
        return min(k for k in self.stages_ if k > stage)
