"""Calibrated members, and what calibration can and cannot change."""

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier, Trace, walk
from skcascade.costs import FixedCost, MacsCost
from skcascade.policies import ConfidenceThreshold

SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
METHODS = [
    "sigmoid",
    "isotonic",
    pytest.param(
        "temperature",
        marks=pytest.mark.skipif(SKLEARN < (1, 8), reason="needs scikit-learn 1.8"),
    ),
]
ALPHAS = np.geomspace(1e-3, 1, 12)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(n_class=4, return_X_y=True)
    return X[:500], np.array(["zero", "one", "two", "three"])[y[:500]]


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_calibrated_members(method, ensemble, digits):
    X, y = digits
    bare = [GaussianNB(), LogisticRegression(max_iter=2000)]
    members = [
        (
            type(member).__name__,
            CalibratedClassifierCV(member, method=method, cv=3, ensemble=ensemble),
        )
        for member in bare
    ]
    cascade = CascadeClassifier(members, random_state=0).fit(X, y)
    proba = cascade.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert cascade.score(X, y) > 0.9
    np.testing.assert_array_equal(cascade.classes_, np.unique(y))
    way = walk(Trace(np.stack(list(cascade.staged_predict_proba(X)), axis=1)), cascade.policy_)
    np.testing.assert_array_equal(way.exit, cascade.predict_exit(X))
    # Every copy that is run is paid for, and a look-up for each class and copy.
    copies = 3 if ensemble else 1
    macs = np.array([MacsCost.count(member.fit(X, y), X) for member in bare])
    np.testing.assert_allclose(cascade.cost_.edge_costs_[0], copies * (macs + 4))


@st.composite
def binary_answers(draw):
    """Top answers, their probabilities in steps of 1/16, and these mapped, stage by stage."""
    n, n_stages = draw(st.integers(2, 30)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y, pred = rng.integers(2, size=n), rng.integers(2, size=(n, n_stages))
    step = rng.integers(8, size=(n, n_stages))
    # Of 31 numbers above 0.5 that float32 holds exactly, 8 at random, in order.
    maps = [np.sort(rng.choice(np.arange(33, 64), 8, replace=False)) / 64 for _ in range(n_stages)]
    mapped = np.stack([maps[k][step[:, k]] for k in range(n_stages)], axis=1)
    return y, pred, (step + 8.5) / 16, mapped


def binary_trace(pred, top):
    """Trace of the answers `pred` with the probability `top`."""
    ones = np.where(pred == 1, top, 1 - top)
    return Trace(np.stack([1 - ones, ones], axis=2))


@given(binary_answers(), st.sampled_from(["max_proba", "margin", "entropy"]))
@settings(deadline=None, max_examples=60)
def test_thresholds_absorb_growing_maps_of_the_top_probability(answers, confidence):
    # One threshold per stage, two classes: who is surer than whom is all that counts, so the
    # rules fitted at every price let the same samples leave at the same stages. (Where the
    # class has its say, it matters by how much one is surer.)
    y, pred, top, mapped = answers
    cost = FixedCost(4.0 ** np.arange(pred.shape[1])).fit(pred.shape[1])
    exits = []
    for trace in (binary_trace(pred, top), binary_trace(pred, mapped)):
        policy = ConfidenceThreshold(confidence, per_class=False)
        path = policy.fit_path(trace, y, cost, ALPHAS)
        exits.append([walk(trace, policy).exit for policy in path])
    np.testing.assert_array_equal(*exits)


def test_growing_maps_of_one_class_are_no_such_maps():
    # p -> p ** 2 of class 1 keeps the order of p, but neither the answers nor who is surer.
    ones = np.array([0.05, 0.3, 0.6, 0.9])
    proba = np.stack([1 - ones, ones], axis=1)
    squared = np.stack([1 - ones**2, ones**2], axis=1)
    assert proba.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert squared.argmax(axis=1).tolist() == [0, 0, 0, 1]
    assert np.argsort(-proba.max(axis=1)).tolist() == [0, 3, 1, 2]
    assert np.argsort(-squared.max(axis=1)).tolist() == [0, 1, 3, 2]


def test_temperature_changes_who_is_surer_of_three_classes():
    # Equal temperature, other order: the surer of the two rows has the closer runner-up.
    log_proba = np.log([[0.55, 0.44, 0.01], [0.53, 0.235, 0.235]])
    scaled = np.exp(log_proba * 2)
    scaled /= scaled.sum(axis=1, keepdims=True)
    assert np.exp(log_proba).max(axis=1).argmax() == 0
    assert scaled.max(axis=1).argmax() == 1
