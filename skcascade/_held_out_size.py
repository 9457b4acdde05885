"""How many held-out rows a certified operating point needs."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ._certify import TUNING_SHARE, bound_test
from ._fit_policy import fitted_cost
from ._operating_point import OperatingPoint
from ._trace import Trace
from ._tuning import Tuning
from .policies import ConfidenceThreshold

__all__ = ["HeldOutSize", "held_out_size"]


class HeldOutSize(NamedTuple):
    """Rows that operating points need, from the easiest to certify to the hardest.

    Attributes
    ----------
    relative_cost, accuracy : ndarray of shape (n_points,)
        Cross-fitted.
    n_rows : ndarray of shape (n_points,)
        Held-out rows on which the point is likely certified; inf: on none.
    """

    relative_cost: np.ndarray
    accuracy: np.ndarray
    n_rows: np.ndarray


def held_out_size(
    cascade_or_trace,
    y=None,
    *,
    max_accuracy_drop=None,
    max_cost=None,
    confidence_level=0.9,
    power=0.8,
    policy=None,
    cost=None,
    random_state=None,
):
    """How many held-out rows it takes to certify an operating point.

    A pilot, some rows with the answers of every stage, tells how often a candidate and the
    reference stage disagree and who is right then. From that follows on how many rows the
    test behind `confidence_level` will succeed. Part of the rows tunes the policy, so
    these are more than the test alone needs.

    Parameters
    ----------
    cascade_or_trace : CascadeClassifier or Trace
        A fitted cascade, whose held-out rows are the pilot, or recorded answers.
    y : array-like of shape (n_samples,), default=None
        Labels, with a trace.
    max_accuracy_drop, max_cost : float, default=None
        The bound to certify; none means `max_accuracy_drop=0`.
    confidence_level : float in (0, 1), default=0.9
        With which it is to hold.
    power : float in (0, 1), default=0.8
        Probability with which the proof is to succeed.
    policy : BaseExitPolicy, default=None
        With a trace: what is tuned. None: :class:`~skcascade.policies.ConfidenceThreshold`.
    cost : BaseCostModel or array-like of shape (n_stages,), default=None
        With a trace, which needs it: fitted prices, or the price of each stage.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds of the cross-fitted curve.

    Returns
    -------
    size : HeldOutSize
        One point for each candidate in the order in which they are tested: under a bound on
        the drop from the dearest to the cheapest, under one on the cost from the cheapest to
        the dearest. Each needs all before it to succeed.

    Raises
    ------
    ValueError
        If a parameter is out of range or belongs to the other kind of input.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace, held_out_size
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=2000)
    >>> skill = rng.uniform(0.5, 1, size=(2000, 2)) ** [1.0, 0.3]
    >>> right = rng.uniform(size=(2000, 2)) < skill
    >>> pred = np.where(right, y[:, None], 1 - y[:, None])
    >>> pilot = Trace.from_top1(pred, skill, n_classes=2)
    >>> size = held_out_size(pilot, y, max_accuracy_drop=0.02, cost=[1, 10], random_state=0)
    >>> for goal in (0.9, 0.8):
    ...     print(goal, int(size.n_rows[size.relative_cost <= goal][0]))
    0.9 305
    0.8 3156
    """
    target = OperatingPoint.check(None, max_accuracy_drop, max_cost, confidence_level)
    if not 0 < power < 1:
        raise ValueError(f"`power` must lie in (0, 1), got {power!r}.")
    if isinstance(cascade_or_trace, Trace):
        trace = cascade_or_trace
        if y is None or cost is None:
            raise ValueError("A trace needs `y` and `cost`, the price of each stage.")
        policy = clone(ConfidenceThreshold() if policy is None else policy)
        prices = fitted_cost(cost, trace)
        tuning = Tuning(policy, trace, trace.codes(y), prices, random_state=random_state)
    else:
        check_is_fitted(cascade_or_trace)
        if not (y is None and policy is None and cost is None):
            raise ValueError("`y`, `policy` and `cost` are for a trace; a cascade has its own.")
        tuning = cascade_or_trace._tuning
        tuning.need_trace()
    search = tuning.search()
    test = bound_test(search, target, tuning.trace, tuning.y, tuning.cost)
    fresh = np.array([test.n_needed(i, 1 - confidence_level, power) for i in test.order])
    n_rows = np.ceil(np.maximum.accumulate(fresh) / (1 - TUNING_SHARE))
    curve = search.curve
    return HeldOutSize(curve.relative_cost[test.order], curve.accuracy[test.order], n_rows)
