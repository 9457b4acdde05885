"""Bounds on rejected samples: the reject cost that keeps an error rate, or a share rejected.

One candidate is tuned for each of several reject costs, at the operating point. Without a
confidence level, the best of those that keep the bound on the held-out rows is chosen. With one,
they are tested on rows that they were not tuned on, from the safest to the boldest, until the first
that fails (`fixed_sequence`). The number of errors among the answered samples, and that of the
rejected samples, are binomial, so that these tests are exact.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ..evidence._walk import stages_in_use, walk
from ..stats._binomial import binomial_p_value
from ..stats._fixed_sequence import fixed_sequence, thin_sequence
from ..utils._warn import warn
from ._groups import Groups
from ._operating_point import OperatingPoint
from ._risk_control import smallest_group
from ._tuning import Tuning

__all__ = ["REJECT_COSTS", "ChosenReject", "RejectBound"]

#: Losses of a rejected sample that are tried first; at 0 all are rejected.
REJECT_COSTS = (0.99, *np.geomspace(0.6, 0.002, 8).tolist(), 0.0)
#: So many more are tried, each half way from the best one to a bolder one.
N_HALVINGS = 4
#: Share of samples by which a step of the sequence of tests differs from the one before.
STEP = 0.01


class ChosenReject(NamedTuple):
    """The tuning with the chosen reject cost, the fitted policy, its search and its index."""

    tuning: Tuning
    policy: Any
    search: Any
    index: int  # type: ignore[assignment]


class RejectBound(NamedTuple):
    """What bounds rejected samples: one of two.

    Attributes
    ----------
    max_error : float or None
        Largest acceptable error rate among the samples that are not rejected. An error is
        a predicted class that is wrong, whatever the loss.
    reject_rate : float or None
        Largest acceptable share of rejected samples.
    """

    max_error: float | None = None
    reject_rate: float | None = None

    @property
    def name(self) -> str:
        """The parameter and its value, as the user writes them."""
        return next(f"`{k}`={value}" for k, value in self._asdict().items() if value is not None)

    def choose(
        self, tuning: Tuning, target: OperatingPoint, confidence_level: float | None = None
    ) -> ChosenReject:
        """The best candidate that keeps the bound.

        With `max_error` that with the fewest rejected samples; with `reject_rate` that with
        the smallest loss of the answers, in sum.

        Parameters
        ----------
        tuning : Tuning
            Of a trace with a reject stage. Not changed.
        target : OperatingPoint
        confidence_level : float, default=None
            Certify the bound.

        Returns
        -------
        chosen : ChosenReject

        Warns
        -----
        CascadeWarning
            If the bound cannot be kept, or not be certified.
        """
        if confidence_level is not None:
            return self._certified(tuning, target, 1 - confidence_level)
        chosen, _ = self._scan(tuning, target, self._rank)
        self._warn_of(chosen)
        return ChosenReject(chosen.tuning, *chosen.tuning.fit(target))

    def _scan(self, tuning, target, rank, certified=False):
        """The candidate of the smallest `rank`, and all that were tried.

        After the grid, costs half way from the best to the next bolder one are tried.
        """
        tried, ranks = {}, {}

        def attempt(reject_cost):
            tried[reject_cost] = _Candidate.tune(tuning, reject_cost, target, certified)
            ranks[reject_cost] = rank(tried[reject_cost])

        for reject_cost in REJECT_COSTS:
            attempt(reject_cost)
        for _ in range(N_HALVINGS):
            best = min(ranks, key=ranks.get)
            bolder = [c for c in tried if (c > best if self.reject_rate is None else c < best)]
            if not bolder:
                break
            nearest = min(bolder, key=lambda c: abs(c - best))
            attempt(float(np.sqrt(best * nearest) if best and nearest else max(best, nearest) / 2))
        return tried[min(ranks, key=ranks.get)], list(tried.values())

    def _keeps(self, candidate):
        """Whether a candidate keeps the bound on the rows that it was tuned on."""
        if self.max_error is not None:
            return candidate.error <= self.max_error + 1e-12
        return candidate.rejected <= self.reject_rate + 1e-12

    def _rank(self, candidate):
        """Smaller is better: first those that keep the bound."""
        if not self._keeps(candidate):
            return True, candidate.error if self.reject_rate is None else candidate.rejected
        return False, *self._value(candidate)

    def _value(self, candidate):
        """What is minimized among those that keep the bound."""
        if self.max_error is not None:
            return candidate.rejected, candidate.cost
        return candidate.loss, candidate.rejected

    def _warn_of(self, chosen):
        if self.max_error is not None and chosen.rejected > 1 - 1e-12:
            warn(
                f"{self.name} cannot be kept on the held-out rows, so that all samples are"
                " rejected. Allow more errors, or add a better member."
            )
        if not self._keeps(chosen):
            warn(
                f"{self.name} cannot be kept on the held-out rows: at this operating point"
                f" {chosen.rejected:.3g} of them are rejected. Allow more rejections, or a higher"
                " cost."
            )

    def _certified(self, tuning, target, level):
        """The best candidate that is certified; where there is none, the first that was tested."""

        def rank(candidate):
            foreseen = self._p_value(candidate, candidate.search.rows, True)
            return foreseen > level, *(self._value(candidate) if foreseen <= level else [foreseen])

        _, tried = self._scan(tuning, target, rank, certified=True)
        order = self._sequence(sorted(tried, key=lambda c: -c.tuning.reject_cost))
        tests = (self._p_value(candidate, candidate.test_rows) for candidate in order)
        n_certified = fixed_sequence(tests, level)
        best = min(order[: max(n_certified, 1)], key=self._value)
        if not n_certified:
            warn(
                f"{self.name} could not be certified: nothing is guaranteed.{self._advice(level)}"
                f"{smallest_group(tuning.groups, best.test_rows)}"
            )
        policy = copy(best.search.policies[best.index])
        policy.certified_ = n_certified > 0
        return ChosenReject(best.tuning, policy, best.search, best.index)

    def _sequence(self, tried):
        """From the candidate that most likely passes to bolder ones, which differ by a step."""
        safety = np.array([c.rejected if self.reject_rate is None else -c.rejected for c in tried])
        order = np.argsort(-safety, kind="stable")
        likely = [self._p_value(tried[i], tried[i].search.rows, True) for i in order]
        order = order[int(np.argmin(likely)) :]
        return [tried[i] for i in thin_sequence(order, safety, STEP)]

    def _p_value(self, candidate, rows, expected=False):
        """P-value of "the bound is broken in some group"; with `expected`, foreseen from `rows`.

        A foreseen rate counts half an event and one sample more, so that no rate is 0.
        """
        if self.reject_rate is not None and not candidate.may_reject:
            return 0.0
        p_values = [0.0]
        groups = candidate.groups
        rejected, wrong = candidate.outcome(rows)
        sizes = groups.masks(candidate.test_rows).sum(axis=1)
        for mine, size in zip(groups.masks(rows), sizes):
            n, events = mine.sum(), rejected[mine].sum()
            if self.max_error is not None:
                n, events = n - events, wrong[mine].sum()
            if expected:
                if not mine.any():
                    continue
                rate = (events + 0.5) / (n + 1)
                n = n * size / mine.sum()
                events = n * rate
            bound = self.max_error if self.reject_rate is None else self.reject_rate
            p_values.append(binomial_p_value(events, n, bound))
        return max(p_values)

    def _advice(self, level):
        """How many rows it takes at least."""
        bound = self.max_error if self.reject_rate is None else self.reject_rate
        if not bound:
            return " Allow more rejections."
        what, rows = "more rejections", "test rows, none of them rejected"
        if self.max_error is not None:
            what, rows = "more errors", "answered test rows, all of them right"
        least = int(np.ceil(np.log(level) / np.log1p(-bound)))
        return f" It takes at least {least} {rows}. Allow {what}, or hold out more rows."


class _Candidate(NamedTuple):
    """One reject cost, tuned at the operating point.

    Attributes
    ----------
    tuning : Tuning
        With this reject cost.
    search : Search
    index : int
        Of the point that was chosen.
    rejected, error, loss, cost : float
        On the rows searched: share rejected, error rate of the others, the sum of their losses
        per sample, relative cost. The error rate is that observed, or with the 0/1 loss that of
        the cross-fitted curve, if it is larger.
    """

    tuning: Tuning
    search: Any
    index: int  # type: ignore[assignment]
    rejected: float = 0.0
    error: float = 0.0
    loss: float = 0.0
    cost: float = 0.0

    @classmethod
    def tune(cls, tuning, reject_cost, target, certified=False):
        """The candidate of `reject_cost`."""
        tuning = tuning.with_reject_cost(reject_cost)
        search = tuning.search(certified)
        index = target.choose(search.curve) if tuning.policy.tunable else 0
        curve = search.curve
        share, accuracy = curve.answered_by(range(tuning.trace.n_stages - 1))
        cost, rejected = curve.relative_cost[index], curve.exit_rates[index, -1]
        candidate = cls(tuning, search, index, rejected=rejected, cost=cost)
        if not share[index] > 0:
            return candidate
        loss, error = share[index] * (1 - accuracy[index]), candidate.observed_error()
        if curve.metric == "accuracy":
            error = max(error, 1 - accuracy[index])
        return candidate._replace(error=error, loss=loss)

    @property
    def may_reject(self):
        """Whether the reject stage is in use."""
        n_stages = self.tuning.trace.n_stages
        return n_stages - 1 in stages_in_use(self.search.policies[self.index], n_stages)

    @property
    def test_rows(self):
        """The test split of the certificate."""
        return self.search.test_rows

    @property
    def groups(self):
        """The groups of all rows; one, if none were given."""
        return self.tuning.groups or Groups.whole(len(self.tuning.y))

    def outcome(self, rows):
        """Which of `rows` are rejected, and which are answered wrongly."""
        trace = self.tuning.trace
        route = walk(trace.rows(rows), self.search.policies[self.index])
        rejected = route.exit == trace.n_stages - 1
        return rejected, ~rejected & (route.proba.argmax(axis=1) != self.tuning.y[rows])

    def observed_error(self):
        """Share of the errors among the answered rows that were searched."""
        rows, weight = self.search.rows, self.tuning.sample_weight
        rejected, wrong = self.outcome(rows)
        share = np.ones(len(rows)) if weight is None else weight[rows]
        answered = share @ ~rejected
        return share @ wrong / answered if answered > 0 else 0.0
