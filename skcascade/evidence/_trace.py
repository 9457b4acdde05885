"""Recorded evidence: the answer of every stage for every sample."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_array, check_kind
from ._losses import RejectLoss, resolve_loss, zero_one_loss
from ._recorded import blocks, given_proba
from ._row_costs import add_free_column, given_costs
from ._stages import Live, Stages
from ._top1 import check_classes, encode, spread_top1
from ._trace_losses import TraceLosses

__all__ = ["Trace"]


class Trace(TraceLosses):
    """The answer of every stage for every sample.

    A policy is fitted on a trace alone, so models that cannot be run here
    (remote services, other people's logits) take part through their recorded
    answers. It is stored as float32: `n_samples * n_stages * n_classes * 4` bytes,
    in memory and pickled.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_stages, n_classes)
        Probability of each class, at each stage.
    classes : array-like of shape (n_classes,), default=None
        Labels of the columns. None means that `y` holds codes
        0 to `n_classes` - 1.
    loss : str, array-like or callable, default=None
        Loss of an answer. "zero_one" (None is the same), "log_loss", "brier" or "balanced"; an
        array of shape (n_samples, n_stages), the loss of each answer; a cost matrix of shape
        (n_classes, n_classes) (:class:`~skcascade.evidence.CostMatrix` if it could be taken for
        the former); or a callable `loss(y, proba)` that takes codes (n_samples,) and
        probabilities (n_samples, n_classes) of one stage and returns one number per sample.
    has_reject : bool, default=False
        Whether samples that exit at the last stage are rejected; its rows are zeros.
    cost : array-like of shape (n_samples, n_stages), default=None
        What each stage cost on each sample, such as tokens, without a reject stage. The costs
        of the stages visited add up. None: the same for all samples, by a cost model.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_stages, n_classes), float32
        The recorded probabilities.
    n_samples, n_stages, n_classes : int
        Its shape.
    has_reject : bool
        Whether samples that exit at the last stage are rejected.
    expected : ndarray of shape (n_samples, n_stages) or None
        Expected losses, while a policy is tuned: see :meth:`objective_losses`.
    metric : str
        Name of the score that is one minus the mean loss, such as "accuracy".
    cost : ndarray of shape (n_samples, n_stages), float64, or None
        Costs of the rows; 0 at a reject stage.

    Raises
    ------
    ValueError
        If `proba` is not three-dimensional, is empty, or holds no probabilities, `loss` is
        unknown, not finite, or of another shape, or `cost` is negative, not finite, or zero at
        the last stage.

    See Also
    --------
    walk : Send the samples of a trace through a policy.
    fit_policy : Fit a policy on a trace.

    Examples
    --------
    >>> from skcascade import Trace
    >>> trace = Trace([[[0.9, 0.1], [0.8, 0.2]], [[0.6, 0.4], [0.1, 0.9]]])
    >>> trace
    Trace(n_samples=2, n_stages=2, n_classes=2)
    >>> trace.losses([0, 1]).mean(axis=0)
    array([0.5, 0. ])
    """

    def __init__(
        self,
        proba: ArrayLike,
        classes: ArrayLike | None = None,
        loss: str | Callable | ArrayLike | None = None,
        *,
        has_reject: bool = False,
        cost: ArrayLike | None = None,
    ) -> None:
        self.proba = proba = given_proba(proba, has_reject)
        self.has_reject = has_reject
        self.classes = None if classes is None else check_classes(classes, proba.shape[2])
        self.loss = resolve_loss(loss, proba.shape[2], proba.shape[:2])
        self.cost = None if cost is None else given_costs(cost, proba.shape[:2], has_reject)

    @classmethod
    def record(
        cls,
        stages: Stages,
        X: Any,
        *,
        classes: ArrayLike | None = None,
        loss: str | Callable | ArrayLike | None = None,
        batch_size: int | None = None,
    ) -> Trace:
        """Run every stage on every row of `X`.

        Parameters
        ----------
        stages : Stages
        X : indexable of length n_samples
        classes, loss
            As for the class itself.
        batch_size : int, default=None
            Rows given to a member at once. None keeps the answers near 32 MiB.

        """
        live = Live(stages, X)
        shape = live.n_samples, live.n_stages, live.n_classes
        proba = np.empty(shape, dtype=np.float32)
        for rows in blocks(proba, batch_size, live.block_rows):
            block = live.block(rows.start, min(rows.stop, shape[0]))
            all_rows = np.arange(block.n_samples)
            for stage in range(shape[1]):
                proba[rows, stage] = block.observe(stage, all_rows)
        return cls(proba, classes, loss, has_reject=stages.has_reject)

    @classmethod
    def from_top1(
        cls,
        pred: ArrayLike,
        confidence: ArrayLike,
        n_classes: int | None = None,
        *,
        classes: ArrayLike | None = None,
        cost: ArrayLike | None = None,
    ) -> Trace:
        """Trace of models that give only the predicted class and a confidence.

        The rest of the probability is spread evenly over the other classes. Confidences
        below 1.01 / `n_classes` are squeezed linearly: [0, 1.01 / `n_classes`] becomes
        [1.005 / `n_classes`, 1.01 / `n_classes`]. So every answer stays the most likely
        class, and the order of confidences stays.

        Parameters
        ----------
        pred : array-like of shape (n_samples, n_stages)
            The predicted class: its code, 0 to `n_classes` - 1, or its label where `classes`
            are given.
        confidence : array-like of shape (n_samples, n_stages)
            Probability of that class, in [0, 1].
        n_classes : int, default=None
            Number of classes; one more than you know of where a service may answer
            something else. None: as many as `classes`.
        classes : array-like of shape (n_classes,), default=None
            Labels of the classes, if `pred` holds labels.
        cost : array-like of shape (n_samples, n_stages), default=None
            Costs of the rows, as for the class itself.

        Returns
        -------
        trace : Trace

        Examples
        --------
        >>> from skcascade import Trace
        >>> Trace.from_top1([[2, 0]], [[0.7, 0.4]], n_classes=4).proba.round(2)
        array([[[0.1, 0.1, 0.7, 0.1],
                [0.4, 0.2, 0.2, 0.2]]], dtype=float32)
        """
        if classes is not None:
            check_kind("n_classes", n_classes, Integral | None, "an integer or None")
            classes = check_classes(classes, n_classes)
            pred, n_classes = encode(pred, classes, "pred"), len(classes)
        return cls(spread_top1(pred, confidence, n_classes), classes, cost=cost)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.proba.shape[0]

    @property
    def n_stages(self) -> int:
        """Number of stages."""
        return self.proba.shape[1]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.proba.shape[2]

    def block(self, start: int, stop: int) -> Trace:
        """The trace of rows `start` to `stop`: a view, nothing is copied."""
        return self.rows(slice(start, stop))

    def rows(self, index: Any) -> Trace:
        """The trace of the rows `index` (slice, mask or integers) selects."""
        return self._cut(index)

    def select_stages(self, stages: Any) -> Trace:
        """The trace of some stages, none of which rejects, in any order."""
        part = self._cut((slice(None), stages))
        part.has_reject = False
        return part

    def _cut(self, index):
        """A trace whose arrays are indexed by `index`: rows, or rows and stages."""
        part = object.__new__(Trace)
        arrays = {name: getattr(self, name) for name in ("proba", "loss", "cost", "expected")}
        cut = {k: array[index] for k, array in arrays.items() if isinstance(array, np.ndarray)}
        vars(part).update(vars(self), **cut)
        return part

    def with_reject(self, reject_cost: float) -> Trace:
        """The trace with a last stage at which samples are rejected.

        Its probabilities are all 0, it costs nothing to reach, and every sample that exits
        there has the loss `reject_cost`. If there is such a stage already, its loss changes.

        Parameters
        ----------
        reject_cost : float in [0, 1)
            Loss of a rejected sample; an error has the 0/1 loss 1.

        Returns
        -------
        trace : Trace

        Examples
        --------
        >>> from skcascade import Trace, fit_policy, walk
        >>> from skcascade.policies import ConfidenceThreshold
        >>> sure, unsure = [0.9, 0.1], [0.6, 0.4]
        >>> answers = [[sure, sure]] * 60 + [[unsure, sure]] * 20 + [[unsure, unsure]] * 20
        >>> trace = Trace(answers)
        >>> y = [0] * 80 + [0, 1] * 10
        >>> policy = fit_policy(
        ...     ConfidenceThreshold(), trace.with_reject(0.2), y, cost=[1, 10], alpha=0.01
        ... )
        >>> walk(trace.with_reject(0.2), policy).exit.tolist().count(2)
        20
        """
        check_kind("reject_cost", reject_cost, Real, "a number")
        if not 0 <= reject_cost < 1:
            raise ValueError(f"`reject_cost` must lie in [0, 1), got {reject_cost!r}.")
        trace = self.rows(slice(None))
        trace.expected = None
        if not self.has_reject:
            zeros = np.zeros((self.n_samples, 1, self.n_classes), dtype=np.float32)
            trace.proba = np.concatenate([self.proba, zeros], axis=1)
            trace.has_reject = True
            trace.cost = None if self.cost is None else add_free_column(self.cost)
        if isinstance(self.loss, np.ndarray):
            reject = np.full(self.n_samples, float(reject_cost))
            trace.loss = np.column_stack([self.loss[:, : trace.n_stages - 1], reject])
        else:
            loss = self.loss or zero_one_loss
            trace.loss = RejectLoss(getattr(loss, "answer_loss", loss), reject_cost)
        return trace

    def observe(self, stage: int, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Probabilities of `stage` for `rows`, of shape (n_rows, n_classes)."""
        return self.proba[rows, stage]

    def call(self, source: int | None, stage: int, X: Any) -> NoReturn:
        """Recorded answers cannot be run, so their cost cannot be measured."""
        raise ValueError(
            "`cost` must be fitted, or a list of costs such as [1.0, 4.0, 20.0]: the members of a"
            " recorded trace cannot be run."
        )

    def codes(self, y: ArrayLike) -> NDArray[np.intp]:
        """`y` as codes 0 to `n_classes` - 1, checked.

        Raises
        ------
        ValueError
            If `y` has another length than the trace or a label without a column.
        """
        y = as_array("y", y)
        if y.shape != (self.n_samples,):
            raise ValueError(
                f"`y` must have the shape (n_samples,) = ({self.n_samples},), got {y.shape}."
            )
        return encode(y, np.arange(self.n_classes) if self.classes is None else self.classes, "y")

    def __repr__(self) -> str:
        text = "n_samples={}, n_stages={}, n_classes={}".format(*self.proba.shape)
        if self.cost is not None:
            text += f", mean_cost=[{', '.join(f'{k:.4g}' for k in self.cost.mean(axis=0))}]"
        return f"Trace({text})"
