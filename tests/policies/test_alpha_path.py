"""Policies that are fitted at many alphas together."""

import numpy as np
import pytest

from skcascade import Trace, walk
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold, WeightedBinary


def recorded(n=200, n_stages=3, seed=0):
    """A trace whose later stages are better, and its codes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, n_stages))
    right = rng.random((n, n_stages)) < confidence ** (2.0 / np.arange(1, n_stages + 1))
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("tuning", ["joint", "per_stage"])
@pytest.mark.parametrize("alpha", [0.0, 0.02, 0.5])
def test_fit_is_fit_alphas_of_one_alpha(tuning, alpha, per_class):
    trace, y = recorded()
    cost = FixedCost([1, 3, 9]).fit(3)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    policy = ConfidenceThreshold(tuning=tuning, per_class=per_class)
    (one,) = policy.fit_alphas(trace, y, cost, [alpha], weight)
    assert not hasattr(policy, "thresholds_")  # fit_alphas does not change it
    assert policy.fit(trace, y, cost, alpha, weight) is policy
    np.testing.assert_array_equal(policy.thresholds_, one.thresholds_)
    assert policy.stages_ == one.stages_


def test_fit_is_fit_alphas_of_one_alpha_with_learned_rules():
    trace, y = recorded()
    cost, weight = FixedCost([1, 3, 9]).fit(3), np.random.default_rng(0).uniform(0.5, 2, 200)
    policy = WeightedBinary(skip=True, random_state=0)
    (one,) = policy.fit_alphas(trace, y, cost, [0.05], weight)
    assert not hasattr(policy, "rules_")
    assert policy.fit(trace, y, cost, 0.05, weight) is policy
    assert policy.stages_ == one.stages_
    np.testing.assert_array_equal(walk(trace, policy).exit, walk(trace, one).exit)


@pytest.mark.parametrize("alphas", [[0.0], [0.0, 0.0], [0.0] * 20, np.linspace(0, 1, 30)])
def test_any_list_of_alphas(alphas):
    trace, y = recorded(60)
    path = WeightedBinary(random_state=0).fit_alphas(trace, y, FixedCost([1, 3, 9]).fit(3), alphas)
    assert len(path) == len(alphas)
    for policy in path:
        walk(trace, policy)
