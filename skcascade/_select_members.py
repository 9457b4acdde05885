"""Which of many models belong into a cascade, and in what order."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ._curve import TradeoffCurve
from ._fit_policy import check_weight
from ._operating_point import OperatingPoint
from ._summary import summarize
from ._trace import Trace
from ._tuning import Tuning
from ._walk import stages_in_use
from .costs import FixedCost
from .policies import BaseExitPolicy, ConfidenceThreshold

__all__ = ["MemberSelection", "select_members"]


class MemberSelection(NamedTuple):
    """What :func:`select_members` found.

    Attributes
    ----------
    members : list
        Names of those to be used, in order.
    order : list of int
        Stages of the trace that was given, from the cheapest to the dearest.
    trace : Trace
        The trace in that order.
    policy : BaseExitPolicy
        Fitted on it; its `stages_` are positions in `order`.
    tradeoff : TradeoffCurve
        The cross-fitted curve of all candidates, in that order.
    index : int
        The point of it that was chosen.
    """

    members: list
    order: list
    trace: Trace
    policy: BaseExitPolicy
    tradeoff: TradeoffCurve
    index: int

    def summary(self):
        """All models, cheapest first: accuracy, price, who leaves there, and the verdict.

        Returns
        -------
        text : str
        """
        return summarize(self.tradeoff.stage_names, self.policy, self.tradeoff, self.index)


def select_members(
    trace,
    y,
    *,
    cost,
    names=None,
    policy=None,
    alpha=None,
    max_accuracy_drop=None,
    max_cost=None,
    sample_weight=None,
    random_state=None,
):
    """Choose members, and their order, from the recorded answers of many models.

    Models are put in order of price, for an answer that may be enough should be asked for
    before a dearer one. Which of them are worth asking is then the search that tunes any
    cascade: a stage that does not pay is not in use. All subsets are tried for up to 8 models;
    beyond, those that are missed least are dropped one by one.

    Parameters
    ----------
    trace : Trace
        Answers of every model on samples that none was fitted on.
    y : array-like of shape (n_samples,)
        Their labels.
    cost : array-like of shape (n_stages,)
        Price of each model.
    names : list of str, default=None
        Of the models; None: their positions.
    policy : BaseExitPolicy, default=None
        Left as it is. None: :class:`~skcascade.policies.ConfidenceThreshold`.
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
        If prices, names or labels do not fit the trace, or the operating point is out of range.

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
    ...     "neighbours": KNeighborsClassifier(3),
    ...     "bayes": GaussianNB(),
    ...     "linear": LogisticRegression(C=0.01, solver="newton-cholesky"),
    ... }
    >>> answers = [cross_val_predict(m, X, y, method="predict_proba") for m in models.values()]
    >>> selection = select_members(
    ...     Trace(np.stack(answers, axis=1)), y, cost=[9, 1, 2], names=list(models), random_state=0
    ... )
    >>> selection.members
    ['linear', 'neighbours']
    """
    price = np.asarray(cost, dtype=float)
    if price.shape != (trace.n_stages,):
        raise ValueError(
            f"`cost` must give one price for each of the {trace.n_stages} models, got an array of"
            f" shape {price.shape}."
        )
    names = list(map(str, range(trace.n_stages))) if names is None else list(names)
    if len(names) != trace.n_stages:
        raise ValueError(f"`names` must name the {trace.n_stages} models, got {len(names)} names.")
    policy = clone(ConfidenceThreshold() if policy is None else policy)
    policy.check_params()
    target = OperatingPoint.check(alpha, max_accuracy_drop, max_cost, tunable=policy.tunable)
    codes = trace.codes(y)
    weight = check_weight(sample_weight, codes)
    order = np.argsort(price, kind="stable")
    ordered = trace.of_stages(order)
    prices = FixedCost(price[order]).fit(ordered)
    tuning = Tuning(policy, ordered, codes, prices, weight, random_state)
    fitted, search, index = tuning.fit(target)
    curve = search.curve.named([names[k] for k in order], index)
    used = [curve.stage_names[k] for k in stages_in_use(fitted, trace.n_stages)]
    return MemberSelection(used, order.tolist(), ordered, fitted, curve, index)
