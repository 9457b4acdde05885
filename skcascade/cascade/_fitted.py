"""The face of a fitted cascade: everything it says of samples, by one walk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted, check_memory

from ..evidence._outcome import Walk
from ..evidence._reject import decode_labels
from ..evidence._stages import Live, Stages
from ..evidence._trace import Trace
from ..evidence._walk import walk
from ..members._adapters import unwrap_frozen
from ..monitoring._monitor import ExitMonitor
from ..tuning._curve import TradeoffCurve
from ..tuning._summary import summarize
from ..tuning._tuning import get_tuning
from ..utils._version import VersionedPickle
from ._diagram import cascade_block
from ._fitting import record
from ._validation import Inputs, check_samples

__all__ = ["FittedCascade"]


class FittedCascade(VersionedPickle, ClassifierMixin):
    """Predictions of a cascade, and its stages, from what `fit` assigned."""

    stages_: Stages
    policy_: Any
    cost_: Any
    classes_: NDArray[Any]
    labels_: NDArray[Any]
    batch_size: int | None
    memory: Any
    tradeoff_: TradeoffCurve
    tradeoff_index_: int
    _exits: TradeoffCurve
    _inputs: Inputs
    _loss: Any
    _recorded: bool

    def walk(self, X: Any) -> Walk:
        """Label, probabilities, exit, route and cost of each sample, from one run of the members.

        The other methods are views of it: `predict(X)`, `predict_exit(X)` and
        `predict_cost(X)`, one after the other, run the members three times.

        Parameters
        ----------
        X : samples

        Returns
        -------
        walk : Walk
            With `label`, `proba`, `exit`, `visited` and `cost`; `to_frame()` makes a table.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skcascade import make_cascade
        >>> X, y = load_iris(return_X_y=True)
        >>> members = GaussianNB(), LogisticRegression(max_iter=1000)
        >>> cascade = make_cascade(*members, cost=[1, 10], alpha=0.05, random_state=0).fit(X, y)
        >>> route = cascade.walk(X[:2])
        >>> route.label, route.exit, route.cost
        (array([0, 0]), array([0, 0]), array([1., 1.]))
        """
        route = self._walk(X)
        return route._replace(
            label=decode_labels(route.proba, self.labels_),
            cost=self.cost_.path_cost(route.visited),
            classes=self.classes_,
            stage_names=self.stage_names_,
        )

    def predict(self, X: Any) -> NDArray[Any]:
        """Label of each sample.

        Parameters
        ----------
        X : samples

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The last of `labels_` where the sample is rejected. The type does not depend on X.
        """
        return decode_labels(self.predict_proba(X), self.labels_)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Probabilities of the stage at which each sample exits.

        Parameters
        ----------
        X : samples

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32
            Zeros where the sample is rejected.
        """
        return self._walk(X).proba

    def predict_log_proba(self, X: Any) -> NDArray[np.float32]:
        """Logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : samples

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of :meth:`predict`. A rejected sample counts as an error.

        Parameters
        ----------
        X : samples
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        accuracy : float
        """
        return super().score(X, y, sample_weight)

    def staged_predict_proba(self, X: Any) -> Iterator[NDArray[np.float32]]:
        """Probabilities of every stage in turn, each run on all samples.

        Parameters
        ----------
        X : samples

        Yields
        ------
        proba : ndarray of shape (n_samples, n_classes), float32
        """
        live = self.evidence(X)
        rows = np.arange(live.n_samples)
        for stage in range(live.n_stages):
            yield live.observe(stage, rows)

    def predict_exit(self, X: Any) -> NDArray[np.intp]:
        """Index of the stage at which each sample exits.

        Parameters
        ----------
        X : samples

        Returns
        -------
        exit : ndarray of int, shape (n_samples,)
            Positions in `stage_names_`.
        """
        return self._walk(X).exit

    def decision_path(self, X: Any) -> NDArray[np.bool_]:
        """Which stages each sample visits.

        Parameters
        ----------
        X : samples

        Returns
        -------
        visited : ndarray of bool, shape (n_samples, n_stages)
        """
        return self._walk(X).visited

    def predict_cost(self, X: Any) -> NDArray[np.float64]:
        """Cost that each sample incurs.

        Parameters
        ----------
        X : samples

        Returns
        -------
        cost : ndarray of shape (n_samples,)
            In the unit of `cost_`.
        """
        visited = self._walk(X).visited  # first: it raises NotFittedError
        return self.cost_.path_cost(visited)

    def evidence(self, X: Any) -> Live:
        """The stages on samples, run where a walk asks for them.

        Parameters
        ----------
        X : samples

        Returns
        -------
        evidence : Live
            For :func:`~skcascade.walk` with any policy.
        """
        if not hasattr(self, "policy_"):
            check_is_fitted(self)  # raises; it reads the tags of all members, so only now
        return Live(self.stages_, check_samples(self, self._inputs, X))

    def record(self, X: Any) -> Trace:
        """The answers of every stage on samples, with the labels and the loss of the cascade.

        All stages run on all samples. With `memory`, answers are cached.

        Parameters
        ----------
        X : samples

        Returns
        -------
        trace : Trace
        """
        live, memory = self.evidence(X), check_memory(self.memory)
        proba = record(live.stages, live.X, memory, batch_size=self.batch_size)
        trace = Trace(proba, self.classes_, self._loss, has_reject=self.stages_.has_reject)
        return trace if self.reject_cost_ is None else trace.with_reject(self.reject_cost_)

    def summary(self) -> str:
        """Stages, costs and accuracies on held-out rows, and whether a cascade pays.

        Exit rates are those of the fitted policy on the held-out rows; the line of
        the cascade and the verdict are cross-fitted.

        Returns
        -------
        text : str
        """
        check_is_fitted(self)
        return summarize(
            self.stage_names_, self.policy_, self.tradeoff_, self.tradeoff_index_, self._exits
        )

    def monitor(self, X: Any = None, *, false_alarm_rate: float = 0.01) -> ExitMonitor:
        """Watch later samples for drift against held-out rows.

        Parameters
        ----------
        X : samples, default=None
            Rows like those to come that no member was fitted on; labels are not needed.
            None: the held-out rows, where the members that answered there are deployed.
        false_alarm_rate : float in (0, 1), default=0.01
            Probability, over all batches ever fed, of an alarm about a rate that did not
            change.

        Returns
        -------
        monitor : ExitMonitor

        Raises
        ------
        ValueError
            If X is None and the trace was not kept, or holds the answers of other members than
            those deployed, as with several folds.
        """
        check_is_fitted(self)
        if X is None and not self._recorded:
            raise ValueError(
                "The held-out answers are those of members fitted on other folds: give `X`, rows"
                " that no member was fitted on, or fit with a float `cv`."
            )
        reference = get_tuning(self).trace if X is None else self.evidence(X)
        return ExitMonitor(self.policy_, reference, cascade=self, false_alarm_rate=false_alarm_rate)

    @property
    def members_(self) -> Bunch:
        """Fitted members by name."""
        members = self.stages_.members[: len(self.stages_.members) - self.stages_.has_reject]
        return Bunch(**{name: unwrap_frozen(member.estimator) for name, member in members})

    @property
    def stage_names_(self) -> list[str]:
        """Name of each stage."""
        return self.stages_.names

    @property
    def trace_(self) -> Trace:
        """Answers of every stage on the held-out rows."""
        if not hasattr(self, "tuning_"):
            raise AttributeError("There is no trace: not fitted, or fitted with store_trace=False.")
        return self.tuning_.trace

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "policy_")

    def _walk(self, X):
        return walk(self.evidence(X), self.policy_, batch_size=self.batch_size)

    def _sk_visual_block_(self):
        return cascade_block(self)
