"""How many held-out rows a certified operating point needs, by simulation.

A pilot is split at random, many times. One half takes the place of the rows that tune, the other
half that of the population: the rows that test are drawn from it. So what is certified on a number
of rows, and how often, is the outcome of the whole procedure. No row tunes and tests at once.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..evidence._row_costs import stage_costs
from ..evidence._trace import Trace
from ..policies import BaseExitPolicy, ConfidenceThreshold
from ..stats._betting import bet_size, betting_p_value
from ..stats._paired_risk_difference import paired_p_value, score_statistic
from ..utils._kinds import check_fitted_cascade, check_kind
from ._bound_tests import bound_test
from ._fit_policy import resolve_costs
from ._operating_point import OperatingPoint, check_reachable
from ._risk_control import TUNING_SHARE, best_certified
from ._search import SEARCH_ROWS, Search, compute_outcome
from ._tuning import Tuning, get_tuning

__all__ = ["SampleSize", "sample_size"]

#: Numbers of rows that are tried: 100 to about a million, in ratios of the square root of 2.
N_ROWS = np.round(100 * 2.0 ** (np.arange(28) / 2))
#: Numbers of tuning rows have this ratio at least; each is used until the next.
TUNING_RATIO = 3
#: Test splits that are drawn for each search and number of rows.
N_DRAWS = 3
#: Scores further than this over the root of the number of rows from the level are clear.
CLEAR = 15.0
#: Test rows beyond which the final wealth stands for the largest one.
BETTING_ROWS = 10_000


class SampleSize(NamedTuple):
    """What is certified on a number of held-out rows.

    Attributes
    ----------
    n_rows : ndarray of shape (n_points,)
        Numbers of rows, rising.
    relative_cost : ndarray of shape (n_points,)
        With at least the probability `power` the certified policy costs at most this, as a share
        of the last stage; inf where nothing is certified as often.
    accuracy : ndarray of shape (n_points,)
        With at least the probability `power` it has at least this score (one minus the mean
        loss); -inf where nothing is certified as often.
    certified : ndarray of shape (n_points,)
        Share of the simulations in which anything is certified.
    """

    n_rows: NDArray[np.float64]
    relative_cost: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    certified: NDArray[np.float64]


def sample_size(
    cascade_or_trace: Any,
    y: ArrayLike | None = None,
    *,
    max_accuracy_drop: float | None = None,
    max_cost: float | None = None,
    confidence_level: float = 0.9,
    power: float = 0.8,
    n_splits: int = 20,
    policy: Any = None,
    cost: Any = None,
    random_state: Any = None,
) -> SampleSize:
    """How many held-out rows it takes to certify an operating point.

    A pilot, some rows with the answers of every stage, is split into halves at random. On as many
    rows of one half as there would be, the policy is tuned; rows drawn from the other half test
    it. The certified policy is evaluated on that half. The result is read as
    ``size.n_rows[size.relative_cost <= goal][0]``. With a small pilot it is conservative, since
    the rows that tune are at most half of it.

    The policy is tuned about 4 times for each split. On a pilot of 2,000 rows, that takes some
    5 seconds with two stages, and 20 with four.

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
        Probability with which the goal is to be reached.
    n_splits : int, default=20
        Random splits of the pilot. Fewer are faster, with a policy that takes long to tune.
    policy : BaseExitPolicy, default=None
        With a trace: the policy to tune. None: :class:`~skcascade.policies.ConfidenceThreshold`.
    cost : BaseCostModel or array-like of shape (n_stages,) or (n_samples, n_stages), default=None
        With a trace: as for :func:`fit_policy`. None: the costs of the rows that it has.
    random_state : int, RandomState instance or None, default=None
        Draws the splits and the rows. None with a cascade: as its `random_state` says.

    Returns
    -------
    size : SampleSize
        For each number of rows, from 100 to about a million, what is certified with the
        probability `power`. Under a bound on the drop the cost falls, under one on the cost the
        accuracy rises.

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
    0.9 400
    0.8 2263
    """
    target = OperatingPoint.check(None, max_accuracy_drop, max_cost, confidence_level)
    check_kind("confidence_level", confidence_level, Real, "a number")
    check_kind("power", power, Real, "a number")
    check_kind("n_splits", n_splits, Integral, "an integer")
    if not 0 < power < 1:
        raise ValueError(f"`power` must lie in (0, 1), got {power!r}.")
    if n_splits < 1:
        raise ValueError(f"`n_splits` must be 1 or more, got {n_splits!r}.")
    tuning = _pilot(cascade_or_trace, y, policy, cost)
    if max_cost is not None:
        each = np.atleast_2d(stage_costs(tuning.trace, tuning.cost)).mean(axis=0)
        check_reachable(max_cost, tuning.cost.relative(each))
    seed = tuning.seed if random_state is None else random_state
    found = _simulate(tuning, target, 1 - confidence_level, n_splits, check_random_state(seed))
    relative_cost = np.quantile(found[..., 0], power, axis=0, method="inverted_cdf")
    accuracy = -np.quantile(-found[..., 1], power, axis=0, method="inverted_cdf")
    if max_cost is None:  # what holds on a number of rows is to hold on any more
        relative_cost = np.maximum.accumulate(relative_cost[::-1])[::-1]
    else:
        accuracy = np.minimum.accumulate(accuracy[::-1])[::-1]
    return SampleSize(N_ROWS.copy(), relative_cost, accuracy, np.isfinite(found[..., 0]).mean(0))


def _pilot(cascade_or_trace, y, policy, cost):
    """The tuning that the pilot allows: of a cascade its own."""
    if isinstance(cascade_or_trace, Trace):
        trace = cascade_or_trace
        if y is None or (cost is None and trace.cost is None):
            raise ValueError("A trace needs `y` and `cost`, the cost of each stage.")
        policy = ConfidenceThreshold() if policy is None else policy
        check_kind("policy", policy, BaseExitPolicy, "an exit policy")
        policy = clone(policy)
        trace, model = resolve_costs(cost, trace)
        return Tuning(policy, trace, trace.codes(y), model)
    check_fitted_cascade("cascade_or_trace", cascade_or_trace)
    check_is_fitted(cascade_or_trace)
    if not (y is None and policy is None and cost is None):
        raise ValueError("`y`, `policy` and `cost` are for a trace; a cascade has its own.")
    return get_tuning(cascade_or_trace)


def _simulate(tuning, target, level, n_splits, rng):
    """Relative cost and accuracy that are certified, (n_simulations, n_points, 2)."""
    weight = tuning.sample_weight
    rows = np.arange(len(tuning.y)) if weight is None else np.flatnonzero(weight > 0)
    found = []
    for _ in range(n_splits):
        order = rng.permutation(rows)[: 2 * SEARCH_ROWS]
        half = max(1, len(order) // 2)
        found.extend(_simulate_split(tuning, target, level, order[:half], order[-half:], rng))
    return np.array(found)


def _simulate_split(tuning, target, level, tuned, population, rng):
    """The same for one split of the pilot, (N_DRAWS, n_points, 2)."""
    found = np.empty((N_DRAWS, len(N_ROWS), 2))
    size, sequence = 0, None
    for i, n_rows in enumerate(N_ROWS):
        n_tuned = round(TUNING_SHARE * n_rows)
        if size < len(tuned) and n_tuned >= min(TUNING_RATIO * size, len(tuned)):
            size = min(n_tuned, len(tuned))
            sequence = _Sequence(tuning, target, level, tuned[:size], population, rng)
        for draw in range(N_DRAWS):
            found[draw, i] = sequence.certified(int(n_rows) - n_tuned, rng)
    return found


class _Sequence:
    """The candidates tuned on some rows of the pilot, and their tests on draws from others."""

    def __init__(self, tuning, target, level, tuned, population, rng):
        self.tuning, self.level, self.population = tuning, level, population
        search = Search.run(
            tuning.policy, tuning.trace.rows(tuned), tuning.y[tuned], tuning.cost, random_state=rng
        )
        self.search = search._replace(rows=tuned[search.rows])
        self.order, self.outcomes = [], {}
        if target.max_cost is not None and search.curve.stage_cost.min() > target.max_cost:
            return  # costs of the rows: on these no stage keeps to the bound
        given = tuning.trace, tuning.y, tuning.cost, tuning.groups
        self.test = bound_test(self.search, target, *given)
        self.order = self.test.order
        self.groups = self.test.groups.codes
        self.labels = np.arange(len(self.test.groups.labels))
        self.pilot = [self.test.values(k, self.search.rows) for k in self.order]
        self.values = [self.test.values(k, population) for k in self.order]
        self.exact = getattr(self.test, "zero_one", False)
        if self.exact and len(self.order):
            values = np.array(self.values).transpose(0, 2, 1)  # (n_candidates, n_rivals, n_rows)
            self.worse, self.better = (values > 0).astype(float), (values < 0).astype(float)

    def certified(self, n_test, rng):
        """Relative cost and accuracy of what is certified on `n_test` rows; else inf, -inf."""
        if not len(self.order):
            return np.inf, -np.inf
        n = len(self.population)
        drawn = rng.multinomial(n_test, np.full(n, 1 / n))  # how often each row is
        groups = self.groups[self.population]
        parts = np.array([drawn * (groups == label) for label in self.labels])
        p_values = self._exact(parts) if self.exact else self._by_betting(parts, rng)
        index = best_certified(self.test, p_values, self.level)
        return (np.inf, -np.inf) if index is None else self._outcome(index)

    def _outcome(self, index):
        """Relative cost and accuracy of a candidate on the population."""
        if index not in self.outcomes:
            tuning, rows = self.tuning, self.population
            trace = tuning.trace.rows(rows)
            given = trace, self.search.policies[index], trace.losses(tuning.y[rows]), tuning.cost
            loss, cost, _ = compute_outcome(*given)
            self.outcomes[index] = tuning.cost.relative(cost).mean(), 1 - loss.mean()
        return self.outcomes[index]

    def _exact(self, parts):
        """P-values of candidates with 0/1 losses; 0 or 1 where they are clearly off the level."""
        n = parts.sum(axis=1)
        worse, better = self.worse @ parts.T, self.better @ parts.T  # (..., n_groups)
        near = CLEAR / np.sqrt(np.maximum(n, 1))
        score = score_statistic(worse, better, n, self.test.bound) - ndtri(self.level)
        for k in range(len(self.order)):
            if (score[k] > near).any():
                yield 1.0
                return
            close = np.argwhere(score[k] >= -near)
            counts = ((worse[k, r, g], better[k, r, g], n[g]) for r, g in close)
            given = self.test.bound, 0.01 * self.level
            yield max((paired_p_value(*map(int, count), *given) for count in counts), default=0.0)

    def _by_betting(self, parts, rng):
        """P-values of candidates with any other losses, or of their costs."""
        n, rows = parts.sum(axis=1), []
        for size, part in zip(n, parts):
            small = size <= BETTING_ROWS
            rows.append(rng.permutation(np.repeat(np.arange(len(part)), part)) if small else part)
        tuned = self.groups[self.search.rows]
        for k, index in enumerate(self.order):
            upper = self.test.upper(index)
            yield max(
                self._bet(self.pilot[k][tuned == label, r], self.values[k][:, r], upper, *drawn)
                for r in range(self.values[k].shape[1])
                for label, *drawn in zip(self.labels, n, rows)
            )

    def _bet(self, pilot, values, upper, n, rows):
        """P-value of one bound: `rows` are those drawn, or of many how often each is."""
        bound = self.test.bound
        if bound >= upper:
            return 0.0
        if n <= BETTING_ROWS:
            return betting_p_value(pilot, values[rows], bound, upper, self.level)
        bet = min(bet_size(pilot, n, bound, self.level), 0.99 / (upper - bound))
        return np.exp(-max(0.0, rows @ np.log1p(bet * (bound - values))))
