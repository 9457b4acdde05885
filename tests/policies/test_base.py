"""The base class of policies: its hooks, and the fit at several alphas."""

from copy import copy

import numpy as np
import pytest

from skcascade import EXIT, Trace, walk
from skcascade.checks import check_policy
from skcascade.costs import FixedCost
from skcascade.policies import (
    BaseExitPolicy,
    ConfidenceThreshold,
    Reinforce,
    WeightedBinary,
    _pruning,
)

COST = FixedCost([1, 2, 4, 9]).fit(4)
ALPHAS = np.geomspace(1e-4, 5, 73)


class Sure(BaseExitPolicy):
    """A rule, and nothing to learn."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.8


class Learned(BaseExitPolicy):
    """A rule that is another at every alpha."""

    def fit(self, trace, y, cost, alpha, sample_weight=None):
        self.level_ = 1 / (1 + alpha)
        return self

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= self.level_


def recorded(n=300, n_stages=4, seed=0):
    """Stages of growing skill on 3 classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, n_stages, 3))
    logits[np.arange(n), :, y] += np.linspace(1, 3, n_stages)
    proba = np.exp(logits)
    return Trace(proba / proba.sum(axis=2, keepdims=True)), y


def pruned(policy, trace, y, weight, alpha):
    """Backward elimination, written out: the stages that remain."""

    def objective(stages):
        candidate = copy(policy)
        candidate.stages_ = stages
        route = walk(trace, candidate)
        losses = trace.losses(y)[np.arange(len(y)), route.exit]
        costs = COST.relative(COST.path_cost(route.visited))
        return np.average(losses, weights=weight) + alpha * np.average(costs, weights=weight)

    stages = list(range(trace.n_stages))
    value = objective(stages)
    while len(stages) > 1:
        shorter = [[k for k in stages if k != out] for out in stages]
        values = [objective(fewer) for fewer in shorter]
        if min(values) > value:
            break
        value, stages = min(values), shorter[values.index(min(values))]
    return stages


def stages_of(policy):
    return [0, 1, 2, 3] if policy.stages_ is None else policy.stages_


@pytest.fixture
def walked(monkeypatch):
    """The stages in use of every walk that pruning makes."""
    walked = []

    def spy(trace, policy):
        walked.append(tuple(stages_of(policy)))
        return walk(trace, policy)

    monkeypatch.setattr(_pruning, "walk", spy)
    return walked


# The fit at several alphas ----------------------------------------------------------------


@pytest.mark.parametrize("n_alphas", [1, 2, 73])
def test_a_policy_that_learns_nothing_is_replayed_once_for_each_subset(n_alphas, walked):
    trace, y = recorded()
    path = Sure().fit_alphas(trace, y, COST, ALPHAS[:n_alphas])
    assert len(path) == n_alphas
    assert len(walked) == len(set(walked)) <= 2**4 - 1
    weight = np.ones(len(y))
    assert [stages_of(p) for p in path] == [
        pruned(Sure(), trace, y, weight, alpha) for alpha in ALPHAS[:n_alphas]
    ]


def test_more_alphas_are_not_more_walks(walked):
    trace, y = recorded()
    Sure().fit_alphas(trace, y, COST, ALPHAS)
    subsets = set(walked)
    walked.clear()
    Sure().fit_alphas(trace, y, COST, np.repeat(ALPHAS, 5))
    assert len(walked) == len(subsets)


def test_a_policy_that_learns_is_replayed_at_every_alpha(walked):
    trace, y = recorded()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    alphas = ALPHAS[::8]
    path = Learned().fit_alphas(trace, y, COST, alphas, weight)
    assert walked.count((0, 1, 2, 3)) == len(alphas)
    for policy, alpha in zip(path, alphas):
        assert policy.level_ == 1 / (1 + alpha)
        assert stages_of(policy) == pruned(policy, trace, y, weight, alpha)
    assert len({tuple(stages_of(policy)) for policy in path}) > 2


def test_the_policy_itself_is_not_changed():
    trace, y = recorded()
    policy = Learned()
    path = policy.fit_alphas(trace, y, COST, ALPHAS[:3])
    assert vars(policy) == {}
    assert len({id(fitted) for fitted in path}) == 3
    assert policy.fit(trace, y, COST, 0.5) is policy
    assert policy.level_ == 1 / 1.5


@pytest.mark.parametrize("policy", [Sure(), Learned()], ids=["nothing learned", "learned"])
def test_contract(policy):
    check_policy(policy)


# Hooks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stages", "following"),
    [(None, {0: 1, 1: 2, 2: 3}), ([0, 2, 3], {0: 2, 1: 2, 2: 3}), ([1, 3], {0: 1, 1: 3, 2: 3})],
)
def test_route_is_exit_or_the_next_stage_in_use(stages, following):
    trace, _ = recorded()
    policy = Sure()
    policy.stages_ = stages
    for stage, after in following.items():
        proba = trace.proba[:, : stage + 1]
        exits = proba[:, stage].max(axis=1) >= 0.8
        assert 0 < exits.sum() < len(exits)
        np.testing.assert_array_equal(policy.route(stage, proba), np.where(exits, EXIT, after))
        assert policy.next_stage(stage) == after


def test_defaults_of_the_hooks():
    trace, y = recorded(5)
    policy, stages = Sure(), object()
    assert policy.fine_tune(stages, None, y, None, None, COST, None) is stages
    assert policy.rule(0) is None
    assert np.isnan(policy.exit_threshold(0))
    np.testing.assert_array_equal(policy.exit_score(1, trace.proba), trace.proba[:, 1].max(axis=1))
    assert (policy.validation_fraction, policy.tunable, policy.may_skip) == (0.0, True, False)
    policy.check_params()
    with pytest.raises(NotImplementedError, match="must override `exit_mask` or `route`"):
        BaseExitPolicy().exit_mask(0, trace.proba[:, :1])


@pytest.mark.parametrize(
    ("policy", "may_skip"),
    [
        (ConfidenceThreshold(), False),
        (Reinforce(), False),
        (WeightedBinary(), False),
        (WeightedBinary(skip=True), True),
    ],
    ids=str,
)
def test_which_policies_may_skip(policy, may_skip):
    assert policy.may_skip is may_skip


# Rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold(),
        ConfidenceThreshold("entropy", per_class=False),
        ConfidenceThreshold("margin", per_class=True, tuning="per_stage"),
        Reinforce(hidden=(3,), random_state=0),
    ],
    ids=str,
)
def test_the_rule_of_a_chain_decides_as_the_policy_and_the_walk(policy):
    """Where its own number reaches the threshold: both are the same decision."""
    trace, y = recorded()
    other, _ = recorded(seed=1)
    for fitted in copy(policy).fit_alphas(trace, y, COST, [0.01, 0.1]):
        for stage in fitted.stages_[:-1]:
            rule, proba = fitted.rule(stage), other.proba[:, : stage + 1]
            exits = rule.exits(proba[:, stage])
            np.testing.assert_array_equal(exits, fitted.exit_mask(stage, proba))
            np.testing.assert_array_equal(exits, fitted.route(stage, proba) == EXIT)
            score = fitted.exit_score(stage, proba)
            far = abs(score - fitted.exit_threshold(stage)) > 1e-9  # "up to rounding"
            assert far.mean() > 0.99
            np.testing.assert_array_equal(exits[far], (score >= fitted.exit_threshold(stage))[far])
        route = walk(other, fitted)
        entry = fitted.stages_[0]
        if len(fitted.stages_) > 1:
            exits = fitted.rule(entry).exits(other.proba[:, entry])
            np.testing.assert_array_equal(route.exit == entry, exits)
