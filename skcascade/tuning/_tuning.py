"""The choice of the operating point: one piece of code for all policies.

Every operating point is an argmin over one curve, that of the candidates (`_search`); with a
confidence level, the best of those that are certified (`_risk_control`).
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from ..evidence._row_costs import stage_costs
from ..evidence._trace import Trace
from ..utils._digest import UnkeyableError, digest
from ..utils._weights import row_weights
from ._build_curve import build_curve, measure_outcome
from ._curve import TradeoffCurve
from ._expected_loss import ExpectedLoss
from ._groups import Groups
from ._operating_point import OperatingPoint
from ._risk_control import Certificate, certify
from ._search import Search, compute_outcome

__all__ = ["Tuning", "get_tuning"]


def _search(key, tuning, certified):
    return Search.run(
        tuning.policy,
        tuning.trace,
        tuning.y,
        tuning.cost,
        sample_weight=tuning.sample_weight,
        certify=certified,
        random_state=tuning.seed,
    )


class Tuning:
    """A policy, the evidence it is tuned on, and every operating point of it.

    Parameters
    ----------
    policy : BaseExitPolicy
        Unfitted.
    trace : Trace
        Held-out answers.
    y : ndarray of int, shape (n_samples,)
        True codes.
    cost : BaseCostModel
        Fitted.
    sample_weight : ndarray of shape (n_samples,), default=None
    random_state : int, RandomState or None, default=None
    groups : Groups, default=None
        A certified bound is to hold in each of these groups.

    Attributes
    ----------
    policy, trace, y, cost, sample_weight, groups
        As given; a "balanced" loss of the trace has the class frequencies of `y`.
    searches : dict of bool to Search
        The candidates for certified operating points (True) and for others (False), once
        they were needed.
    """

    def __init__(
        self,
        policy: Any,
        trace: Trace,
        y: NDArray[np.intp],
        cost: Any,
        sample_weight: NDArray[np.float64] | None = None,
        random_state: Any = None,
        groups: Groups | None = None,
    ) -> None:
        self.policy, self.y, self.cost, self.sample_weight = policy, y, cost, sample_weight
        self.trace, self.groups = trace.for_labels(y, sample_weight), groups
        self.seed = check_random_state(random_state).randint(2**31 - 1)
        self.searches: dict[bool, Search] = {}

    def with_reject_cost(self, reject_cost: float) -> Tuning:
        """The same with another loss of a rejected sample."""
        same = copy(self)
        same.trace, same.searches = self.trace.with_reject(reject_cost), {}
        return same

    @property
    def reject_cost(self) -> float | None:
        """Loss of a rejected sample; None where no sample may be rejected."""
        return getattr(self.trace.loss, "reject_cost", None)

    def fit(
        self, target: OperatingPoint, confidence_level: float | None = None
    ) -> tuple[Any, Search, int]:
        """The policy fitted at `target`, the search it comes from, and its index there."""
        policies, search, indices = self.fit_all([target], confidence_level)
        return policies[0], search, indices[0]

    def fit_all(
        self, targets: list[OperatingPoint], confidence_level: float | None = None
    ) -> tuple[list[Any], Search, list[int]]:
        """The same for each of several targets, all from one search."""
        search = self.search(confidence_level is not None)
        if confidence_level is not None:
            test = confidence_level, self.trace, self.y, self.cost, self.groups
            chosen = [certify(search, target, *test) for target in targets]
        elif self.policy.tunable:
            chosen = [Certificate(target.choose(search.curve), False) for target in targets]
        else:
            chosen = [Certificate(0, False)] * len(targets)
        fitted = {i: self._refitted(search, i) for i, _ in chosen}
        policies = [copy(fitted[i]) for i, _ in chosen]
        if confidence_level is not None:
            for policy, (_, certified) in zip(policies, chosen):
                policy.certified_ = certified
        return policies, search, [i for i, _ in chosen]

    def search(self, certified: bool = False, memory: Any = None) -> Search:
        """Candidates and their curve, searched once; kept in a `joblib.Memory`, if given."""
        if certified not in self.searches:
            key = None if memory is None or memory.location is None else self._key()
            run = _search if key is None else memory.cache(_search, ignore=["tuning"])
            self.searches[certified] = run(key, self, certified)
        return self.searches[certified]

    def replay(self, policy: Any) -> TradeoffCurve:
        """Score, cost and exits of `policy` on all rows of the trace: a curve of one point."""
        losses = self.trace.losses(self.y)
        shown = {"has_reject": self.trace.has_reject, "metric": self.trace.metric}
        weight = row_weights(self.sample_weight, len(self.y))
        loss, cost, exits = compute_outcome(self.trace, policy, losses, self.cost)
        point = measure_outcome(loss, cost, exits, weight, self.trace.n_stages)
        shown["stage_cost"] = self.cost.relative(stage_costs(self.trace, self.cost))
        return build_curve([np.nan], [point], losses, self.cost, weight, **shown)

    def _key(self):
        """What a search depends on. Losses, of these labels and of all, stand for their function.

        None where the policy holds a function without a name, which has no stable hash.
        """
        n_classes = self.trace.n_classes
        uniform = np.full((len(self.y), n_classes), 1 / n_classes)
        losses = self.trace.losses(self.y), self.trace.expected_losses(uniform)
        evidence = self.trace.proba, losses, self.y, self.sample_weight
        costs = self.cost.edge_costs_, self.trace.cost
        state = type(self.policy), vars(self.policy), costs, self.seed
        try:
            shown = self.trace.has_reject, self.trace.metric
            return digest((evidence, state, shown), fitted=True)
        except UnkeyableError:
            return None

    def _refitted(self, search, index):
        """The candidate at `index`, fitted on all rows if the search had only part of them."""
        alpha = search.curve.parameter[index]
        if not search.refit or np.isnan(alpha):
            return search.policies[index]
        trace, y, weight = self.trace, self.y, self.sample_weight
        if weight is not None:
            rows = np.flatnonzero(weight > 0)
            trace, y, weight = trace.rows(rows), y[rows], weight[rows]
        expected = ExpectedLoss.fit(trace, y, row_weights(weight, len(y))).of(trace)
        return self.policy.fit_alphas(expected, y, self.cost, [alpha], weight)[0]


def get_tuning(cascade: Any) -> Tuning:
    """The tuning of a fitted cascade; ValueError if `store_trace` was False."""
    if not hasattr(cascade, "tuning_"):
        raise ValueError(
            "The held-out answers were not kept, and this needs them. Fit again with"
            " store_trace=True, or give other rows where that is possible."
        )
    return cascade.tuning_
