"""How many held-out rows a certified operating point needs."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..evidence._trace import Trace
from ..policies import BaseExitPolicy, ConfidenceThreshold
from ..utils._kinds import check_fitted_cascade, check_kind
from ._fit_policy import fitted_cost
from ._operating_point import OperatingPoint
from ._risk_control import TUNING_SHARE, bound_test
from ._tuning import Tuning, get_tuning

__all__ = ["SampleSize", "sample_size"]


class SampleSize(NamedTuple):
    """Rows that operating points need, from the easiest to certify to the hardest.

    Attributes
    ----------
    relative_cost, accuracy : ndarray of shape (n_points,)
        Cross-fitted.
    n_rows : ndarray of shape (n_points,)
        Held-out rows on which the point is likely certified; inf: on none.
    """

    relative_cost: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    n_rows: NDArray[np.float64]


def sample_size(
    cascade_or_trace: Any,
    y: ArrayLike | None = None,
    *,
    max_accuracy_drop: float | None = None,
    max_cost: float | None = None,
    confidence_level: float = 0.9,
    power: float = 0.8,
    policy: Any = None,
    cost: Any = None,
    random_state: Any = None,
) -> SampleSize:
    """How many held-out rows it takes to certify an operating point.

    A pilot, some rows with the answers of every stage, shows how often a candidate and the
    reference stage disagree, and which is correct then. From that follows on how many rows the
    test behind `confidence_level` will succeed. Part of the rows tunes the policy, so
    the number is larger than the test alone needs.

    Parameters
    ----------
    cascade_or_trace : CascadeClassifier or Trace
        A fitted cascade, whose held-out rows are the pilot, or recorded answers.
    y : array-like of shape (n_samples,), default=None
        Labels, with a trace.
    max_accuracy_drop, max_cost : float, default=None
        The bound to certify; none means `max_accuracy_drop=0`.
    confidence_level : float in (0, 1), default=0.9
        Of the certificate.
    power : float in (0, 1), default=0.8
        Probability with which the test is to succeed.
    policy : BaseExitPolicy, default=None
        With a trace: the policy to tune. None: :class:`~skcascade.policies.ConfidenceThreshold`.
    cost : BaseCostModel or array-like of shape (n_stages,), default=None
        With a trace, which needs it: a fitted cost model, or the cost of each stage.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds of the cross-fitted curve.

    Returns
    -------
    size : SampleSize
        One point for each candidate in the order in which they are tested: under a bound on
        the drop from the most expensive to the cheapest, under one on the cost from the
        cheapest to the most expensive. Each needs all before it to succeed.

    Raises
    ------
    ValueError
        If a parameter is out of range or belongs to the other kind of input.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace, sample_size
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=2000)
    >>> skill = rng.uniform(0.5, 1, size=(2000, 2)) ** [1.0, 0.3]
    >>> right = rng.uniform(size=(2000, 2)) < skill
    >>> pred = np.where(right, y[:, None], 1 - y[:, None])
    >>> pilot = Trace.from_top1(pred, skill, n_classes=2)
    >>> size = sample_size(pilot, y, max_accuracy_drop=0.02, cost=[1, 10], random_state=0)
    >>> for goal in (0.9, 0.8):
    ...     print(goal, int(size.n_rows[size.relative_cost <= goal][0]))
    0.9 305
    0.8 3156
    """
    target = OperatingPoint.check(None, max_accuracy_drop, max_cost, confidence_level)
    check_kind("confidence_level", confidence_level, Real, "a number")
    check_kind("power", power, Real, "a number")
    if not 0 < power < 1:
        raise ValueError(f"`power` must lie in (0, 1), got {power!r}.")
    if isinstance(cascade_or_trace, Trace):
        trace = cascade_or_trace
        if y is None or cost is None:
            raise ValueError("A trace needs `y` and `cost`, the cost of each stage.")
        policy = ConfidenceThreshold() if policy is None else policy
        check_kind("policy", policy, BaseExitPolicy, "an exit policy")
        policy = clone(policy)
        fitted = fitted_cost(cost, trace)
        tuning = Tuning(policy, trace, trace.codes(y), fitted, random_state=random_state)
    else:
        check_fitted_cascade("cascade_or_trace", cascade_or_trace)
        check_is_fitted(cascade_or_trace)
        if not (y is None and policy is None and cost is None):
            raise ValueError("`y`, `policy` and `cost` are for a trace; a cascade has its own.")
        tuning = get_tuning(cascade_or_trace)
    search = tuning.search()
    test = bound_test(search, target, tuning.trace, tuning.y, tuning.cost)
    n_test = np.array([test.n_needed(i, 1 - confidence_level, power) for i in test.order])
    n_rows = np.ceil(np.maximum.accumulate(n_test) / (1 - TUNING_SHARE))
    curve = search.curve
    return SampleSize(curve.relative_cost[test.order], curve.accuracy[test.order], n_rows)
