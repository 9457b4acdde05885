"""Reinforce in a cascade: operating points, training, reproducibility, bad input."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

torch = pytest.importorskip("torch")

from skorch.callbacks import Callback, Checkpoint, LoadInitState

from skcascade import CascadeClassifier
from skcascade.checks import check_policy
from skcascade.exceptions import CascadeWarning
from skcascade.members import TorchClassifier
from skcascade.policies import Reinforce
from skcascade.policies._reinforce_joint import _Evaluation

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS.astype(np.float32)


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


@pytest.mark.parametrize(
    "policy",
    [Reinforce(), Reinforce("exact", hidden=(8,)), Reinforce(fine_tune_members=False)],
    ids=["default", "exact", "heads"],
)
def test_contract_of_a_policy(policy):
    check_policy(clone(policy).set_params(random_state=0))


# Operating points -------------------------------------------------------------------------


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


def test_the_operating_point_changes_without_retraining():
    cascade = two_nets(alpha=0.05).fit(DIGITS[:800], DIGIT[:800])
    members = pickle.dumps(cascade.members_)
    costs = []
    for alpha in (0.0, 0.05, 1.0, 100.0):
        cascade.set_operating_point(alpha=alpha)
        costs.append(cascade.cost_.relative(cascade.predict_cost(DIGITS[800:])).mean())
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]
    assert pickle.dumps(cascade.members_) == members


# Reproducibility --------------------------------------------------------------------------


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


# Training ---------------------------------------------------------------------------------


class Count(Callback):
    seen = 0

    def on_epoch_end(self, net, **kwargs):
        type(self).seen += 1


def test_callbacks_see_all_epochs():
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
        assert cascade.tuning_.policy.same == [True, True]
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


# Bad input --------------------------------------------------------------------------------


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
def test_bad_parameters_are_errors_before_anything_is_fitted(params, message):
    Counting.fits = 0
    X, y = make_classification(100, random_state=0)
    members = [("a", Counting()), ("b", Counting())]
    with pytest.raises(ValueError, match=message):
        CascadeClassifier(members, policy=Reinforce(**params)).fit(X, y)
    assert Counting.fits == 0


def test_a_class_too_rare_to_be_kept_is_an_error():
    X, y = make_classification(100, random_state=0)
    y = np.where(np.arange(100) < 2, 2, y)
    members = [("a", GaussianNB()), ("b", LogisticRegression())]
    cascade = CascadeClassifier(members, policy=Reinforce(), cv=0.5, random_state=0)
    with pytest.raises(ValueError, match="`validation_fraction`=0.1 cannot keep rows"):
        cascade.fit(X, y)
