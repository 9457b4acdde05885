"""Stop heads: how they start, and what they learn from given answers."""

import numpy as np
import pytest
from sklearn.base import clone

torch = pytest.importorskip("torch")

from skcascade import Trace, fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.policies import Reinforce
from skcascade.policies._reinforce_loss import exit_log_proba
from skcascade.policies._reinforce_net import Heads
from skcascade.policies._states import states


@pytest.mark.parametrize("n_stages", [2, 3, 5])
@pytest.mark.parametrize("hidden", [(), (8,)])
def test_heads_start_with_equal_shares(n_stages, hidden):
    torch.manual_seed(0)
    seen = states(torch.rand(7, n_stages, 4).softmax(2))
    heads = Heads(seen, hidden)
    exit_proba = exit_log_proba(heads(seen)).exp()
    np.testing.assert_allclose(exit_proba.detach(), 1 / n_stages)


def known_trace(n=600, seed=0):
    """Stage 0 is correct where it predicts class 0, whatever its confidence; stage 1 always."""
    rng = np.random.default_rng(seed)
    predicted = rng.integers(2, size=n)
    sure = rng.uniform(0.55, 0.95, size=n)
    y = np.where(predicted == 0, 0, rng.integers(2, size=n))
    first = np.where(predicted[:, None] == [0, 1], sure[:, None], 1 - sure[:, None])
    return Trace(np.stack([first, np.eye(2)[y] * 0.9 + 0.05], axis=1)), y


@pytest.mark.parametrize("gradient", ["reinforce", "exact"])
def test_heads_find_the_best_rule_of_a_known_trace(gradient):
    trace, y = known_trace()
    policy = fit_policy(
        Reinforce(gradient, random_state=0), trace, y, cost=[1, 9], alpha=0.2, random_state=0
    )
    test, y_test = known_trace(seed=1)
    route = walk(test, policy)
    predicted = test.proba[:, 0].argmax(axis=1)
    assert (route.exit == predicted).mean() > 0.97  # class 0 exits at once, class 1 is deferred
    assert (route.proba.argmax(axis=1) == y_test).mean() > 0.99


def test_a_useless_stage_is_dropped():
    trace, y = known_trace()
    noise = np.random.default_rng(3).dirichlet([1, 1], size=(len(y), 1)).astype(np.float32)
    wider = Trace(np.concatenate([noise, trace.proba], axis=1))
    policy = fit_policy(Reinforce(random_state=0), wider, y, cost=[1, 1, 9], alpha=0.1)
    assert policy.stages_ == [1, 2]


def test_recorded_outputs_need_no_members():
    trace, y = known_trace()
    loss = trace.losses(y) * np.where(y == 1, 3.0, 1.0)[:, None]
    policy = Reinforce(random_state=0).fit(
        Trace(trace.proba, loss=loss), y, FixedCost([1, 9]).fit(2), 0.1
    )
    assert policy.thresholds_.shape == (2,)
    assert len(policy.heads_) == 1


def test_weights_of_rows_count():
    trace, y = known_trace()
    predicted = trace.proba[:, 0].argmax(axis=1)
    cost = FixedCost([1, 9]).fit(2)
    # Without the rows that stage 0 gets wrong it is always correct.
    weight = (y == predicted).astype(float)
    policy = Reinforce("exact", random_state=0)
    weighed = clone(policy).fit(trace, y, cost, 0.2, weight)
    assert (walk(trace, weighed).exit == 0).mean() > 0.97
    assert (walk(trace, clone(policy).fit(trace, y, cost, 0.2)).exit == 0).mean() < 0.6
