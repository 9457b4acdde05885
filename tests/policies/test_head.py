"""Heads as plain numbers: they decide as the torch modules do."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from skcascade import Trace
from skcascade.costs import FixedCost
from skcascade.policies import Head, Reinforce
from skcascade.policies._reinforce_net import Heads
from skcascade.policies._states import states


def random_heads(n_stages, n_classes, hidden, seed):
    """Heads with random weights, and label probabilities for them."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 0.5), size=(40, n_stages)).astype(np.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**31)
        heads = Heads(states(torch.from_numpy(proba)), hidden)
        for weight in heads.parameters():
            torch.nn.init.normal_(weight)
    return heads.eval(), proba


@pytest.mark.parametrize("hidden", [(), (5,), (4, 3)])
@given(st.integers(2, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_score_is_that_of_the_torch_head(hidden, n_stages, n_classes, seed):
    heads, proba = random_heads(n_stages, n_classes, hidden, seed)
    with torch.inference_mode():
        logits = heads(states(torch.from_numpy(proba))).float().numpy()
    for stage in range(n_stages - 1):
        rule = heads.rule(stage)
        score = rule.score(proba[:, stage])
        assert score.dtype == np.float32
        np.testing.assert_array_equal(score, logits[:, stage])
        np.testing.assert_array_equal(heads.scores(proba)[:, stage], logits[:, stage])
    np.testing.assert_array_equal(heads.scores(proba)[:, -1], 0)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_score_is_the_formula_of_its_numbers(hidden):
    """Standardized features, linear layers with ReLU between them."""
    heads, proba = random_heads(2, 3, hidden, 0)
    rule = heads.rule(0, threshold=float(np.median(heads.scores(proba)[:, 0])))
    seen = states(torch.from_numpy(proba[:, 0])).numpy().astype(float)
    value = (seen - rule.mean) * rule.scale
    assert len(rule.layers) == len(hidden) + 1
    for i, (weight, bias) in enumerate(rule.layers):
        assert weight.dtype == bias.dtype == np.float64
        value = (np.maximum(value, 0) if i else value) @ weight.T + bias
    np.testing.assert_allclose(rule.score(proba[:, 0]), value[:, 0], rtol=1e-6, atol=1e-6)
    exits = rule.exits(proba[:, 0])
    assert 0 < exits.sum() < 40
    np.testing.assert_array_equal(exits, rule.score(proba[:, 0]) >= rule.threshold)


def test_threshold_that_is_just_reached_exits():
    heads, proba = random_heads(2, 3, (), 0)
    score = heads.rule(0).score(proba[:, 0])
    assert heads.rule(0, float(score[7])).exits(proba[:, 0])[7]
    above = float(np.nextafter(score[7], np.float32(np.inf)))
    assert not heads.rule(0, above).exits(proba[:, 0])[7]


def test_batch_mates_change_nothing():
    heads, proba = random_heads(2, 4, (6,), 1)
    rule = heads.rule(0)
    alone = [rule.score(proba[i : i + 1, 0])[0] for i in range(40)]
    np.testing.assert_array_equal(rule.score(proba[:, 0]), alone)


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_rules_of_a_fitted_policy_are_its_heads(hidden):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=200)
    logits = rng.normal(size=(200, 3, 3))
    logits[np.arange(200), :, y] += [1, 2, 3]
    proba = np.exp(logits)
    trace = Trace(proba / proba.sum(axis=2, keepdims=True))
    policy = Reinforce(hidden=hidden, random_state=0)
    policy.fit(trace, y, FixedCost([1, 3, 9]).fit(3), 0.05)
    assert policy.rule(2) is None  # the last stage has no head
    with torch.inference_mode():
        logits = policy.heads_(states(torch.from_numpy(trace.proba))).float().numpy()
    for stage in range(2):
        rule = pickle.loads(pickle.dumps(policy.rule(stage)))
        assert isinstance(rule, Head)
        exits = logits[:, stage] >= policy.thresholds_[stage]
        np.testing.assert_array_equal(rule.exits(trace.proba[:, stage]), exits)
        np.testing.assert_array_equal(policy.exit_mask(stage, trace.proba), exits)
