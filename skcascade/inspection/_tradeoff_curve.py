"""The trade-off of a cascade on given samples: every stage is run once, then replayed."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from ..evidence._scoring import bootstrap_interval
from ..evidence._trace import Trace
from ..tuning._build_curve import build_curve, measure_outcome
from ..tuning._curve import TradeoffCurve
from ..tuning._fit_policy import check_weight
from ..tuning._operating_point import OperatingPoint
from ..utils._kinds import check_kind
from ..utils._weights import row_weights
from ._tradeoff_inputs import ScoredRows, inputs_from_cascade, inputs_from_trace

__all__ = ["tradeoff_curve"]

#: Folds on which a policy is tuned where it was not tuned before.
N_FOLDS = 5


def tradeoff_curve(
    cascade_or_trace: Any,
    X: Any,
    y: ArrayLike,
    *,
    points: int | ArrayLike = 20,
    by: str = "alpha",
    cv: Any = None,
    scoring: Any = None,
    n_bootstrap: int = 0,
    band_level: float = 0.95,
    policy: Any = None,
    cost: Any = None,
    sample_weight: ArrayLike | None = None,
    random_state: Any = None,
) -> TradeoffCurve:
    """Accuracy and cost at many operating points.

    Every stage is run once on `X`, however many points there are.

    Parameters
    ----------
    cascade_or_trace : CascadeClassifier or Trace
        A fitted cascade, or recorded answers.
    X : samples or None
        Rows no member was fitted on; None for a trace.
    y : array-like of shape (n_samples,)
        Their labels.
    points : int or array-like of float, default=20
        Operating points, or how many. A number is spread over the whole range: of `alpha`
        from 0.001 to 1 in equal ratios, of `max_accuracy_drop` from 0 to the drop of the
        least accurate stage, of `max_cost` from the cheapest stage to the reference stage.
    by : {"alpha", "max_accuracy_drop", "max_cost"}, default="alpha"
        The parameter of the operating points.
    cv : int, splitter or iterable, default=None
        None: the policy as the cascade tuned it on its held-out rows; `X` must be others.
        Otherwise it is tuned anew on folds of these very rows, and each row is evaluated by a
        policy that was tuned without it; members stay as they are. For a trace, None means 5
        folds.
    scoring : str or callable, default=None
        A scikit-learn scorer instead of one minus the mean loss. Policies are tuned for the
        loss all the same.
    n_bootstrap : int, default=0
        Resamples of the rows for the bands of accuracy and relative cost; 0: no bands. They
        show how far these rows may be from the population for the policies at hand; they do
        not include the spread from one tuning to another.
    band_level : float in (0, 1), default=0.95
        Coverage of each band, point by point.
    policy : BaseExitPolicy, default=None
        For a trace: the policy to tune. None:
        :class:`~skcascade.policies.ConfidenceThreshold`.
    cost : BaseCostModel or array-like of shape (n_stages,) or (n_samples, n_stages), default=None
        For a trace: as for :func:`fit_policy`. None: the costs of the rows that it has. Then the
        curve shows means of what these rows cost.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    random_state : int, RandomState instance or None, default=None
        Shuffles folds and draws resamples.

    Returns
    -------
    curve : TradeoffCurve
        With the single stages, the oracle, and the operating point of the cascade, all on
        the same rows.

    Raises
    ------
    ValueError
        If a parameter is out of range or belongs to the other kind of input.

    See Also
    --------
    skcascade.inspection.TradeoffDisplay : Draws it.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import make_cascade, tradeoff_curve
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> linear = LogisticRegression(C=0.01, solver="newton-cholesky")
    >>> cascade = make_cascade(linear, KNeighborsClassifier(3), cv=5, random_state=0)
    >>> curve = tradeoff_curve(
    ...     cascade.fit(X_train, y_train), X_test, y_test, by="max_cost", points=[0.02, 0.1, 1]
    ... )
    >>> curve.accuracy.round(3)
    array([0.964, 0.98 , 0.98 ])
    >>> curve.relative_cost.round(2)
    array([0.01, 0.1 , 0.1 ])
    >>> round(curve.area(), 3)
    0.014
    """
    rng = check_random_state(random_state)
    _check_arguments(by, n_bootstrap, band_level)
    if isinstance(cascade_or_trace, Trace):
        inputs = inputs_from_trace(cascade_or_trace, X, y, policy, cost, sample_weight)
        cv = N_FOLDS if cv is None else cv
    else:
        inputs = inputs_from_cascade(cascade_or_trace, X, y, policy, cost)
    weight = row_weights(check_weight(sample_weight, inputs.y), len(inputs.y))
    targets = inputs.targets(by, points)
    scored = ScoredRows(inputs, weight, scoring, *inputs.parts(targets, weight, cv, rng))
    n_stages = inputs.trace.n_stages
    measured, accuracy, intervals = [], [], []
    for i in range(len(targets)):
        losses, costs, exits = scored.outcome(i)
        measured.append(measure_outcome(losses, costs, exits, scored.weight, n_stages))
        if n_bootstrap:
            relative = inputs.cost.relative(costs)
            drawn = scored.metric, exits, relative, n_bootstrap, band_level, rng
            intervals.append(bootstrap_interval(*drawn))
        accuracy.append(scored.metric.value(exits))
    curve = build_curve(
        [getattr(target, by) for target in targets], measured, scored.losses, inputs.cost,
        scored.weight, stage_cost=scored.stage_cost, has_reject=inputs.trace.has_reject, by=by,
        stage_names=tuple(inputs.names),
    )  # fmt: skip
    curve = replace(curve, accuracy=np.array(accuracy), **scored.landmarks(curve))
    if not n_bootstrap:
        return curve
    accuracy_band, cost_band = np.swapaxes(intervals, 0, 1)
    return replace(curve, accuracy_band=accuracy_band, cost_band=cost_band)


def _check_arguments(by, n_bootstrap, band_level):
    """An error for what cannot be used, before any stage is run."""
    if not isinstance(by, str) or by not in OperatingPoint._fields:
        raise ValueError(f"`by` must be one of {list(OperatingPoint._fields)}, got {by!r}.")
    check_kind("n_bootstrap", n_bootstrap, Integral, "an integer")
    check_kind("band_level", band_level, Real, "a number")
    if n_bootstrap < 0:
        raise ValueError(f"`n_bootstrap` must be 0 or more, got {n_bootstrap}.")
    if not 0 < band_level < 1:
        raise ValueError(f"`band_level` must lie in (0, 1), got {band_level!r}.")
