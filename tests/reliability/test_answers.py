"""Answers must be probabilities and losses finite, live and recorded."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from skorch import NeuralNetClassifier
from torch import nn

from skcascade import Trace, fit_policy, make_cascade, sample_size
from skcascade.members import TorchClassifier
from skcascade.policies import ConfidenceThreshold

GOOD = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], size=(60, 2))
CODES = np.arange(60) % 3


# Nets on logits ------------------------------------------------------------------------------


def logits_net(**params):
    return NeuralNetClassifier(
        nn.Linear, module__in_features=4, module__out_features=3, max_epochs=30, lr=0.1,
        train_split=None, verbose=0, **params,
    )  # fmt: skip


def test_a_net_on_logits_with_its_default_criterion_is_refused(faults):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError) as raised:
        make_cascade(logits_net(), cost=[1.0], random_state=0).fit(faults.X, faults.Y)
    for part in ("Member 'neuralnetclassifier' answered", "CrossEntropyLoss", "Logits"):
        assert part in str(raised.value)


def test_the_remedy_of_the_message_works(faults):
    net = logits_net(criterion=nn.CrossEntropyLoss)
    cascade = make_cascade(net, cost=[1.0], random_state=0).fit(faults.X, faults.Y)
    assert cascade.score(faults.X, faults.Y) > 0.5


# Recorded answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["NaN", "logits", "log-probabilities", "zeros", "negative", "complex", "boolean"]
)
@pytest.mark.parametrize("where", ["everywhere", "one row"])
def test_a_trace_holds_probabilities(kind, where, faults):
    spoiled = faults.ANSWERS[kind](GOOD)
    if where == "one row" and spoiled.dtype.kind == "f":
        spoiled = np.concatenate([GOOD[:-1], spoiled[-1:]])
    with pytest.raises(ValueError, match=r"`proba` holds .* instead of probabilities"):
        Trace(spoiled)


@pytest.mark.parametrize("kind", ["rounded", "float16", "integers"])
def test_rounded_probabilities_are_taken(kind):
    proba = {
        "rounded": GOOD.round(2),
        "float16": GOOD.astype(np.float16),
        "integers": np.eye(3, dtype=int)[GOOD.argmax(axis=2)],
    }[kind]
    assert Trace(proba).proba.shape == GOOD.shape


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_given_losses_are_finite(value):
    losses = np.zeros((60, 2))
    losses[3, 1] = value
    with pytest.raises(ValueError, match="`loss` must hold finite numbers"):
        Trace(GOOD, loss=losses)


def no_number(y, proba):
    return np.where(y == 1, np.nan, 0.0)


def infinite(y, proba):
    return np.where(y == 1, np.inf, 0.0)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("loss", [no_number, infinite])
@pytest.mark.parametrize("certified", [False, True])
def test_losses_of_a_function_are_finite(loss, certified):
    trace = Trace(GOOD, loss=loss)
    level = {"confidence_level": 0.9} if certified else {}
    with pytest.raises(ValueError, match="`loss` must return finite numbers"):
        fit_policy(ConfidenceThreshold(), trace, CODES, cost=[1, 10], **level)
    with pytest.raises(ValueError, match="`loss` must return finite numbers"):
        sample_size(trace, CODES, cost=[1, 10])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("loss", [no_number, infinite])
def test_a_loss_that_is_not_finite_is_known_before_members_are_fitted(loss, faults, monkeypatch):
    def fit(*args):
        raise AssertionError("Fitted.")

    monkeypatch.setattr(GaussianNB, "fit", fit)
    cascade = make_cascade(GaussianNB(), loss=loss, cost=[1.0])
    with pytest.raises(ValueError, match="`loss` must return finite numbers"):
        cascade.fit(faults.X, faults.Y)


# Answers of zeros are not rejected samples ---------------------------------------------------


@pytest.mark.parametrize("reject", [{}, {"reject_cost": 0.4}, {"max_error": 0.2}], ids=str)
def test_zeros_of_a_member_are_never_taken_as_rejected(reject, faults):
    cascade = make_cascade(
        faults.FaultyNB("zeros"), LogisticRegression(), cost=[1, 10], random_state=0, **reject
    ).fit(faults.X, faults.Y)
    with pytest.raises(ValueError, match="Member 'faultynb' answered rows that add up to 0"):
        list(cascade.staged_predict_proba(faults.MARKED))
    with pytest.raises(ValueError, match="Member 'faultynb' answered rows that add up to 0"):
        cascade.record(faults.MARKED)


@pytest.mark.parametrize("fault", ["NaN", "negative", "logits", "zeros", "complex", "text"])
def test_one_bad_row_in_a_live_batch(fault, faults):
    cascade = make_cascade(faults.FaultyNB(fault), cost=[1.0], random_state=0)
    cascade.fit(faults.X, faults.Y)
    batch = np.concatenate([faults.X[:40], faults.MARKED[:1]])
    with pytest.raises(ValueError, match="Member 'faultynb' answered"):
        cascade.predict(batch)
    assert len(cascade.predict(faults.X[:40])) == 40


class Diverging(nn.Module):
    """A net whose weights are no numbers once it is trained."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)

    def forward(self, X):
        return self.layer(X)


def test_weights_that_are_no_numbers_after_the_fit(faults):
    member = TorchClassifier(Diverging, max_epochs=2)
    cascade = make_cascade(member, cost=[1.0], random_state=0).fit(faults.X, faults.Y)
    with torch.no_grad():
        for weight in cascade.members_.torchclassifier.module_.parameters():
            weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="Member 'torchclassifier' answered NaN or infinity"):
        cascade.predict(faults.X)


# Members that change -------------------------------------------------------------------------


class Changing(ClassifierMixin, BaseEstimator):
    """Answers otherwise on every call."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rng_ = np.random.default_rng(0)
        return self

    def predict_proba(self, X):
        return self.rng_.dirichlet(np.ones(len(self.classes_)), size=len(X))


def test_changing_answers_change_nothing_that_was_decided(faults):
    cascade = make_cascade(Changing(), LogisticRegression(), cost=[1, 10], random_state=0)
    cascade.fit(faults.X, faults.Y)
    recorded, curve = cascade.trace_.proba.copy(), cascade.tradeoff_.accuracy.copy()
    for _ in range(3):
        route = cascade.walk(faults.X)
        np.testing.assert_allclose(route.proba.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(route.label, cascade.classes_[route.proba.argmax(axis=1)])
        assert route.visited[np.arange(len(route.exit)), route.exit].all()
    np.testing.assert_array_equal(cascade.trace_.proba, recorded)
    first = cascade.set_operating_point(max_accuracy_drop=0).tradeoff_.accuracy
    np.testing.assert_array_equal(first, curve)


class Writing(GaussianNB):
    """Writes into the samples that it is fitted on."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        X[:] = 0.0
        return self


@pytest.mark.parametrize("cv", [0.3, 3])
def test_a_member_that_writes_into_its_rows_spoils_no_others(cv, faults):
    X = faults.X.copy()
    params = {"cost": [1, 10], "random_state": 0, "cv": cv}
    spoiled = make_cascade(Writing(), LogisticRegression(), **params).fit(X, faults.Y)
    clean = make_cascade(GaussianNB(), LogisticRegression(), **params).fit(X, faults.Y)
    np.testing.assert_array_equal(X, faults.X)
    faults.check_same_answers(faults.answers(clean), faults.answers(spoiled))
