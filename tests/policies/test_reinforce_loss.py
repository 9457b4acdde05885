"""The objective of the joint training, and its gradients."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn

from skcascade.policies._reinforce_loss import BASELINES, JointLoss, PolicyLoss, exit_log_proba

COST = [0.1, 0.4, 1.4]


def policy_loss(**params):
    params = {
        "gradient": "exact", "baseline": "none", "n_draws": 1, "entropy": 0.0, **params
    }  # fmt: skip
    return PolicyLoss(torch.tensor(COST, dtype=torch.float64), 0.3, **params)


def joint_loss(member_loss, **params):
    params = {
        "gradient": "exact", "baseline": "none", "n_draws": 1, "entropy": 0.0, "supervised": 0.0,
        **params,
    }  # fmt: skip
    cost = torch.tensor(COST, dtype=torch.float64)
    return JointLoss(member_loss, cost=cost, alpha=0.3, **params)


def tiny_cascade():
    """Stop logits, class logits and code of one sample: 3 stages, 3 classes."""
    stop = torch.tensor([[0.3, -0.6]], dtype=torch.float64, requires_grad=True)
    logits = [[0.2, -0.5, 0.1], [1.0, 0.3, -0.2], [2.0, 0.0, -1.0]]
    logits = torch.tensor([logits], dtype=torch.float64, requires_grad=True)
    return stop, logits, torch.tensor([0])


# The objective ----------------------------------------------------------------------------


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=6))
def test_exit_probabilities_are_a_distribution(logits):
    stop = torch.tensor([logits], dtype=torch.float64)
    exit_proba = exit_log_proba(stop).exp()[0].numpy()
    remaining = 1.0
    for k, pi in enumerate(torch.sigmoid(stop[0]).numpy()):
        assert exit_proba[k] == pytest.approx(remaining * pi, abs=1e-12)
        remaining *= 1 - pi
    assert exit_proba[-1] == pytest.approx(remaining, abs=1e-12)
    assert exit_proba.sum() == pytest.approx(1)


def test_policy_loss_is_the_expectation():
    stop, _, _ = tiny_cascade()
    losses = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    value = policy_loss()((stop, torch.ones(1)), {"losses": losses, "weight": torch.ones(1)})
    p, q = torch.sigmoid(stop.detach()[0]).tolist()
    certain = [0.7 + 0.3 * 0.1, 0.2 + 0.3 * 0.4, 0.1 + 0.3 * 1.4]
    assert value.item() == pytest.approx(
        p * certain[0] + (1 - p) * q * certain[1] + (1 - p) * (1 - q) * certain[2]
    )


def test_weights_of_samples():
    stop = torch.tensor([[0.3, -0.6], [1.0, 1.0]], dtype=torch.float64)
    losses = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]], dtype=torch.float64)
    loss = policy_loss()

    def value(rows, weight):
        return loss(
            (stop[rows], torch.ones(len(rows))),
            {"losses": losses[rows], "weight": torch.tensor(weight)},
        ).item()

    assert value([0, 1], [1.0, 0.0]) == pytest.approx(value([0], [1.0]))
    assert value([0, 1], [2.0, 1.0]) == pytest.approx(value([0, 0, 1], [1.0, 1.0, 1.0]))


def test_exact_zero_one_is_the_sum_over_exits_and_answers():
    stop, logits, y = tiny_cascade()
    value = joint_loss("zero_one")((stop, logits.log_softmax(2)), y)
    exit_proba = exit_log_proba(stop.detach())[0].exp()
    answer = logits.detach()[0].softmax(1)
    expected = sum(
        float(exit_proba[k] * answer[k, c]) * (float(c != y[0]) + 0.3 * COST[k])
        for k, c in itertools.product(range(3), range(3))
    )
    assert value.item() == pytest.approx(expected)


def test_cross_entropy_trains_members_by_exit_probability():
    stop, logits, y = tiny_cascade()
    joint_loss("cross_entropy")((stop, logits.log_softmax(2)), y).backward()
    own = logits.detach().clone().requires_grad_()
    nn.functional.cross_entropy(own[0], y.repeat(3), reduction="sum").backward()
    exit_proba = exit_log_proba(stop.detach()).exp()[..., None]
    torch.testing.assert_close(logits.grad, exit_proba * own.grad)


def test_supervised_share():
    stop, logits, y = tiny_cascade()
    joint_loss("cross_entropy", supervised=1.0)((stop, logits.log_softmax(2)), y).backward()
    own = logits.detach().clone().requires_grad_()
    nn.functional.cross_entropy(own[0], y.repeat(3), reduction="sum").backward()
    torch.testing.assert_close(logits.grad, own.grad)


@pytest.mark.parametrize("member_loss", ["cross_entropy", "zero_one"])
def test_evaluation_is_the_objective_with_the_likeliest_answers(member_loss):
    stop, logits, y = tiny_cascade()
    loss = joint_loss(member_loss, gradient="reinforce", entropy=1.0).eval()
    value = loss((stop, logits.log_softmax(2)), y)
    losses = torch.zeros(1, 3, dtype=torch.float64)  # class 0 is the likeliest everywhere
    expected = policy_loss()((stop, torch.ones(1)), {"losses": losses, "weight": torch.ones(1)})
    assert value.item() == pytest.approx(expected.item())


# The sampled gradient ---------------------------------------------------------------------


#: Each test below looks at 11 numbers, 9 of logits and 2 of heads. With |z| < 5.5 an unbiased
#: estimate fails one of all the 88 comparisons with probability below 88 * 3.8e-8 = 4e-6.
Z = 5.5


REPEATS = 100_000


def sampled_gradients(member_loss, baseline, n_draws=1):
    """Gradients with respect to heads and members, one row for each of many draws."""
    torch.manual_seed(0)
    stop, logits, y = tiny_cascade()
    many_stop = stop.detach().repeat(REPEATS, 1).requires_grad_()
    many_logits = logits.detach().repeat(REPEATS, 1, 1).requires_grad_()
    loss = joint_loss(member_loss, gradient="reinforce", baseline=baseline, n_draws=n_draws)
    (loss((many_stop, many_logits.log_softmax(2)), y.repeat(REPEATS)) * REPEATS).backward()
    return torch.cat([many_stop.grad, many_logits.grad.flatten(1)], dim=1).numpy()


def exact_gradient(member_loss):
    stop, logits, y = tiny_cascade()
    joint_loss(member_loss)((stop, logits.log_softmax(2)), y).backward()
    return torch.cat([stop.grad, logits.grad.flatten(1)], dim=1)[0].numpy()


@pytest.mark.parametrize("member_loss", ["cross_entropy", "zero_one"])
@pytest.mark.parametrize("baseline", list(BASELINES))
def test_the_sampled_gradient_is_unbiased(member_loss, baseline):
    drawn = sampled_gradients(member_loss, baseline, n_draws=2)
    error = drawn.std(axis=0) / np.sqrt(REPEATS)
    assert (np.abs(drawn.mean(axis=0) - exact_gradient(member_loss)) < Z * error + 1e-12).all()


@pytest.mark.parametrize("member_loss", ["cross_entropy", "zero_one"])
@pytest.mark.parametrize("baseline", [name for name in BASELINES if name != "none"])
def test_baselines_lower_the_variance(member_loss, baseline):
    without = sampled_gradients(member_loss, "none", n_draws=4).var(axis=0)
    own = sampled_gradients(member_loss, baseline, n_draws=4).var(axis=0)
    assert own[:2].sum() < 0.95 * without[:2].sum()  # heads
    assert own.sum() <= without.sum()


def test_a_test_of_bias_that_can_fail():
    drawn = sampled_gradients("zero_one", "none", n_draws=2)
    error = drawn.std(axis=0) / np.sqrt(REPEATS)
    wrong = exact_gradient("cross_entropy")
    assert (np.abs(drawn.mean(axis=0) - wrong) > Z * error).any()


def test_the_greedy_baseline_stops_where_a_head_is_sure():
    stop = torch.tensor([[1.0, -1.0], [-1.0, 0.1], [-0.1, -0.1]])
    certain = torch.tensor([[1.0, 2.0, 3.0]]).repeat(3, 1)
    drawn = torch.zeros(1, 3)
    base = BASELINES["greedy"](drawn, exit_log_proba(stop), certain)
    assert base.tolist() == [[1.0, 2.0, 3.0]]


def test_undecided_heads_get_the_bonus_in_training_alone():
    stop, _, _ = tiny_cascade()
    target = {"losses": torch.zeros((1, 3), dtype=torch.float64), "weight": torch.ones(1)}
    plain, rewarded = policy_loss(), policy_loss(entropy=0.5)
    values = [loss((stop, torch.ones(1)), target).item() for loss in (plain, rewarded)]
    entropy = torch.distributions.Bernoulli(logits=stop.detach()).entropy().sum().item()
    assert values[0] - values[1] == pytest.approx(0.5 * entropy)
    values = [loss.eval()((stop, torch.ones(1)), target).item() for loss in (plain, rewarded)]
    assert values[0] == values[1]
