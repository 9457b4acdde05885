"""Every kind of classifier as a member: scikit-learn, frozen, raw nets, modules, cascades."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier

from skcascade import CascadeClassifier, make_cascade
from skcascade.costs import MacsCost

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[:200], ROWS[200:])]


@pytest.mark.parametrize(
    "kind",
    [
        "scikit-learn",
        "pipeline",
        "calibrated",
        "frozen",
        "raw net",
        "raw net at the end of a pipeline",
        "frozen raw net",
        "module",
        "module class",
        "TorchClassifier",
        "cascade",
    ],
)
def test_kinds_of_members(kind, make_member):
    member = make_member(kind)
    cascade = CascadeClassifier(
        [("first", DecisionTreeClassifier(max_depth=2)), ("second", member)],
        cost=[1, 4],
        alpha=0.0,
        random_state=0,
    ).fit(X, NAMES)
    first, second = cascade.staged_predict_proba(X)
    assert first.shape == second.shape == (300, 3)
    assert np.allclose(second.sum(axis=1), 1, atol=1e-5)
    assert (cascade.classes_[second.argmax(axis=1)] == NAMES).mean() > 0.4
    assert list(cascade.members_) == cascade.stage_names_ == ["first", "second"]
    if kind != "cascade":  # it has no count of its own
        MacsCost().fit(cascade.stages_, X)
    exits = cascade.predict_exit(X)
    expected = np.where((exits == 0)[:, np.newaxis], first, second)
    assert np.allclose(cascade.predict_proba(X), expected, atol=1e-6)


def test_kinds_mixed_freely(make_member):
    kinds = ["scikit-learn", "frozen", "raw net", "frozen raw net", "module", "TorchClassifier"]
    members = [(f"m{i}", make_member(kind)) for i, kind in enumerate(kinds)]
    cascade = CascadeClassifier(members, cost=range(1, 7), alpha=0.01, random_state=0)
    cascade.fit(X, NAMES)
    assert cascade.trace_.proba.shape == (60, 6, 3)
    assert cascade.score(X, NAMES) > 0.6


def test_one_member():
    cascade = make_cascade(GaussianNB(), random_state=0).fit(X, NAMES)
    assert cascade.policy_.stages_ == [0]
    assert cascade.summary().splitlines()[1].startswith("gaussiannb")
    assert np.array_equal(cascade.predict_exit(X), np.zeros(300))
    assert np.allclose(
        cascade.predict_proba(X), cascade.members_.gaussiannb.predict_proba(X), atol=1e-6
    )


# Raw nets ---------------------------------------------------------------------------------


def test_raw_net_gets_codes_and_single_precision(perceptron):
    seen = {}

    class Spy(NeuralNetClassifier):
        def fit(self, X, y, **params):
            seen["X"], seen["y"] = X, y
            return super().fit(X, y, **params)

    net = Spy(perceptron, max_epochs=1, verbose=0)
    for data in [X, pd.DataFrame(X), torch.from_numpy(X)]:
        cascade = make_cascade(net, cv=SPLIT).fit(data, NAMES)
        assert str(seen["X"].dtype).endswith("float32")
        assert seen["y"].dtype == np.int64
        assert np.array_equal(np.asarray(seen["X"]), X[:200].astype(np.float32))
        assert np.array_equal(seen["y"], Y[:200])
        assert set(cascade.predict(data)) <= set(NAMES)


def test_frozen_raw_net_is_read_as_codes(raw_net):
    net = raw_net().fit(X.astype(np.float32), Y)
    cascade = make_cascade(FrozenEstimator(net), random_state=0).fit(X, NAMES)
    assert np.array_equal(cascade.predict_proba(X), net.predict_proba(X.astype(np.float32)))
    assert cascade.members_.frozenestimator is net


# Frozen members, and classes that are missing ----------------------------------------------


def test_frozen_member_with_string_labels_in_other_order_of_fitting():
    frozen = GaussianNB().fit(X[::-1], NAMES[::-1])
    cascade = make_cascade(LogisticRegression(), FrozenEstimator(frozen), cost=[1, 2])
    cascade.fit(X, NAMES)
    _, second = cascade.staged_predict_proba(X)
    assert np.allclose(second, frozen.predict_proba(X), atol=1e-6)
    assert cascade.members_.frozenestimator is frozen


def test_class_that_a_frozen_member_lacks_is_zero():
    frozen = GaussianNB().fit(X[Y != 1], NAMES[Y != 1])
    cascade = make_cascade(FrozenEstimator(frozen), LogisticRegression(), cost=[1, 2])
    cascade.fit(X, NAMES)
    first, _ = cascade.staged_predict_proba(X)
    assert np.array_equal(first[:, 1], np.zeros(300))
    assert np.allclose(first[:, [0, 2]], frozen.predict_proba(X), atol=1e-6)


def test_class_missing_from_a_fold_is_zero():
    known, unknown = ROWS[Y < 2], ROWS[Y == 2]
    half = len(known) // 2
    folds = [
        (np.r_[known[:half], unknown], known[half:]),
        (known[half:], np.r_[known[:half], unknown]),  # class 2 is never seen
    ]
    cascade = make_cascade(LogisticRegression(), GaussianNB(), cv=folds).fit(X, NAMES)
    missing = cascade.trace_.proba[len(known) - half :, :, 2]
    assert np.array_equal(missing, np.zeros_like(missing))
    assert cascade.trace_.proba[: len(known) - half, :, 2].max() > 0
    assert set(cascade.predict(X)) == set(NAMES)  # deployed members know all classes


# Members by default -----------------------------------------------------------------------


def images(n):
    y = np.arange(n) % 2
    X = np.random.default_rng(0).standard_normal((n, 1, 8, 8)).astype(np.float32)
    X[y == 1] += 1.0
    return X, y


@pytest.mark.parametrize("data", [(X, Y), images(40)], ids=["table", "images"])
def test_default_members(data):
    cascade = CascadeClassifier(random_state=0).fit(*data)
    assert cascade.stage_names_ == ["small", "medium", "large"]
    assert cascade.cost_.unit == "MACs"
    assert (np.diff(cascade.tradeoff_.stage_cost) > 0).all()
    assert cascade.score(*data) > 0.6
