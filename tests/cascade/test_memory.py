"""How often members are fitted and searches run, with and without a cache."""

import pickle
from collections import UserDict

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skcascade import CascadeClassifier, make_cascade
from skcascade.members import TorchClassifier
from skcascade.policies import ConfidenceThreshold, WeightedBinary

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[:200], ROWS[200:])]
THREE_FOLDS = [(ROWS[ROWS % 3 != i], ROWS[ROWS % 3 == i]) for i in range(3)]


#: Counts of this process. They are no attributes of the classes, which are part of the key.
#: No dict: plain values that the code of members refers to are part of the key.
COUNTS = UserDict(net=0, torch=0, solved=0)


class CountedNet(NeuralNetClassifier):
    def fit(self, X, y, **params):
        COUNTS["net"] += 1
        return super().fit(X, y, **params)


class CountedTorch(TorchClassifier):
    def fit(self, X, y):
        COUNTS["torch"] += 1
        return super().fit(X, y)


# Members ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "expected"), [(0.2, 1), (SPLIT, 1), (3, 4), (THREE_FOLDS, 4)], ids=str
)
@pytest.mark.parametrize("cached", [False, True])
def test_each_member_is_fitted_once_per_fold(cv, expected, cached, tmp_path, counted, n_fits):
    log = tmp_path / "log"
    cascade = make_cascade(
        counted(log),
        counted(log, var_smoothing=0.1),
        cv=cv,
        memory=str(tmp_path / "cache") if cached else None,
        random_state=0,
    ).fit(X, Y)
    assert n_fits(log) == 2 * expected
    cascade.set_operating_point(alpha=0.5).predict(X)
    assert n_fits(log) == 2 * expected
    first = cascade.fit(X, Y).predict_proba(X)
    assert n_fits(log) == 2 * expected * (1 if cached else 2)
    assert np.array_equal(cascade.set_params(memory=None).fit(X, Y).predict_proba(X), first)


@pytest.mark.parametrize("cached", [False, True])
def test_search_over_alphas(cached, tmp_path, counted):
    log = tmp_path / "log"
    cascade = make_cascade(
        LogisticRegression(), counted(log), memory=tmp_path / "cache", random_state=0
    )
    cascade.memory = str(tmp_path / "cache") if cached else None
    grid = {"alpha": [0.001, 0.01, 0.1, 1.0]}
    search = GridSearchCV(cascade, grid, cv=3).fit(X, Y)
    fits = log.read_text().splitlines()
    # Once per outer fold and once more to refit, or for every candidate.
    assert len(fits) == (4 if cached else 13)
    # All candidates see the same inner splits.
    assert len(set(fits)) == 4
    assert search.best_estimator_.alpha in grid["alpha"]


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_memory_needs_an_int(random_state, tmp_path, counted, n_fits):
    log = tmp_path / "log"
    cascade = make_cascade(counted(log), memory=str(tmp_path / "cache"), random_state=random_state)
    with pytest.raises(ValueError, match="`memory` needs an int `random_state`"):
        cascade.fit(X, Y)
    assert n_fits(log) == 0


def test_memory_finds_nets_again(tmp_path, perceptron):
    COUNTS.update(net=0, torch=0)
    cascade = make_cascade(
        CountedNet(perceptron, max_epochs=2, verbose=0),
        make_pipeline(FunctionTransformer(np.float32), CountedNet(perceptron, lr=0.1, verbose=0)),
        CountedTorch(max_epochs=2),
        CountedTorch(nn.Linear(8, 3), max_epochs=2),
        cost=[1, 2, 3, 4],
        memory=joblib.Memory(tmp_path, verbose=0),
        random_state=0,
    ).fit(X, Y)
    expected = cascade.predict_proba(X)
    assert (COUNTS["net"], COUNTS["torch"]) == (2, 2)
    for other in (clone(cascade), pickle.loads(pickle.dumps(cascade)), clone(clone(cascade))):
        assert np.array_equal(other.fit(X, Y).predict_proba(X), expected)
        assert np.array_equal(other.trace_.proba, cascade.trace_.proba)
    GridSearchCV(cascade, {"alpha": [0.01, 0.1, 1.0]}, cv=2, refit=False).fit(X, Y)
    assert (COUNTS["net"], COUNTS["torch"]) == (2 + 2 * 2, 2 + 2 * 2)
    # What decides the outcome is told apart: other parameters, rows, seeds, weights.
    clone(cascade).set_params(countednet__lr=0.5).fit(X, Y)
    assert COUNTS["net"] == 7
    clone(cascade).set_params(random_state=1).fit(X, Y)
    assert (COUNTS["net"], COUNTS["torch"]) == (9, 8)
    other = clone(cascade)
    with torch.no_grad():
        dict(other.members)["countedtorch-2"].module.weight += 1
    other.fit(X, Y)
    assert COUNTS["torch"] == 9
    other.fit(X[::-1], Y[::-1])
    assert (COUNTS["net"], COUNTS["torch"]) == (11, 11)


FROZEN = {
    "nb": lambda: GaussianNB(),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": lambda: RandomForestClassifier(3, random_state=0),
    "calibrated": lambda: CalibratedClassifierCV(GaussianNB(), cv=2),
    "search": lambda: GridSearchCV(GaussianNB(), {"var_smoothing": [0.1]}, cv=2),
    "torch": lambda: TorchClassifier(max_epochs=2, random_state=0),
}


@pytest.mark.parametrize("kind", [*FROZEN, "net in a pipeline"])
def test_memory_tells_frozen_members_apart(kind, tmp_path, raw_net):
    for labels in (Y, (Y + 1) % 3):
        if kind in FROZEN:
            fitted = FROZEN[kind]().fit(X, labels)
        else:
            net = raw_net(iterator_train__shuffle=False)
            fitted = make_pipeline(FunctionTransformer(np.float32), net).fit(X, labels)
        member = FrozenEstimator(fitted)
        cascade = make_cascade(member, cost=[1], memory=str(tmp_path), random_state=0).fit(X, Y)
        expected = member.predict_proba(X.astype(np.float32))
        assert np.allclose(cascade.predict_proba(X), expected, atol=1e-5)
        assert np.array_equal(clone(cascade).fit(X, Y).trace_.proba, cascade.trace_.proba)


def test_memory_keeps_losses_and_weights_apart(tmp_path, recorded, sure_or_not):
    proba, y = sure_or_not()
    plain = recorded(memory=str(tmp_path)).fit(proba, y)
    free = recorded(memory=str(tmp_path), loss=no_loss).fit(proba, y)
    assert free.policy_.stages_ == [0] != plain.policy_.stages_
    cascade = make_cascade(GaussianNB(), memory=str(tmp_path), random_state=0)
    theta = cascade.fit(X, Y).members_.gaussiannb.theta_
    weighted = cascade.fit(X, Y, sample_weight=1 + (ROWS % 2)).members_.gaussiannb.theta_
    assert not np.allclose(theta, weighted)


def no_loss(y, proba):
    return np.zeros(len(y))


# Searches ---------------------------------------------------------------------------------


class CountingPolicy(ConfidenceThreshold):
    """Counts how often its candidates are solved for."""

    def fit_alphas(self, *args):
        COUNTS["solved"] += 1
        return super().fit_alphas(*args)


def test_memory_keeps_the_search_for_all_operating_points(tmp_path):
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    base = {"members": members, "cost": [1, 10], "random_state": 0}
    kept, fresh = [], []
    for alpha in (0.01, 0.1, 0.5):
        COUNTS["solved"] = 0
        cascade = CascadeClassifier(
            policy=CountingPolicy(), alpha=alpha, memory=str(tmp_path), **base
        ).fit(X, Y)
        kept.append((COUNTS["solved"], cascade.policy_.thresholds_.tolist()))
        other = CascadeClassifier(alpha=alpha, **base).fit(X, Y)
        fresh.append(other.policy_.thresholds_.tolist())
    assert kept[0][0] > 0
    assert [solved for solved, _ in kept[1:]] == [0, 0]
    assert [thresholds for _, thresholds in kept] == fresh
    margin = CountingPolicy("margin")  # another policy is another search
    CascadeClassifier(policy=margin, memory=str(tmp_path), **base).fit(X, Y)
    assert COUNTS["solved"] > 0


def test_memory_takes_policies_with_functions_without_a_name(tmp_path):
    policy = WeightedBinary(features=lambda stage, proba: proba[:, stage, :1])
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    params = {"members": members, "cost": [1, 10], "random_state": 0, "policy": policy}
    cached = CascadeClassifier(memory=str(tmp_path), **params).fit(X, Y)
    fresh = CascadeClassifier(**params).fit(X, Y)
    np.testing.assert_array_equal(cached.predict(X), fresh.predict(X))
