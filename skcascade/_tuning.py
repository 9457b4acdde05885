"""The choice of the operating point: one piece of code for all policies.

Every operating point is an argmin over one curve, that of the candidates (`_search`); with a
confidence level, the best of those that are certified (`_certify`).
"""

import warnings
from bisect import bisect_left
from copy import copy
from pickle import PicklingError

import numpy as np
from sklearn.utils import check_random_state

from ._certify import certified
from ._curve import curve_of
from ._search import Search, way_of
from .exceptions import CascadeWarning
from .policies._base import row_weights
from .utils._digest import digest

__all__ = ["Tuning"]

#: What giving no answer may lose where an error rate is asked for; at 0 nobody gets one.
REJECT_COSTS = np.r_[np.geomspace(0.6, 0.002, 32), 0.0]


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
            self.need_trace()
        if certify:
            test = (confidence_level, self.trace, self.y, self.cost)
            indices = [certified(search, target, *test) for target in targets]
        elif self.policy.tunable:
            indices = [target.choose(search.curve) for target in targets]
        else:
            indices = [0] * len(targets)
        fitted = {i: self._polished(search, i) for i in set(indices)}
        return [copy(fitted[i]) for i in indices], search, indices

    def need_trace(self):
        """ValueError if the trace was dropped."""
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
        self.need_trace()
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
            self.need_trace()
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
