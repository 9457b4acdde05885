"""Candidates for the operating point, and their cross-fitted curve."""

import numpy as np

from skcascade import Trace, fit_policy
from skcascade.costs import FixedCost
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold
from skcascade.tuning import _search
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import Search
from skcascade.tuning._tuning import Tuning

COSTS = [1, 3, 9]


COST = FixedCost(COSTS).fit(3)


def recorded(n=200, seed=0, skill=(2.0, 1.0, 0.5), n_classes=3):
    """A trace, and its codes. Stages know how sure they are; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def fitted(trace, y, policy=None, cost=COSTS, random_state=0, **kwargs):
    policy = ConfidenceThreshold() if policy is None else policy
    return fit_policy(policy, trace, y, cost=cost, random_state=random_state, **kwargs)


def same(one, other):
    """Whether two fitted ConfidenceThreshold are the same rule."""
    return one.stages_ == other.stages_ and np.array_equal(one.thresholds_, other.thresholds_)


# The curve --------------------------------------------------------------------------------


def test_candidates_do_not_depend_on_the_target():
    trace, y = recorded()
    curves = [
        fitted(trace, y, **point).tradeoff_
        for point in ({}, {"alpha": 0.3}, {"max_cost": 0.3}, {"max_accuracy_drop": 0.2})
    ]
    for points in curves[1:]:
        np.testing.assert_array_equal(points.accuracy, curves[0].accuracy)


def test_curve_is_honest():
    """A rule that memorizes noise has a curve that shows it."""

    class Memorizing(BaseExitPolicy):
        def fit(self, trace, y, cost, alpha, sample_weight=None):
            wrong = trace.losses(y)[:, 0] == 1
            self.known_ = set(trace.proba[~wrong, 0].max(axis=1).tolist())
            return self

        def exit_mask(self, stage, proba):
            return np.array([p in self.known_ for p in proba[:, stage].max(axis=1).tolist()])

    trace, y = recorded(200, skill=(2.0, 0.4))
    policy = fitted(trace, y, Memorizing(), cost=[1, 10], alpha=0.1)
    # A fit knows no sample that it has not seen: all are deferred, and incur both costs.
    np.testing.assert_allclose(policy.tradeoff_.relative_cost[:-2].max(), 1.1, atol=0.1)
    np.testing.assert_allclose(
        policy.tradeoff_.accuracy[:-2].max(), policy.tradeoff_.stage_accuracy.max(), atol=1e-9
    )


# Many rows --------------------------------------------------------------------------------


def test_search_on_a_part_and_refit_on_all(monkeypatch):
    monkeypatch.setattr(_search, "SEARCH_ROWS", 300)
    trace, y = recorded(1200)
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    policy, search, index = tuning.fit(OperatingPoint(alpha=0.1))
    assert len(np.unique(search.rows)) == 300
    assert search.refit
    share = np.bincount(y[search.rows]) / 300 - np.bincount(y) / 1200
    assert np.abs(share).max() < 0.01  # stratified
    (direct,) = ConfidenceThreshold().fit_alphas(trace, y, COST, [search.curve.parameter[index]])
    assert same(policy, direct)
    assert not same(policy, search.policies[index])


def test_a_stage_alone_needs_no_refit(monkeypatch):
    monkeypatch.setattr(_search, "SEARCH_ROWS", 100)
    trace, y = recorded(300)
    trace.proba[:, 1:] = trace.proba[:, :1]
    assert fitted(trace, y).stages_ == [0]


def test_few_rows_are_all_searched():
    trace, y = recorded(150)
    _, search, index = Tuning(ConfidenceThreshold(), trace, y, COST).fit(OperatingPoint(alpha=0.1))
    assert sorted(search.rows) == list(range(150))
    assert not search.refit
    assert index < len(search.policies)


# The test split ---------------------------------------------------------------------------


def test_test_rows_are_not_those_of_tuning():
    trace, y = recorded(500)
    search = Search.run(ConfidenceThreshold(), trace, y, COST, certify=True, random_state=0)
    assert len(search.rows) == 200
    assert len(search.test_rows) == 300
    assert sorted([*search.rows, *search.test_rows]) == list(range(500))
    losses = trace.losses(y)[search.rows]
    np.testing.assert_allclose(search.curve.stage_accuracy, 1 - losses.mean(axis=0))


def test_tuning_does_not_depend_on_the_test_rows():
    """Neither candidates, nor the curve, nor the reference: answers there may be anything."""
    trace, y = recorded(500, skill=(2.0, 0.6, 0.5))
    search = Search.run(ConfidenceThreshold(), trace, y, COST, certify=True, random_state=0)
    assert search.curve.reference == 2
    spoilt = Trace(trace.proba.copy())
    spoilt.proba[search.test_rows, 2] = np.eye(3)[(y[search.test_rows] + 1) % 3]
    assert spoilt.losses(y).mean(axis=0).argmin() != 2
    other = Search.run(ConfidenceThreshold(), spoilt, y, COST, certify=True, random_state=0)
    assert other.curve.reference == 2
    np.testing.assert_array_equal(other.rows, search.rows)
    np.testing.assert_array_equal(other.curve.accuracy, search.curve.accuracy)
    for one, two in zip(search.policies, other.policies):
        assert same(one, two)
