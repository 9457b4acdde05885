"""Stage pruning: subsets of the stages, and their replay."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.policies import BaseExitPolicy, WeightedBinary, _pruning
from skcascade.policies._pruning import Replay, use_stages


class Sure(BaseExitPolicy):
    """The smallest policy: a rule, and nothing to fit."""

    def __init__(self, level=0.8):
        self.level = level

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= self.level


def subsets(n_stages):
    stages = range(n_stages)
    return chain.from_iterable(combinations(stages, m) for m in range(1, n_stages + 1))


def recorded(n=300, n_stages=3, seed=0):
    """Stages of growing skill on 3 classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, n_stages, 3))
    logits[np.arange(n), :, y] += np.linspace(1, 3, n_stages)
    proba = np.exp(logits)
    return Trace(proba / proba.sum(axis=2, keepdims=True)), y


def mean_objective(trace, y, cost, policy, alpha, weight):
    """Mean loss + alpha * mean relative cost, from one walk."""
    route = walk(trace, policy)
    losses = trace.losses(y)[np.arange(len(y)), route.exit]
    return np.average(losses + alpha * cost.relative(cost.path_cost(route.visited)), weights=weight)


@pytest.fixture
def count_walks(monkeypatch):
    """The stages in use of every walk that pruning makes."""
    walked = []

    def spy(trace, policy):
        walked.append(policy.stages_)
        return walk(trace, policy)

    monkeypatch.setattr(_pruning, "walk", spy)
    return walked


@pytest.mark.parametrize(
    "params",
    [{}, {"skip": True}, {"skip": True, "successors": {0: [1, 2, 3], 1: [3], 2: [3]}}],
    ids=["chain", "skip", "one between"],
)
def test_a_policy_that_uses_fewer_stages(params):
    trace, y = recorded(n_stages=4)
    cost = FixedCost([1, 2, 4, 9]).fit(4)
    policy = WeightedBinary(random_state=0, **params).fit(trace, y, cost, 0.02)
    before = list(policy.stages_)
    for stages in subsets(4):
        fewer = use_stages(policy, stages)
        route = walk(trace, fewer)
        assert fewer.stages_ == list(stages)
        assert not route.visited[:, [k for k in range(4) if k not in stages]].any()
        assert route.visited[:, stages[0]].all()
    assert policy.stages_ == before


def test_policy_with_a_rule_alone_is_pruned():
    """The middle stage is expensive and no better than the first."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    confidence = rng.uniform(0.4, 1, size=(300, 3))
    right = rng.random((300, 3)) < confidence ** (2.0, 2.0, 0.2)
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    trace = Trace.from_top1(pred, confidence, 3)
    trace.proba[:, 1] = trace.proba[:, 0]
    policy = fit_policy(Sure(), trace, y, cost=[1, 3, 9], alpha=0.35, random_state=0)
    assert policy.stages_ == [0, 2]
    route = walk(trace, policy)
    np.testing.assert_array_equal(route.exit == 0, trace.proba[:, 0].max(axis=1) >= 0.8)


@given(
    st.integers(1, 4),
    st.sampled_from([0.0, 0.02, 0.1, 0.5, 3.0]),
    st.floats(0.4, 0.95),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_no_stage_of_a_pruned_policy_is_better_dropped(n_stages, alpha, level, seed):
    trace, y = recorded(40, n_stages, seed)
    rng = np.random.default_rng(seed)
    cost = FixedCost(rng.uniform(0.1, 5, n_stages)).fit(n_stages)
    weight = rng.integers(1, 4, size=40).astype(float)
    replay = Replay(trace, y, cost, weight)

    def objective(policy):
        value = replay.objective(policy, alpha)
        assert value == pytest.approx(mean_objective(trace, y, cost, policy, alpha, weight))
        return value

    policy = Sure(level)
    pruned = replay.prune(policy, alpha)
    assert policy.stages_ is None
    assert objective(pruned) <= objective(policy)
    in_use = list(range(n_stages)) if pruned.stages_ is None else pruned.stages_
    for out in in_use if len(in_use) > 1 else ():
        fewer = use_stages(pruned, [k for k in in_use if k != out])
        assert objective(fewer) > objective(pruned)


def test_a_rule_is_replayed_once_for_each_subset(count_walks):
    trace, y = recorded(n_stages=4)
    cost = FixedCost([1, 2, 4, 9]).fit(4)
    replay = Replay(trace, y, cost)
    policy = Sure()
    pruned = [replay.prune(policy, alpha).stages_ for alpha in np.geomspace(1e-4, 10, 40)]
    assert len({tuple(stages or range(4)) for stages in pruned}) > 2
    asked = [tuple(stages or range(4)) for stages in count_walks]
    assert len(asked) == len(set(asked)) <= 2**4 - 1


def test_another_rule_is_replayed_anew(count_walks):
    trace, y = recorded()
    replay = Replay(trace, y, FixedCost([1, 3, 9]).fit(3))
    values = [replay.objective(Sure(level), 0.1) for level in (0.5, 0.8, 0.5)]
    assert len(count_walks) == 3
    assert values[0] == values[2] != values[1]
    policy = Sure(0.5)
    replay.objective(policy, 0.1)
    policy.level = 0.8  # the same object with another rule
    assert replay.objective(policy, 0.1) == values[1]
