"""Reinforce: the objective and its gradients, joint training, heads on recorded answers."""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch")

from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint, LoadInitState
from torch import nn

from skcascade import CascadeClassifier, Trace, fit_policy, make_cascade, walk
from skcascade._operating_point import OperatingPoint
from skcascade._stages import Live
from skcascade.checks import check_policy
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.members import EarlyExitNetClassifier, TorchClassifier
from skcascade.nets import EarlyExitNet
from skcascade.policies import Reinforce
from skcascade.policies._reinforce import _gap
from skcascade.policies._reinforce_joint import Aligned, JointModule, _assemble, _Judge
from skcascade.policies._reinforce_loss import BASELINES, JointLoss, PolicyLoss, leave_log_proba
from skcascade.policies._reinforce_net import Heads, states

PRICE = [0.1, 0.4, 1.4]
DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS.astype(np.float32)


def policy_loss(**params):
    params = {
        "gradient": "exact", "baseline": "none", "n_draws": 1, "entropy": 0.0, **params
    }  # fmt: skip
    return PolicyLoss(torch.tensor(PRICE, dtype=torch.float64), 0.3, **params)


def joint_loss(member_loss, **params):
    params = {
        "gradient": "exact", "baseline": "none", "n_draws": 1, "entropy": 0.0, "supervised": 0.0,
        **params,
    }  # fmt: skip
    price = torch.tensor(PRICE, dtype=torch.float64)
    return JointLoss(member_loss, price=price, alpha=0.3, **params)


def tiny_cascade():
    """Stop logits, class logits and code of one sample: 3 stages, 3 classes."""
    stop = torch.tensor([[0.3, -0.6]], dtype=torch.float64, requires_grad=True)
    logits = [[0.2, -0.5, 0.1], [1.0, 0.3, -0.2], [2.0, 0.0, -1.0]]
    logits = torch.tensor([logits], dtype=torch.float64, requires_grad=True)
    return stop, logits, torch.tensor([0])


# --- the objective ------------------------------------------------------------------


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=6))
def test_who_leaves_where_is_a_distribution(logits):
    stop = torch.tensor([logits], dtype=torch.float64)
    leave = leave_log_proba(stop).exp()[0].numpy()
    going = 1.0
    for k, pi in enumerate(torch.sigmoid(stop[0]).numpy()):
        assert leave[k] == pytest.approx(going * pi, abs=1e-12)
        going *= 1 - pi
    assert leave[-1] == pytest.approx(going, abs=1e-12)
    assert leave.sum() == pytest.approx(1)


def test_policy_loss_is_the_expectation():
    stop, _, _ = tiny_cascade()
    lost = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    value = policy_loss()((stop, torch.ones(1)), {"lost": lost, "weight": torch.ones(1)})
    p, q = torch.sigmoid(stop.detach()[0]).tolist()
    paid = [0.7 + 0.3 * 0.1, 0.2 + 0.3 * 0.4, 0.1 + 0.3 * 1.4]
    assert value.item() == pytest.approx(
        p * paid[0] + (1 - p) * q * paid[1] + (1 - p) * (1 - q) * paid[2]
    )


def test_weights_of_samples():
    stop = torch.tensor([[0.3, -0.6], [1.0, 1.0]], dtype=torch.float64)
    lost = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]], dtype=torch.float64)
    loss = policy_loss()

    def value(rows, weight):
        return loss(
            (stop[rows], torch.ones(len(rows))),
            {"lost": lost[rows], "weight": torch.tensor(weight)},
        ).item()

    assert value([0, 1], [1.0, 0.0]) == pytest.approx(value([0], [1.0]))
    assert value([0, 1], [2.0, 1.0]) == pytest.approx(value([0, 0, 1], [1.0, 1.0, 1.0]))


def test_exact_zero_one_is_the_sum_over_exits_and_answers():
    stop, logits, y = tiny_cascade()
    value = joint_loss("zero_one")((stop, logits.log_softmax(2)), y)
    leave = leave_log_proba(stop.detach())[0].exp()
    answer = logits.detach()[0].softmax(1)
    expected = sum(
        float(leave[k] * answer[k, c]) * (float(c != y[0]) + 0.3 * PRICE[k])
        for k, c in itertools.product(range(3), range(3))
    )
    assert value.item() == pytest.approx(expected)


def test_cross_entropy_trains_members_by_who_leaves_there():
    stop, logits, y = tiny_cascade()
    joint_loss("cross_entropy")((stop, logits.log_softmax(2)), y).backward()
    own = logits.detach().clone().requires_grad_()
    nn.functional.cross_entropy(own[0], y.repeat(3), reduction="sum").backward()
    leave = leave_log_proba(stop.detach()).exp()[..., None]
    torch.testing.assert_close(logits.grad, leave * own.grad)


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
    lost = torch.zeros(1, 3, dtype=torch.float64)  # class 0 is the likeliest everywhere
    expected = policy_loss()((stop, torch.ones(1)), {"lost": lost, "weight": torch.ones(1)})
    assert value.item() == pytest.approx(expected.item())


# --- the sampled gradient -----------------------------------------------------------

#: Each test below looks at 11 numbers, 9 of logits and 2 of heads. With |z| < 5.5 the chance that
#: an unbiased estimate fails one of all the 88 comparisons is below 88 * 3.8e-8 = 4e-6.
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
    paid = torch.zeros(1, 3)
    base = BASELINES["greedy"](paid, leave_log_proba(stop), certain)
    assert base.tolist() == [[1.0, 2.0, 3.0]]


# --- heads --------------------------------------------------------------------------


@pytest.mark.parametrize("n_stages", [2, 3, 5])
@pytest.mark.parametrize("hidden", [(), (8,)])
def test_heads_start_with_equal_shares(n_stages, hidden):
    torch.manual_seed(0)
    seen = states(torch.rand(7, n_stages, 4).softmax(2))
    heads = Heads(seen, hidden)
    leave = leave_log_proba(heads(seen)).exp()
    np.testing.assert_allclose(leave.detach(), 1 / n_stages)


def known_trace(n=600, seed=0):
    """Stage 0 is right where its answer is class 0, whatever its confidence; stage 1 always."""
    rng = np.random.default_rng(seed)
    said = rng.integers(2, size=n)
    sure = rng.uniform(0.55, 0.95, size=n)
    y = np.where(said == 0, 0, rng.integers(2, size=n))
    first = np.where(said[:, None] == [0, 1], sure[:, None], 1 - sure[:, None])
    return Trace(np.stack([first, np.eye(2)[y] * 0.9 + 0.05], axis=1)), y


@pytest.mark.parametrize("gradient", ["reinforce", "exact"])
def test_heads_find_the_best_rule_of_a_known_trace(gradient):
    trace, y = known_trace()
    policy = fit_policy(
        Reinforce(gradient, random_state=0), trace, y, cost=[1, 9], alpha=0.2, random_state=0
    )
    test, y_test = known_trace(seed=1)
    way = walk(test, policy)
    said = test.proba[:, 0].argmax(axis=1)
    assert (way.exit == said).mean() > 0.97  # class 0 leaves at once, class 1 goes on
    assert (way.proba.argmax(axis=1) == y_test).mean() > 0.99


def test_a_useless_stage_is_dropped():
    trace, y = known_trace()
    noise = np.random.default_rng(3).dirichlet([1, 1], size=(len(y), 1)).astype(np.float32)
    wider = Trace(np.concatenate([noise, trace.proba], axis=1))
    policy = fit_policy(Reinforce(random_state=0), wider, y, cost=[1, 1, 9], alpha=0.1)
    assert policy.stages_ == [1, 2]


def two_stages(n=3000):
    """A judge of two stages of different skill, their relative costs, and its losses."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, 2, 3))
    logits[np.arange(n), :, y] += [1.0, 4.0]
    trace = Trace(np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True))
    price = np.array([0.1, 1.1])
    return _Judge(trace, y, price, Reinforce("exact"), 0), price, trace.losses(y)


def test_dual_ascent_starts_from_a_price_that_fits_the_bound():
    judge, _, _ = two_stages()
    of_cost, of_drop = (
        [judge.first_alpha(0.05, _gap(OperatingPoint(**{dial: bound}))) for bound in bounds]
        for dial, bounds in [
            ("max_cost", (0.3, 0.6, 0.9)),
            ("max_accuracy_drop", (0.02, 0.05, 0.1)),
        ]
    )
    assert 1 > of_cost[0] > of_cost[1] > of_cost[2] > 5e-3
    assert 5e-3 <= of_drop[0] <= of_drop[1] < of_drop[2] < 1


def test_the_given_price_is_where_training_starts():
    judge, _, _ = two_stages(300)
    assert judge.first_alpha(0.07, _gap(OperatingPoint(alpha=0.07))) == 0.07


@pytest.mark.parametrize(("bias", "stage"), [(30.0, 0), (-30.0, 1)])
def test_collapse_is_told(bias, stage):
    judge, _, _ = two_stages()
    heads = judge.fit_heads(0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge.warn_if_collapsed(heads, 0.3)
    collapsed = copy.deepcopy(heads)
    nn.init.zeros_(collapsed[0][-1].weight)
    nn.init.constant_(collapsed[0][-1].bias, bias)
    with pytest.warns(CascadeWarning, match=f"100% of the samples leave at stage {stage}"):
        judge.warn_if_collapsed(collapsed, 0.3)
    with warnings.catch_warnings():  # where it is right to use one stage alone
        warnings.simplefilter("error")
        judge.warn_if_collapsed(collapsed, 5.0 if stage == 0 else 1e-4)


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
    said = trace.proba[:, 0].argmax(axis=1)
    cost = FixedCost([1, 9]).fit(2)
    # Without the rows that stage 0 gets wrong it is right for everybody.
    weight = (y == said).astype(float)
    policy = Reinforce("exact", random_state=0)
    weighed = clone(policy).fit(trace, y, cost, 0.2, weight)
    assert (walk(trace, weighed).exit == 0).mean() > 0.97
    assert (walk(trace, clone(policy).fit(trace, y, cost, 0.2)).exit == 0).mean() < 0.6


@pytest.mark.parametrize(
    "policy",
    [Reinforce(), Reinforce("exact", hidden=(8,)), Reinforce(fine_tune_members=False)],
    ids=["default", "exact", "heads"],
)
def test_contract_of_a_policy(policy):
    check_policy(clone(policy).set_params(random_state=0))


# --- joint training -----------------------------------------------------------------


def mlp(hidden, epochs=5):
    return TorchClassifier(
        module_params={"hidden": hidden}, max_epochs=epochs, early_stopping=False
    )


def two_nets(**params):
    params = {"policy": Reinforce(patience=None, max_epochs=2), "random_state": 0, **params}
    return CascadeClassifier([("small", mlp((8,))), ("large", mlp((64,)))], **params)


class Spy(Reinforce):
    """Keeps what went into and came out of `fine_tune`."""

    def fine_tune(self, stages, *rest):
        self.before = {name: pickle.dumps(m) for name, m in stages.members}
        tuned = super().fine_tune(stages, *rest)
        self.untouched = {n: pickle.dumps(m) for n, m in stages.members} == self.before
        self.same = [m is t for (_, m), (_, t) in zip(stages.members, tuned.members)]
        return tuned


class Always(Spy):
    """Takes the trained members whether or not they are better on the validation rows."""

    def fine_tune(self, *args):
        counter = itertools.count()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Judge, "objective", lambda *a: next(counter))
            return super().fine_tune(*args)


def weights_of(estimator):
    return torch.cat([w.detach().flatten() for w in estimator.module_.parameters()])


def test_torch_members_are_trained_and_all_others_are_not():
    X, y = DIGITS[:600], DIGIT[:600]
    frozen = FrozenEstimator(mlp((8,)).fit(DIGITS[600:], DIGIT[600:]))
    weights = weights_of(frozen.estimator)
    members = [("nb", GaussianNB()), ("frozen", frozen), ("net", mlp((16,)))]
    policy = Always(max_epochs=1, patience=None)
    cascade = CascadeClassifier(members, policy=policy, cost=[1, 2, 5], random_state=0).fit(X, y)
    spy = cascade._tuning.policy
    assert spy.same == [True, True, False]
    assert spy.untouched  # copies are trained, what may lie in a cache is not
    assert torch.equal(weights_of(frozen.estimator), weights)
    before = pickle.loads(spy.before["net"]).estimator
    assert not torch.allclose(weights_of(before), weights_of(cascade.members_.net))


def test_members_stay_where_nothing_can_be_trained():
    cascade = make_cascade(
        GaussianNB(), LogisticRegression(), policy=Spy(), cost=[1, 9], random_state=0
    ).fit(*make_classification(300, n_informative=5, n_classes=3, random_state=0))
    assert cascade._tuning.policy.same == [True, True]
    assert not hasattr(cascade.policy_, "alpha_")
    heads_only = two_nets(policy=Spy(fine_tune_members=False)).fit(DIGITS[:400], DIGIT[:400])
    assert heads_only._tuning.policy.same == [True, True]


def test_training_that_does_harm_is_taken_back():
    policy = Spy(lr=10.0, max_epochs=1, patience=None)
    cascade = two_nets(policy=policy, alpha=0.05).fit(DIGITS[:800], DIGIT[:800])
    assert cascade._tuning.policy.same == [True, True]
    assert cascade.score(DIGITS[800:], DIGIT[800:]) > 0.8


def test_the_net_in_a_pipeline_is_trained():
    pipeline = make_pipeline(StandardScaler(), mlp((16,)))
    members = [("nb", GaussianNB()), ("net", pipeline)]
    policy = Always(max_epochs=1, patience=None)
    cascade = CascadeClassifier(members, policy=policy, cost=[1, 9], random_state=0)
    cascade.fit(DIGITS[:600], DIGIT[:600])
    before = pickle.loads(cascade._tuning.policy.before["net"]).estimator
    after = cascade.members_.net
    assert np.array_equal(before[0].mean_, after[0].mean_)
    assert not torch.allclose(weights_of(before[1]), weights_of(after[1]))


class TwoExits(EarlyExitNet):
    """A hidden layer after each of which the digits can be told."""

    def __init__(self):
        blocks = [nn.Sequential(nn.Linear(64, 16), nn.ReLU()), nn.Sequential(nn.Linear(16, 32))]
        super().__init__(blocks, [nn.Linear(16, 10), nn.Linear(32, 10)])


class Softmax(nn.Module):
    """Answers probabilities, as skorch's default criterion expects."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, X):
        return self.layer(X / 16).softmax(-1)


def test_raw_skorch_nets_are_trained():
    net = NeuralNetClassifier(Softmax, max_epochs=5, lr=0.1, train_split=None, verbose=0)
    members = [("raw", net), ("net", mlp((32,)))]
    labels = np.array(list("abcdefghij"))[DIGIT]
    cascade = CascadeClassifier(
        members, policy=Always(max_epochs=1, patience=None), random_state=0
    ).fit(DIGITS[:600], labels[:600])
    assert cascade._tuning.policy.same == [False, False]
    assert cascade.score(DIGITS[600:], labels[600:]) > 0.7


def test_joint_module_answers_as_the_members_do():
    members = [("net", mlp((16,))), ("nb", GaussianNB()), ("raw", mlp((8,)))]
    cascade = CascadeClassifier(members, cost=[1, 2, 3], random_state=0)
    stages = cascade.fit(DIGITS[:600], DIGIT[:600])._stages
    rows = DIGITS[600:700], DIGIT[600:700]
    module, (fitting, _) = _assemble(stages, Heads(states(torch.rand(5, 3, 10))), rows, rows)
    _, log_proba = module.eval()(**fitting.X)
    recorded = Trace.record(stages, rows[0]).proba
    np.testing.assert_allclose(log_proba.detach().exp(), recorded, atol=1e-5)


@pytest.mark.parametrize("through_states", [True, False])
def test_the_gradient_of_the_heads_reaches_members_through_what_they_read(through_states):
    class Answers(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([[1.0, 0.5, -1.0], [2.0, 0.0, 0.0]]))

        def forward(self, rows):
            return self.logits.log_softmax(-1).expand(len(rows), 2, 3)

    torch.manual_seed(0)
    member = Answers()
    heads = Heads(states(torch.rand(5, 2, 3).softmax(2)))
    nn.init.ones_(heads[0][-1].weight)
    module = JointModule([member], [0, 1], heads, through_states)
    rows, y = torch.zeros(4, 1), torch.tensor([0, 1, 2, 1])
    loss = JointLoss(
        "cross_entropy", supervised=1.0, price=torch.tensor([0.1, 1.0]), alpha=0.3,
        gradient="exact", baseline="none", n_draws=1, entropy=0.0,
    )  # fmt: skip
    loss(module((rows,), torch.empty(4, 0, 3)), y).backward()
    plain = member.logits.detach().clone().requires_grad_()
    (plain.log_softmax(-1)[:, y].sum() / -4).backward()
    same = torch.allclose(member.logits.grad, plain.grad, atol=1e-6)
    assert same != through_states
    assert torch.allclose(member.logits.grad[1], plain.grad[1], atol=1e-6)  # no head reads it


def test_every_exit_of_an_early_exit_net_is_trained():
    net = EarlyExitNetClassifier(TwoExits, max_epochs=5)
    members = [("nb", GaussianNB()), ("net", net), ("large", mlp((64,)))]
    policy = Always(max_epochs=1, patience=None)
    cascade = CascadeClassifier(members, policy=policy, cost=None, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        cascade.fit(DIGITS[:600] / 16, DIGIT[:600])
    before = pickle.loads(cascade._tuning.policy.before["net"]).estimator.module_
    after = cascade.members_.net.module_
    assert cascade.stage_names_ == ["nb", "net:0", "net:1", "large"]
    for old, new in zip(before.parameters(), after.parameters()):
        assert not torch.allclose(old, new)
    live = walk(Live(cascade._stages, DIGITS[600:] / 16), cascade.policy_)
    replay = walk(Trace.record(cascade._stages, DIGITS[600:] / 16), cascade.policy_)
    assert np.array_equal(live.exit, replay.exit)


def test_a_member_that_lacks_a_class():
    lacking = mlp((16,)).fit(DIGITS[DIGIT < 9][:500], DIGIT[DIGIT < 9][:500])
    stages = (
        CascadeClassifier(
            [("lacking", FrozenEstimator(lacking)), ("net", mlp((16,)))], random_state=0
        )
        .fit(DIGITS[:600], DIGIT[:600])
        ._stages
    )
    member = stages.members[0][1]
    member.estimator = lacking  # no longer frozen
    module, (rows,) = member.joint(DIGITS[600:620])
    log_proba = Aligned(module, stages.columns_of("lacking"), 10)(rows)
    assert log_proba.shape == (20, 1, 10)
    assert (log_proba[:, 0, 9] < -20).all()


@pytest.mark.parametrize(
    "point",
    [{"alpha": 0.03}, {"max_cost": 0.5}, {"max_accuracy_drop": 0.01}, {}],
    ids=str,
)
def test_every_operating_point(point):
    cascade = two_nets(policy=Always(max_epochs=2, patience=None), **point)
    cascade.fit(DIGITS[:800], DIGIT[:800])
    policy = cascade.policy_
    assert 5e-3 <= policy.alpha_ <= 1.0
    assert policy.alpha_ == pytest.approx(0.03) or "alpha" not in point
    assert len(policy.history_) == 2
    assert {"valid_cost", "valid_accuracy", "alpha", "valid_loss"} <= set(policy.history_[-1])
    assert cascade.score(DIGITS[800:], DIGIT[800:]) > 0.8


def test_dual_ascent_keeps_to_the_bound():
    rng = np.random.default_rng(0)
    X = DIGITS + rng.normal(scale=4.0, size=DIGITS.shape).astype(np.float32)
    policy = Always(max_epochs=15, patience=None)
    cascade = two_nets(policy=policy, max_cost=0.5).fit(X, DIGIT)
    history = cascade.policy_.history_
    assert history[-1, "valid_cost"] == pytest.approx(0.5, abs=0.1)
    assert history[0, "alpha"] != history[-1, "alpha"] == cascade.policy_.alpha_


def test_the_dial_moves_without_retraining():
    cascade = two_nets(alpha=0.05).fit(DIGITS[:800], DIGIT[:800])
    members = pickle.dumps(cascade.members_)
    costs = []
    for alpha in (0.0, 0.05, 1.0, 100.0):
        cascade.set_operating_point(alpha=alpha)
        costs.append(cascade.cost_.relative(cascade.predict_cost(DIGITS[800:])).mean())
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]
    assert pickle.dumps(cascade.members_) == members


def test_random_state_makes_it_reproducible():
    state = torch.get_rng_state()
    first, second = (two_nets().fit(DIGITS[:500], DIGIT[:500]) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(first.trace_.proba, second.trace_.proba)
    assert np.array_equal(first.predict_proba(DIGITS), second.predict_proba(DIGITS))


def test_pickled_cascades_predict_alike():
    cascade = two_nets().fit(DIGITS[:500], DIGIT[:500])
    again = pickle.loads(pickle.dumps(cascade))
    assert np.array_equal(cascade.predict_proba(DIGITS), again.predict_proba(DIGITS))


class Count(Callback):
    seen = 0

    def on_epoch_end(self, net, **kwargs):
        type(self).seen += 1


def test_callbacks_hear_of_epochs():
    Count.seen = 0
    two_nets(policy=Reinforce(max_epochs=3, patience=None, callbacks=[Count()])).fit(
        DIGITS[:400], DIGIT[:400]
    )
    assert Count.seen == 3


def test_training_stops_when_the_objective_does_not_improve():
    policy = Reinforce(max_epochs=40, patience=2, lr=3e-2)
    cascade = two_nets(policy=policy, alpha=0.05).fit(DIGITS[:600], DIGIT[:600])
    history = cascade.policy_.history_
    assert len(history) < 40
    best = int(np.argmin(history[:, "valid_loss"]))
    assert len(history) == best + 3


def test_checkpoint_and_resume(tmp_path):
    def run(epochs):
        keep = Checkpoint(dirname=tmp_path, monitor=None)
        callbacks = [LoadInitState(keep), keep]
        policy = Reinforce(max_epochs=epochs, patience=None, callbacks=callbacks)
        return two_nets(policy=policy).fit(DIGITS[:400], DIGIT[:400]).policy_.history_

    first = run(2)
    resumed = run(1)
    assert len(resumed) == 3
    assert resumed[:2, "valid_loss"] == first[:, "valid_loss"]


def test_defaults_do_not_collapse():
    with warnings.catch_warnings():
        warnings.simplefilter("error", CascadeWarning)
        cascade = CascadeClassifier(policy=Reinforce(), alpha=0.1, random_state=0)
        cascade.fit(DIGITS[:1200], DIGIT[:1200])
    exits = np.bincount(cascade.predict_exit(DIGITS[1200:]), minlength=3)
    assert (exits > 10).sum() >= 2


@pytest.mark.parametrize("cv", [3, "prefit"])
def test_other_splits(cv):
    members = [("small", mlp((8,))), ("large", mlp((32,)))]
    if cv == "prefit":
        members = [(name, net.fit(DIGITS[:600], DIGIT[:600])) for name, net in members]
    policy = Spy(max_epochs=1, patience=None)
    cascade = CascadeClassifier(members, policy=policy, cv=cv, random_state=0)
    cascade.fit(DIGITS[600:1200], DIGIT[600:1200])
    if cv == "prefit":  # frozen
        assert cascade._tuning.policy.same == [True, True]
    assert cascade.score(DIGITS[1200:], DIGIT[1200:]) > 0.7


def test_images():
    X = DIGITS[:300].reshape(-1, 1, 8, 8)
    from skcascade.nets import CifarResNet

    members = [
        (name, TorchClassifier(CifarResNet, module_params={"depth": 8, "width": w}, max_epochs=4))
        for name, w in [("small", 2), ("large", 8)]
    ]
    cascade = CascadeClassifier(members, policy=Reinforce(max_epochs=1), random_state=0)
    assert cascade.fit(X, DIGIT[:300]).predict_proba(X).shape == (300, 10)


# --- bad input ----------------------------------------------------------------------


class Counting(GaussianNB):
    fits = 0

    def fit(self, *args, **kwargs):
        type(self).fits += 1
        return super().fit(*args, **kwargs)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gradient": "wrong"}, "gradient"),
        ({"baseline": "wrong"}, "baseline"),
        ({"member_loss": "wrong"}, "member_loss"),
        ({"n_draws": 1}, "`n_draws` of 2 or more, got 1"),
        ({"n_draws": 0}, "n_draws"),
        ({"validation_fraction": 0.0}, "validation_fraction"),
        ({"hidden": 8}, "hidden"),
    ],
)
def test_bad_parameters_are_told_before_anything_is_fitted(params, message):
    Counting.fits = 0
    X, y = make_classification(100, random_state=0)
    members = [("a", Counting()), ("b", Counting())]
    with pytest.raises(ValueError, match=message):
        CascadeClassifier(members, policy=Reinforce(**params)).fit(X, y)
    assert Counting.fits == 0


def test_a_class_too_rare_to_be_kept_is_told():
    X, y = make_classification(100, random_state=0)
    y = np.where(np.arange(100) < 2, 2, y)
    members = [("a", GaussianNB()), ("b", LogisticRegression())]
    cascade = CascadeClassifier(members, policy=Reinforce(), cv=0.5, random_state=0)
    with pytest.raises(ValueError, match="`validation_fraction`=0.1 cannot keep rows"):
        cascade.fit(X, y)
