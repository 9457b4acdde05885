"""The trade-off of a cascade on given samples: every stage is run once, then replayed."""

from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._curve import curve_of, oracle_exits, reference_of
from ._fit_policy import check_weight, fitted_cost
from ._fitting import split_rows
from ._metric import MeanLoss, Scored, band
from ._operating_point import OperatingPoint
from ._trace import Trace
from ._tuning import Tuning
from ._validation import check_samples
from ._walk import walk
from .costs import BaseCostModel
from .policies import BaseExitPolicy, ConfidenceThreshold
from .policies._base import row_weights

__all__ = ["recorded", "tradeoff_curve"]

#: Folds on which a policy is tuned where it was not tuned before.
N_FOLDS = 5
#: Prices that a number of points is spread over.
ALPHA_RANGE = 1e-3, 1.0


def tradeoff_curve(
    cascade_or_trace,
    X,
    y,
    *,
    points=20,
    by="alpha",
    cv=None,
    scoring=None,
    n_bootstrap=0,
    band_level=0.95,
    policy=None,
    cost=None,
    sample_weight=None,
    random_state=None,
):
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
        The dial that is moved.
    cv : int, splitter or iterable, default=None
        None: the policy as the cascade tuned it on its held-out rows; `X` must be others.
        Otherwise it is tuned anew on folds of these very rows, and each row is judged by a
        policy that was tuned without it; members stay as they are. A trace has nothing to
        fall back on: None means 5 folds.
    scoring : str or callable, default=None
        A scikit-learn scorer instead of one less the mean loss. Policies are tuned for the
        loss all the same.
    n_bootstrap : int, default=0
        Resamples of the rows for the bands of accuracy and relative cost; 0: no bands. They
        tell how far these rows may be from the population for the policies at hand; the
        spread from one tuning to another is not in them.
    band_level : float in (0, 1), default=0.95
        What each band covers, point by point.
    policy : BaseExitPolicy, default=None
        For a trace: what is tuned. None: :class:`~skcascade.policies.ConfidenceThreshold`.
    cost : BaseCostModel or array-like of shape (n_stages,), default=None
        For a trace, which needs it: fitted prices, or the price of each stage.
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
    array([0.964, 0.982, 0.984])
    >>> curve.relative_cost.round(2)
    array([0.01, 0.11, 0.14])
    >>> round(curve.area(), 3)
    0.018
    """
    rng = check_random_state(random_state)
    if by not in OperatingPoint._fields:
        raise ValueError(f"`by` must be one of {list(OperatingPoint._fields)}, got {by!r}.")
    if isinstance(cascade_or_trace, Trace):
        given = _of_trace(cascade_or_trace, X, y, policy, cost)
        cv = N_FOLDS if cv is None else cv
    else:
        given = _of_cascade(cascade_or_trace, X, y, policy, cost)
    weight = row_weights(check_weight(sample_weight, given.y), len(given.y))
    if n_bootstrap < 0:
        raise ValueError(f"`n_bootstrap` must be 0 or more, got {n_bootstrap}.")
    if not 0 < band_level < 1:
        raise ValueError(f"`band_level` must lie in (0, 1), got {band_level!r}.")
    targets = given.targets(by, points)
    judged = _Judged(given, weight, scoring, *given.parts(targets, weight, cv, rng))
    bands = []

    def way(i):
        losses, prices, exits = judged.way(i)
        if n_bootstrap:
            relative = given.cost.relative(prices)
            bands.append(band(judged.metric, exits, relative, n_bootstrap, band_level, rng))
        return losses, prices, exits

    curve = judged.curve([getattr(target, by) for target in targets], by, way)
    if not n_bootstrap:
        return curve
    accuracy_band, cost_band = np.swapaxes(bands, 0, 1)
    return replace(curve, accuracy_band=accuracy_band, cost_band=cost_band)


class _Given(NamedTuple):
    """What is asked about: answers, labels, and how a policy gets tuned.

    Attributes
    ----------
    trace : Trace
        With classes.
    y : ndarray of int, shape (n_samples,)
        Codes.
    policy, cost : BaseExitPolicy, BaseCostModel
        To be tuned on folds; fitted.
    names : list of str
    confidence_level : float or None
    tuning : Tuning or None
        By which the policy is tuned without these rows.
    deployed : BaseExitPolicy or None
        The policy in use.
    reject_label : int, float, str or None
        Of samples without an answer.
    """

    trace: Trace
    y: np.ndarray
    policy: BaseExitPolicy
    cost: BaseCostModel
    names: list
    confidence_level: float | None = None
    tuning: Tuning | None = None
    deployed: BaseExitPolicy | None = None
    reject_label: Any = None

    def targets(self, by, points):
        """The operating points, checked."""
        if isinstance(points, Integral):
            if points < 1:
                raise ValueError(f"`points` must be 1 or more, got {points}.")
            points = self._spread(by, points)
        points = np.asarray(points, dtype=float)
        if points.ndim != 1 or not points.size:
            raise ValueError(
                "`points` must be a number of points or a sequence of operating points, got an"
                f" array of shape {points.shape}."
            )
        checks = {"confidence_level": self.confidence_level, "tunable": self.policy.tunable}
        return [OperatingPoint.check(**{by: float(point)}, **checks) for point in points]

    def _spread(self, by, n):
        """`n` points over the whole range of a dial."""
        accuracy = 1 - self.trace.losses(self.y).mean(axis=0)
        cost = self.cost.relative(self.cost.edge_costs_[0])
        reference = reference_of(accuracy, cost, self.trace.no_answer)
        ends = {
            "max_accuracy_drop": (0, min(accuracy.max() - accuracy.min(), 0.999)),
            "max_cost": (max(cost.min(), 1e-9), cost[reference]),
        }
        return np.linspace(*ends[by], n) if by in ends else np.geomspace(*ALPHA_RANGE, n)

    def parts(self, targets, weight, cv, rng):
        """The rows that are judged, and parts of them with a policy for each target."""
        if cv is None:
            policies, *_ = self.tuning.fit_all(targets, self.confidence_level)
            return slice(None), [(slice(None), policies)]
        if isinstance(cv, str):
            raise ValueError(f"`cv` must be folds of the rows, or None, got {cv!r}.")
        splits = split_rows(cv, self.y, self.y, rng)
        parts, start = [], 0
        for fit, test in splits:
            tuning = Tuning(
                self.policy, self.trace.rows(fit), self.y[fit], self.cost, weight[fit], rng
            )
            policies, *_ = tuning.fit_all(targets, self.confidence_level)
            parts.append((slice(start, start + len(test)), policies))
            start += len(test)
        return np.concatenate([test for _, test in splits]), parts


def _of_trace(trace, X, y, policy, cost):
    if X is not None:
        raise ValueError("`X` must be None for a trace, which holds the answers already.")
    policy = ConfidenceThreshold() if policy is None else policy
    policy.check_params()
    if cost is None:
        raise ValueError(
            "`cost` is needed with a trace: the price of each stage, such as [1.0, 20.0], or a"
            " fitted cost model."
        )
    names = list(map(str, range(trace.n_stages)))
    return _Given(trace, trace.codes(y), policy, fitted_cost(cost, trace), names)


def recorded(cascade, X):
    """What every stage of a fitted cascade says of `X`, with its labels and its loss."""
    return Trace.record(
        cascade._stages,
        check_samples(cascade, X),
        classes=cascade.classes_,
        loss=cascade._tuning.loss,
        batch_size=cascade.batch_size,
    )


def _of_cascade(cascade, X, y, policy, cost):
    check_is_fitted(cascade)
    if policy is not None or cost is not None:
        raise ValueError("`policy` and `cost` are for a trace; a cascade has its own.")
    trace = recorded(cascade, X)
    return _Given(
        trace,
        trace.codes(y),
        cascade._tuning.policy,
        cascade.cost_,
        cascade.stage_names_,
        cascade.confidence_level,
        cascade._tuning,
        cascade.policy_,
        cascade.reject_label,
    )


class _Judged:
    """The rows that are judged, part by part.

    Parameters
    ----------
    given : _Given
    weight : ndarray of shape (n_samples,)
    scoring : str, callable or None
    rows : slice or ndarray of int
        Of `given`, in the order of the parts.
    parts : list of (slice, list of BaseExitPolicy)
        A policy for each target.
    """

    def __init__(self, given, weight, scoring, rows, parts):
        self.given, self.parts = given, parts
        self.trace, self.y, self.weight = given.trace.rows(rows), given.y[rows], weight[rows]
        self.losses = self.trace.losses(self.y)
        self.metric = MeanLoss(self.losses, self.weight)
        if scoring is not None:
            self.metric = Scored(scoring, self.trace, self.y, self.weight, given.reject_label)

    def way(self, i):
        """Loss, price and exit of every row at point `i`, of shape (n_samples,) each."""
        ways = [walk(self.trace.rows(part), policies[i]) for part, policies in self.parts]
        exits = np.concatenate([way.exit for way in ways])
        prices = self.given.cost.path_cost(np.concatenate([way.visited for way in ways]))
        return self.losses[np.arange(len(exits)), exits], prices, exits

    def curve(self, values, by, way):
        """The curve through the points `way(i)`, and what the metric says of them."""
        accuracy = []

        def ways():
            for i in range(len(values)):
                losses, prices, exits = way(i)
                accuracy.append(self.metric.value(exits))
                yield losses, prices, exits

        curve = curve_of(
            values, ways(), self.losses, self.given.cost, self.weight,
            no_answer=self.trace.no_answer, by=by, stage_names=tuple(self.given.names),
        )  # fmt: skip
        landmarks = self._landmarks(curve)
        return replace(curve, accuracy=np.array(accuracy), metric=self.metric.name, **landmarks)

    def _landmarks(self, curve):
        """Stages alone, oracle and the policy in use, as the metric sees them."""
        n, n_stages = self.losses.shape
        accuracy = np.array([self.metric.value(np.full(n, k)) for k in range(n_stages)])
        best = oracle_exits(self.losses, curve.stage_cost)
        found = {
            "stage_accuracy": accuracy,
            "reference": reference_of(accuracy, curve.stage_cost, self.trace.no_answer),
            "oracle": (curve.oracle[0], self.metric.value(best)),
        }
        if self.given.deployed is not None:
            way = walk(self.trace, self.given.deployed)
            price = self.given.cost.relative(self.given.cost.path_cost(way.visited))
            price = float(np.average(price, weights=self.weight))
            found["chosen"] = price, self.metric.value(way.exit)
        return found
