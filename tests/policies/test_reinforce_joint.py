"""Joint training: what is trained, on what, and what is kept."""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch")

from skorch import NeuralNetClassifier
from torch import nn

from skcascade import CascadeClassifier, Trace, make_cascade, walk
from skcascade.exceptions import CascadeWarning
from skcascade.members import EarlyExitNetClassifier, TorchClassifier
from skcascade.nets import EarlyExitNet
from skcascade.policies import Reinforce
from skcascade.policies._bounds import bound_gap
from skcascade.policies._reinforce_joint import _Evaluation
from skcascade.tuning._operating_point import OperatingPoint

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS.astype(np.float32)


# The evaluation ---------------------------------------------------------------------------


def two_stages(n=3000):
    """The evaluation of two stages of different skill, their relative costs, and the losses."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, 2, 3))
    logits[np.arange(n), :, y] += [1.0, 4.0]
    trace = Trace(np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True))
    cost = np.array([0.1, 1.1])
    return _Evaluation(trace, y, cost, Reinforce("exact"), 0), cost, trace.losses(y)


def test_dual_ascent_starts_from_an_alpha_that_fits_the_bound():
    evaluation, _, _ = two_stages()

    def first(**point):
        return evaluation.first_alpha(0.05, bound_gap(OperatingPoint(**point)))

    of_cost = [first(max_cost=bound) for bound in (0.3, 0.6, 0.9)]
    of_drop = [first(max_accuracy_drop=bound) for bound in (0.02, 0.05, 0.1)]
    assert 1 > of_cost[0] > of_cost[1] > of_cost[2] > 5e-3
    assert 5e-3 <= of_drop[0] <= of_drop[1] < of_drop[2] < 1


def test_the_given_alpha_is_where_training_starts():
    evaluation, _, _ = two_stages(300)
    assert evaluation.first_alpha(0.07, bound_gap(OperatingPoint(alpha=0.07))) == 0.07


@pytest.mark.parametrize(("bias", "stage"), [(30.0, 0), (-30.0, 1)])
def test_collapse_is_warned_of(bias, stage):
    evaluation, _, _ = two_stages()
    heads = evaluation.fit_heads(0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation.warn_if_collapsed(heads, 0.3)
    collapsed = copy.deepcopy(heads)
    nn.init.zeros_(collapsed[0][-1].weight)
    nn.init.constant_(collapsed[0][-1].bias, bias)
    with pytest.warns(CascadeWarning, match=f"100% of the samples exit at stage {stage}"):
        evaluation.warn_if_collapsed(collapsed, 0.3)
    with warnings.catch_warnings():  # where it is right to use one stage alone
        warnings.simplefilter("error")
        evaluation.warn_if_collapsed(collapsed, 5.0 if stage == 0 else 1e-4)


# Which members are trained ----------------------------------------------------------------


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
            patch.setattr(_Evaluation, "objective", lambda *a: next(counter))
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
    spy = cascade.tuning_.policy
    assert spy.same == [True, True, False]
    assert spy.untouched  # copies are trained, what may lie in a cache is not
    assert torch.equal(weights_of(frozen.estimator), weights)
    before = pickle.loads(spy.before["net"]).estimator
    assert not torch.allclose(weights_of(before), weights_of(cascade.members_.net))


def test_members_stay_where_nothing_can_be_trained():
    cascade = make_cascade(
        GaussianNB(), LogisticRegression(), policy=Spy(), cost=[1, 9], random_state=0
    ).fit(*make_classification(300, n_informative=5, n_classes=3, random_state=0))
    assert cascade.tuning_.policy.same == [True, True]
    assert not hasattr(cascade.policy_, "alpha_")
    heads_only = two_nets(policy=Spy(fine_tune_members=False)).fit(DIGITS[:400], DIGIT[:400])
    assert heads_only.tuning_.policy.same == [True, True]


def test_training_that_does_harm_is_undone():
    policy = Spy(lr=10.0, max_epochs=1, patience=None)
    cascade = two_nets(policy=policy, alpha=0.05).fit(DIGITS[:800], DIGIT[:800])
    assert cascade.tuning_.policy.same == [True, True]
    assert cascade.score(DIGITS[800:], DIGIT[800:]) > 0.8


def test_the_net_in_a_pipeline_is_trained():
    pipeline = make_pipeline(StandardScaler(), mlp((16,)))
    members = [("nb", GaussianNB()), ("net", pipeline)]
    policy = Always(max_epochs=1, patience=None)
    cascade = CascadeClassifier(members, policy=policy, cost=[1, 9], random_state=0)
    cascade.fit(DIGITS[:600], DIGIT[:600])
    before = pickle.loads(cascade.tuning_.policy.before["net"]).estimator
    after = cascade.members_.net
    assert np.array_equal(before[0].mean_, after[0].mean_)
    assert not torch.allclose(weights_of(before[1]), weights_of(after[1]))


class TwoExits(EarlyExitNet):
    """A hidden layer after each of which the digits can be classified."""

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
    assert cascade.tuning_.policy.same == [False, False]
    assert cascade.score(DIGITS[600:], labels[600:]) > 0.7


def test_every_exit_of_an_early_exit_net_is_trained():
    net = EarlyExitNetClassifier(TwoExits, max_epochs=5)
    members = [("nb", GaussianNB()), ("net", net), ("large", mlp((64,)))]
    policy = Always(max_epochs=1, patience=None)
    cascade = CascadeClassifier(members, policy=policy, cost=None, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        cascade.fit(DIGITS[:600] / 16, DIGIT[:600])
    before = pickle.loads(cascade.tuning_.policy.before["net"]).estimator.module_
    after = cascade.members_.net.module_
    assert cascade.stage_names_ == ["nb", "net:0", "net:1", "large"]
    for old, new in zip(before.parameters(), after.parameters()):
        assert not torch.allclose(old, new)
    live = walk(cascade.evidence(DIGITS[600:] / 16), cascade.policy_)
    replay = walk(cascade.record(DIGITS[600:] / 16), cascade.policy_)
    assert np.array_equal(live.exit, replay.exit)
