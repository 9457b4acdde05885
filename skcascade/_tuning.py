"""The choice of the operating point: one piece of code for all policies.

Candidates are the policy fitted at each price of a grid, and every stage alone; they do not
depend on the target. Their curve is cross-fitted on folds of the trace, so that it is honest,
and every operating point is an argmin over that one curve.
"""

import warnings
from bisect import bisect_left
from copy import copy
from pickle import PicklingError
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from ._certify import TUNING_SHARE, certified
from ._curve import TradeoffCurve, curve_of
from ._no_answer import with_free_stage
from ._operating_point import OperatingPoint
from ._walk import stages_in_use, walk
from .costs._fixed import check_cost
from .exceptions import CascadeWarning
from .policies._base import row_weights, use_stages
from .utils._digest import digest

__all__ = ["Search", "Tuning", "check_weight", "fit_policy", "fitted_cost"]

#: Folds of the curve.
N_FOLDS = 7
#: Candidates are searched on at most this many rows; the chosen one is polished on all.
SEARCH_ROWS = 20_000
#: Prices of the candidates, in units of accuracy per full run of the last stage.
#: Close where most choices are made; the ends serve large traces and very cheap stages.
ALPHAS = np.r_[np.geomspace(5e-5, 1.5e-3, 6), np.geomspace(2e-3, 2, 61), np.geomspace(3, 200, 6)]
#: What giving no answer may lose where an error rate is asked for; at 0 nobody gets one.
REJECT_COSTS = np.r_[np.geomspace(0.6, 0.002, 32), 0.0]


class Search(NamedTuple):
    """Candidates of a policy on a trace, and their honest curve.

    Attributes
    ----------
    policies : list of BaseExitPolicy
        The candidates, fitted on all rows that were searched.
    curve : TradeoffCurve
        Of the same candidates, cross-fitted.
    rows, fresh : ndarray of int
        The rows searched, and those kept for certification.
    polish : bool
        Whether a chosen candidate is to be fitted once more, on all rows there are.
    """

    policies: list
    curve: TradeoffCurve
    rows: np.ndarray
    fresh: np.ndarray
    polish: bool

    @classmethod
    def run(cls, policy, trace, y, cost, *, sample_weight=None, certify=False, random_state=None):
        """Fit the candidates and cross-fit their curve."""
        rng = check_random_state(random_state)
        rows, fresh = np.arange(len(y)), np.empty(0, dtype=int)
        if sample_weight is not None:
            rows = np.flatnonzero(sample_weight > 0)
        if certify:  # a plain random split: the proof needs rows in random order
            rows = rng.permutation(rows)
            rows, fresh = np.split(rows, [max(1, round(TUNING_SHARE * len(rows)))])
        found = len(rows)
        rows = rows[_stratified(y[rows], rng)][:SEARCH_ROWS]
        weight = row_weights(None if sample_weight is None else sample_weight[rows], len(rows))
        # Rows are in stratified order from here on, so that every seventh of them is a fold.
        searched, codes = trace.rows(rows), y[rows]
        policies, alphas = candidates(policy, searched, codes, cost, weight)
        curve = _cross_fit(policy, searched, codes, cost, weight, policies, alphas)
        return cls(policies, curve, rows, fresh, not certify and len(rows) < found)

    @property
    def reference(self):
        """Index of the candidate that a drop is measured against."""
        if self.curve.no_answer:
            return int(self.curve.accuracy.argmax())
        return self.alone(self.curve.reference)

    def alone(self, stage):
        """Index of the candidate that is `stage` alone."""
        return len(self.policies) - len(self.curve.stage_cost) + stage


def candidates(policy, trace, y, cost, weight):
    """The policy at each price and every stage alone, with the prices (NaN: alone)."""
    alphas = ALPHAS if policy.tunable else ALPHAS[:1]
    path = policy.fit_path(trace, y, cost, alphas, weight)
    alone = [use_stages(path[0], [k]) for k in range(trace.n_stages)]
    return path + alone, np.r_[alphas, np.full(len(alone), np.nan)]


def _stratified(y, rng):
    """All rows in an order of which every run holds its share of every class."""
    shuffled = rng.permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    rank = np.arange(len(y)) - np.searchsorted(y[by_class], y[by_class])
    share = (rank + rng.uniform(size=len(y))) / np.bincount(y)[y[by_class]]
    return by_class[np.argsort(share)]


def _cross_fit(policy, trace, y, cost, weight, policies, alphas):
    """Curve of the candidates, each sample judged by a fit that did not see it."""
    fold = np.arange(len(y)) % N_FOLDS
    shape = len(alphas), len(y)
    losses, prices, exits = np.empty(shape), np.empty(shape), np.empty(shape, dtype=np.int32)
    stage_losses = trace.losses(y)
    for i in np.unique(fold):
        test = np.flatnonzero(fold == i)
        fit = np.flatnonzero(fold != i) if len(y) > 1 else test
        path, _ = candidates(policy, trace.rows(fit), y[fit], cost, weight[fit])
        held_out = trace.rows(test)
        for j, candidate in enumerate(path):
            way = way_of(held_out, candidate, stage_losses[test], cost)
            losses[j, test], prices[j, test], exits[j, test] = way
    for j, candidate in enumerate(policies):
        in_use = stages_in_use(candidate, trace.n_stages)
        if len(in_use) == 1:  # nothing was tuned: it is that stage, whatever the folds made of it
            losses[j], exits[j] = stage_losses[:, in_use[0]], in_use[0]
            prices[j] = cost.edge_costs_[0, in_use[0]]
    ways = zip(losses, prices, exits)
    return curve_of(alphas, ways, stage_losses, cost, weight, no_answer=trace.no_answer)


def way_of(trace, policy, losses, cost):
    """Loss at the exit taken, cost of the way taken, and exit, of shape (n_samples,) each."""
    way = walk(trace, policy)
    return losses[np.arange(len(losses)), way.exit], cost.path_cost(way.visited), way.exit


def _search(key, tuning, certify):
    return Search.run(
        tuning.policy,
        tuning.trace,
        tuning.y,
        tuning.cost,
        sample_weight=tuning.sample_weight,
        certify=certify,
        random_state=tuning.seed,
    )


class Tuning:
    """A policy, the evidence it is tuned on, and every operating point of it.

    Parameters
    ----------
    policy : BaseExitPolicy
        Unfitted.
    trace : Trace
        May be set to None later; operating points that need it are an error then.
    y : ndarray of int, shape (n_samples,)
        Codes.
    cost : BaseCostModel
        Fitted.
    sample_weight : ndarray of shape (n_samples,) or None
    random_state : int, RandomState or None

    Attributes
    ----------
    searches : dict
        One :class:`Search` for certified points (True) and one for others (False), made
        when they are asked for.
    """

    def __init__(self, policy, trace, y, cost, sample_weight=None, random_state=None):
        self.policy, self.trace, self.y, self.cost = policy, trace, y, cost
        self.loss = trace.loss
        self.sample_weight = sample_weight
        self.seed = check_random_state(random_state).randint(2**31 - 1)
        self.searches = {}

    def fit(self, target, confidence_level=None):
        """The policy fitted at `target`, and the search it comes from and its index there."""
        policies, search, indices = self.fit_all([target], confidence_level)
        return policies[0], search, indices[0]

    def fit_all(self, targets, confidence_level=None):
        """The same for each of several targets, all from one search."""
        certify = confidence_level is not None
        search = self.search(certify)
        if certify or search.polish:
            self._need_trace()
        if certify:
            test = (confidence_level, self.trace, self.y, self.cost)
            indices = [certified(search, target, *test) for target in targets]
        elif self.policy.tunable:
            indices = [target.choose(search.curve) for target in targets]
        else:
            indices = [0] * len(targets)
        fitted = {i: self._polished(search, i) for i in set(indices)}
        return [copy(fitted[i]) for i in indices], search, indices

    def _need_trace(self):
        if self.trace is None:
            raise ValueError(
                "The held-out trace was dropped, and this operating point needs it. Fit again."
            )

    @property
    def reject_cost(self):
        """What giving no answer loses; None where that is not allowed."""
        return getattr(self.loss, "reject_cost", None)

    def within_error(self, max_error, target):
        """The tuning with the largest reject cost that keeps to an error rate at `target`.

        Parameters
        ----------
        max_error : float
            Of the samples that get an answer, by the cross-fitted curve.
        target : OperatingPoint

        Returns
        -------
        tuning : Tuning

        Warns
        -----
        CascadeWarning
            If no sample gets an answer.
        """
        self._need_trace()
        tried, share = {}, {}

        def error(i):
            trace = self.trace.with_no_answer(REJECT_COSTS[i])
            tried[i] = Tuning(self.policy, trace, self.y, self.cost, self.sample_weight)
            tried[i].seed = self.seed
            _, search, index = tried[i].fit(target)
            share[i], accuracy = (
                among[index] for among in search.curve.among(range(trace.n_stages - 1))
            )
            return 1 - accuracy if share[i] > 0 else 0.0

        at = bisect_left(range(len(REJECT_COSTS) - 1), -max_error, key=lambda i: -error(i))
        if at not in tried:
            error(at)
        if share[at] == 0:
            warnings.warn(
                f"`max_error`={max_error} cannot be kept on the held-out rows, so that no sample"
                " gets an answer. Allow more errors, or add a better member.",
                CascadeWarning,
                stacklevel=4,
            )
        return tried[at]

    def search(self, certify=False, memory=None):
        """Candidates and their curve, searched for once; kept in a `joblib.Memory`, if given."""
        if certify not in self.searches:
            self._need_trace()
            key = None if memory is None or memory.location is None else self._key()
            run = _search if key is None else memory.cache(_search, ignore=["tuning"])
            self.searches[certify] = run(key, self, certify)
        return self.searches[certify]

    def _key(self):
        """What a search depends on. Losses stand for the function that gave them.

        None where the policy holds a function without a name, which cannot be told from another.
        """
        evidence = self.trace.proba, self.trace.losses(self.y), self.y, self.sample_weight
        state = type(self.policy), vars(self.policy), self.cost.edge_costs_, self.seed
        try:
            return digest((evidence, state, self.trace.no_answer), fitted=True)
        except (PicklingError, AttributeError):
            return None

    def replay(self, policy):
        """What `policy` does on all rows of the trace, as a curve of one point."""
        losses = self.trace.losses(self.y)
        weight = row_weights(self.sample_weight, len(self.y))
        way = way_of(self.trace, policy, losses, self.cost)
        return curve_of([np.nan], [way], losses, self.cost, weight, no_answer=self.trace.no_answer)

    def _polished(self, search, index):
        alpha = search.curve.parameter[index]
        if not search.polish or np.isnan(alpha):
            return search.policies[index]
        trace, y, weight = self.trace, self.y, self.sample_weight
        if weight is not None:
            rows = np.flatnonzero(weight > 0)
            trace, y, weight = trace.rows(rows), y[rows], weight[rows]
        return self.policy.fit_path(trace, y, self.cost, [alpha], weight)[0]


def fit_policy(
    policy,
    trace,
    y,
    *,
    cost,
    alpha=None,
    max_accuracy_drop=None,
    max_cost=None,
    confidence_level=None,
    sample_weight=None,
    random_state=None,
):
    """Fit a policy on recorded outputs, at an operating point.

    :class:`CascadeClassifier` tunes its policy with this very function. Above 20,000
    rows the search runs on a stratified part of them and the choice is fitted once more
    on all.

    Parameters
    ----------
    policy : BaseExitPolicy
        Left as it is; a fitted clone is returned.
    trace : Trace
        Answers of every stage on samples that no member was fitted on.
    y : array-like of shape (n_samples,)
        Their labels: codes, unless the trace names its classes.
    cost : BaseCostModel or array-like of shape (n_stages,)
        A fitted cost model, or the price of each stage.
    alpha : float, default=None
        Price of one full run of the last stage, in units of accuracy.
    max_accuracy_drop : float, default=None
        Largest acceptable drop below the reference stage, the most accurate stage alone.
        0 if no operating point is given.
    max_cost : float, default=None
        Largest acceptable mean cost, as a share of running the last stage alone.
    confidence_level : float, default=None
        Certify the bound: with at least this probability over the draw of the trace, the
        true drop (or mean cost) is not above it. Part of the rows is kept for the proof. It
        holds for one call, not for the best of several.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights. Not with `confidence_level`.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds of the cross-fitted curve.

    Returns
    -------
    policy : BaseExitPolicy
        Fitted clone. Its `tradeoff_` is the :class:`TradeoffCurve` the choice was made
        from, and `tradeoff_index_` the point of it that was chosen.

    Raises
    ------
    ValueError
        If several operating points are given, one is out of range or cannot be reached,
        or `y`, `cost` or `sample_weight` do not fit the trace.

    Warns
    -----
    CascadeWarning
        If nothing can be certified; it says how many rows would likely be enough.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace, fit_policy, walk
    >>> from skcascade.policies import ConfidenceThreshold
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=2000)
    >>> skill = rng.uniform(0.5, 1, size=(2000, 2)) ** [1.0, 0.3]
    >>> right = rng.uniform(size=(2000, 2)) < skill
    >>> pred = np.where(right, y[:, None], 1 - y[:, None])
    >>> trace = Trace.from_top1(pred, skill, n_classes=2)
    >>> policy = fit_policy(
    ...     ConfidenceThreshold(), trace, y, cost=[1, 10], max_accuracy_drop=0.01, random_state=0
    ... )
    >>> policy.thresholds_.round(2)
    array([0.83,  inf])
    >>> np.bincount(walk(trace, policy).exit)
    array([ 648, 1352])
    """
    target = OperatingPoint.check(
        alpha, max_accuracy_drop, max_cost, confidence_level, tunable=policy.tunable
    )
    codes = trace.codes(y)
    weight = check_weight(sample_weight, codes, confidence_level)
    tuning = Tuning(clone(policy), trace, codes, fitted_cost(cost, trace), weight, random_state)
    fitted, search, index = tuning.fit(target, confidence_level)
    fitted.tradeoff_, fitted.tradeoff_index_ = search.curve, index
    return fitted


def fitted_cost(cost, trace):
    """A fitted cost model of the stages of `trace`, from a model or prices; ValueError if none."""
    cost, n_priced = check_cost(cost), trace.n_stages - trace.no_answer
    if not hasattr(cost, "edge_costs_"):
        cost = clone(cost).fit(trace.of_stages(slice(n_priced)))
    if len(cost.edge_costs_) != n_priced:
        raise ValueError(
            f"`cost` was fitted on {len(cost.edge_costs_)} stages, the trace has {n_priced}."
        )
    return with_free_stage(cost) if trace.no_answer else cost


def check_weight(sample_weight, y, confidence_level=None):
    """Weights of the rows of `y`, or None; ValueError if they cannot be used."""
    if sample_weight is None:
        return None
    if confidence_level is not None:
        raise ValueError(
            "`confidence_level` certifies the mean over equal rows: it cannot be combined"
            " with `sample_weight`. Drop one of them."
        )
    weight = _check_sample_weight(sample_weight, y, dtype=float, ensure_non_negative=True)
    if len(np.unique(y[weight > 0])) < min(2, len(np.unique(y))):
        raise ValueError(
            "`sample_weight` is zero on all rows, or on all but those of one class. Give weight"
            " to rows of at least two classes."
        )
    return weight
