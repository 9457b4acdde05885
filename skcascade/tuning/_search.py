"""Candidates for the operating point, and their cross-fitted curve.

Candidates are the policy fitted at each alpha of a grid, and every stage alone; they do not
depend on the target. Their curve is cross-fitted on folds of the trace.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from ..evidence._row_costs import incurred, stage_costs
from ..evidence._walk import stages_in_use, walk
from ..policies._pruning import use_stages
from ..utils._weights import row_weights
from ._build_curve import build_curve, measure_outcome, oracle_point
from ._curve import TradeoffCurve
from ._expected_loss import ExpectedLoss
from ._risk_control import TUNING_SHARE

__all__ = ["Search", "compute_outcome"]

#: Folds of the curve.
N_FOLDS = 7
#: Candidates are searched on at most this many rows; the chosen one is fitted again on all.
SEARCH_ROWS = 20_000
#: Alphas of the candidates, in units of accuracy per full run of the last stage.
#: Dense where most choices are made; the ends serve large traces and very cheap stages.
ALPHAS = np.r_[np.geomspace(5e-5, 1.5e-3, 6), np.geomspace(2e-3, 2, 61), np.geomspace(3, 200, 6)]


class Search(NamedTuple):
    """Candidates of a policy on a trace, and their cross-fitted curve.

    Attributes
    ----------
    policies : list of BaseExitPolicy
        The candidates, fitted on all rows that were searched.
    curve : TradeoffCurve
        Of the same candidates, cross-fitted.
    rows, test_rows : ndarray of int
        The rows searched, and the test split of the certificate.
    refit : bool
        Whether a chosen candidate is to be fitted again, on all rows.
    """

    policies: list
    curve: TradeoffCurve
    rows: np.ndarray
    test_rows: np.ndarray
    refit: bool

    @classmethod
    def run(cls, policy, trace, y, cost, *, sample_weight=None, certify=False, random_state=None):
        """Fit the candidates and cross-fit their curve."""
        rng = check_random_state(random_state)
        rows, test_rows = np.arange(len(y)), np.empty(0, dtype=int)
        if sample_weight is not None:
            rows = np.flatnonzero(sample_weight > 0)
        if certify:  # a plain random split: the tests need rows in random order
            rows = rng.permutation(rows)
            rows, test_rows = np.split(rows, [max(1, round(TUNING_SHARE * len(rows)))])
        found = len(rows)
        rows = rows[_stratified(y[rows], rng)][:SEARCH_ROWS]
        weight = row_weights(None if sample_weight is None else sample_weight[rows], len(rows))
        # Rows are in stratified order from here on, so that every seventh row makes a fold.
        searched, codes = trace.rows(rows), y[rows]
        expected = ExpectedLoss.fit(searched, codes, weight).of(searched)
        policies, alphas = candidates(policy, expected, codes, cost, weight)
        curve = _cross_fit(policy, searched, codes, cost, weight, policies, alphas)
        return cls(policies, curve, rows, test_rows, not certify and len(rows) < found)

    @property
    def reference(self):
        """Index of the candidate that a drop is measured against."""
        if self.curve.has_reject:
            return int(self.curve.accuracy.argmax())
        return self.alone(self.curve.reference)

    def alone(self, stage):
        """Index of the candidate that is `stage` alone."""
        return len(self.policies) - len(self.curve.stage_cost) + stage


def candidates(policy, trace, y, cost, weight):
    """The policy at each alpha and every stage alone, with the alphas (NaN: alone)."""
    alphas = ALPHAS if policy.tunable else ALPHAS[:1]
    path = policy.fit_alphas(trace, y, cost, alphas, weight)
    alone = [use_stages(path[0], [k]) for k in range(trace.n_stages)]
    return path + alone, np.r_[alphas, np.full(len(alone), np.nan)]


def _stratified(y, rng):
    """All rows in an order in which every run has its share of every class."""
    shuffled = rng.permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    rank = np.arange(len(y)) - np.searchsorted(y[by_class], y[by_class])
    share = (rank + rng.uniform(size=len(y))) / np.bincount(y)[y[by_class]]
    return by_class[np.argsort(share)]


def _cross_fit(policy, trace, y, cost, weight, policies, alphas):
    """Curve of the candidates.

    Costs and exits are those of the very rules that can be deployed. Accuracies are cross-fitted:
    each sample is evaluated by a rule, and by expected losses, that were fitted without it. Where
    the rule to deploy is worse than that on these rows, the worse of the two counts, since on
    rows it was fitted on a rule looks better than it is.
    """
    share = weight / weight.sum()
    losses, stage_losses = _held_out_losses(policy, trace, y, cost, weight, len(alphas))
    points = []
    for candidate, held_out in zip(policies, losses):
        outcome = compute_outcome(trace, candidate, stage_losses, cost)
        accuracy, *others = measure_outcome(*outcome, weight, trace.n_stages)
        if len(stages_in_use(candidate, trace.n_stages)) > 1:  # of one stage nothing was fitted
            accuracy = min(accuracy, 1 - share @ held_out)
        points.append((accuracy, *others))
    observed, alone = trace.losses(y), cost.relative(stage_costs(trace, cost))
    curve = build_curve(
        alphas, points, stage_losses, cost, weight, stage_cost=alone, has_reject=trace.has_reject,
        metric=trace.metric, oracle=oracle_point(observed, alone, share),
    )  # fmt: skip
    reference = curve.reference
    return curve.shifted(1 - share @ observed[:, reference] - curve.stage_accuracy[reference])


def _held_out_losses(policy, trace, y, cost, weight, n_candidates):
    """Losses of candidates (n_candidates, n_samples), and of stages (n_samples, n_stages).

    Those of each fold are by rules and expectations that were fitted on the others.
    """
    fold = np.arange(len(y)) % N_FOLDS
    losses, stage_losses = np.empty((n_candidates, len(y))), np.empty(trace.proba.shape[:2])
    for i in np.unique(fold):
        test = np.flatnonzero(fold == i)
        fit = np.flatnonzero(fold != i) if len(y) > 1 else test
        fitted, held_out = trace.rows(fit), trace.rows(test)
        expected = ExpectedLoss.fit(fitted, y[fit], weight[fit])
        stage_losses[test] = expected.of(held_out).objective_losses(y[test])
        path, _ = candidates(policy, expected.of(fitted), y[fit], cost, weight[fit])
        for j, candidate in enumerate(path):
            losses[j, test] = stage_losses[test, walk(held_out, candidate).exit]
    return losses, stage_losses


def compute_outcome(trace, policy, losses, cost):
    """Loss at the exit, cost incurred, and exit, of shape (n_samples,) each."""
    route = walk(trace, policy)
    return losses[np.arange(len(losses)), route.exit], incurred(route, cost), route.exit
