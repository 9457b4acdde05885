"""Which of many models belong in a cascade, and in what order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ..costs import FixedCost
from ..evidence._trace import Trace
from ..evidence._walk import stages_in_use
from ..policies import BaseExitPolicy, ConfidenceThreshold
from ..utils._kinds import as_floats, as_list, check_kind
from ._curve import TradeoffCurve
from ._fit_policy import check_weight, resolve_costs
from ._operating_point import OperatingPoint
from ._summary import summarize
from ._tuning import Tuning

__all__ = ["MemberSelection", "select_members"]


class MemberSelection(NamedTuple):
    """Result of :func:`select_members`.

    Attributes
    ----------
    members : list
        Names of those to be used, in order.
    order : list of int
        Stages of the given trace, from the cheapest to the most expensive.
    trace : Trace
        The trace in that order.
    policy : BaseExitPolicy
        Fitted on it; its `stages_` are positions in `order`.
    tradeoff : TradeoffCurve
        The cross-fitted curve of all candidates, in that order.
    index : int
        The point of it that was chosen.
    """

    members: list[str]
    order: list[int]
    trace: Trace
    policy: BaseExitPolicy
    tradeoff: TradeoffCurve
    index: int  # type: ignore[assignment]

    def summary(self) -> str:
        """All models, cheapest first: accuracy, cost, exit rate, and the verdict.

        Returns
        -------
        text : str
        """
        return summarize(self.tradeoff.stage_names, self.policy, self.tradeoff, self.index)


def select_members(
    trace: Trace,
    y: ArrayLike,
    *,
    cost: ArrayLike | None = None,
    names: list[str] | None = None,
    policy: BaseExitPolicy | None = None,
    alpha: float | None = None,
    max_accuracy_drop: float | None = None,
    max_cost: float | None = None,
    sample_weight: ArrayLike | None = None,
    random_state: Any = None,
) -> MemberSelection:
    """Choose members, and their order, from the recorded answers of many models.

    Models are sorted by cost, so that an answer that may be enough comes before a more
    expensive one. The search that tunes any cascade then decides which of them to use. All
    subsets are tried for up to 8 models; for more, the least useful are dropped one by one.

    Parameters
    ----------
    trace : Trace
        Answers of every model on samples that none was fitted on.
    y : array-like of shape (n_samples,)
        Their labels.
    cost : array-like of shape (n_stages,) or (n_samples, n_stages), default=None
        Cost of each model, also on each sample. None: the costs of the rows that the trace has;
        models are sorted by their mean cost.
    names : list of str, default=None
        Of the models; None: their positions.
    policy : BaseExitPolicy, default=None
        Not changed. None: :class:`~skcascade.policies.ConfidenceThreshold`.
    alpha, max_accuracy_drop, max_cost : float, default=None
        The operating point to choose for, as for :class:`CascadeClassifier`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds of the cross-fitted curve.

    Returns
    -------
    selection : MemberSelection

    Raises
    ------
    ValueError
        If costs, names or labels do not fit the trace, or the operating point is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import Trace, select_members
    >>> X, y = load_digits(return_X_y=True)
    >>> models = {
    ...     "neighbors": KNeighborsClassifier(3),
    ...     "bayes": GaussianNB(),
    ...     "linear": LogisticRegression(C=0.01, solver="newton-cholesky"),
    ... }
    >>> answers = [cross_val_predict(m, X, y, method="predict_proba") for m in models.values()]
    >>> selection = select_members(
    ...     Trace(np.stack(answers, axis=1)), y, cost=[9, 1, 2], names=list(models), random_state=0
    ... )
    >>> selection.members
    ['linear', 'neighbors']
    """
    check_kind("trace", trace, Trace, "a Trace, such as Trace(proba)")
    costs = None if cost is None else as_floats("cost", cost)
    shapes = (trace.n_stages,), (trace.n_samples, trace.n_stages)
    if costs is not None and costs.shape not in shapes:
        raise ValueError(
            f"`cost` must hold one number for each of the {trace.n_stages} models, or a row of them"
            f" for each sample, got an array of shape {costs.shape}."
        )
    names = list(map(str, range(trace.n_stages))) if names is None else as_list("names", names)
    if len(names) != trace.n_stages:
        raise ValueError(
            f"`names` must hold {trace.n_stages} names, one for each model, got {len(names)}."
        )
    policy = ConfidenceThreshold() if policy is None else policy
    check_kind("policy", policy, BaseExitPolicy, "an exit policy")
    policy = clone(policy)
    policy.check_params()
    target = OperatingPoint.check(alpha, max_accuracy_drop, max_cost, tunable=policy.tunable)
    codes = trace.codes(y)
    weight = check_weight(sample_weight, codes)
    if costs is None or costs.ndim == 2 or trace.cost is not None:
        trace, model = resolve_costs(costs, trace, weight)
        costs = model.edge_costs_[0]
    order = np.argsort(costs, kind="stable")
    ordered = trace.select_stages(order)
    model = FixedCost(costs[order]).fit(ordered)
    tuning = Tuning(policy, ordered, codes, model, weight, random_state)
    fitted, search, index = tuning.fit(target)
    curve = search.curve.with_names([names[k] for k in order], index)
    used = [curve.stage_names[k] for k in stages_in_use(fitted, trace.n_stages)]
    return MemberSelection(used, order.tolist(), ordered, fitted, curve, index)
