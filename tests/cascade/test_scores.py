"""The score that each loss stands for, from the fit to the summary and the curves."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier, Trace, make_cascade, tradeoff_curve

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))

#: The score of the answer of one stage, from codes and probabilities, by loss.
SCORES = {
    "zero_one": lambda y, proba: accuracy_score(y, proba.argmax(axis=1)),
    "balanced": lambda y, proba: balanced_accuracy_score(y, proba.argmax(axis=1)),
    "log_loss": lambda y, proba: 1 + np.mean(np.log(np.maximum(proba[np.arange(len(y)), y], 1e-7))),
    "brier": lambda y, proba: 1 - np.mean((np.eye(3)[y] - proba) ** 2) * 3 / 2,
    "matrix": lambda y, proba: 1 - np.mean(MATRIX[y, proba.argmax(axis=1)]),
}
MATRIX = np.array([[0, 1, 0.5], [2, 0, 1], [1, 0.2, 0.1]])
METRICS = {
    "zero_one": "accuracy",
    "balanced": "balanced accuracy",
    "log_loss": "1 - log loss",
    "brier": "1 - Brier loss",
    "matrix": "1 - cost",
}


def some(loss, **params):
    """A cascade with a loss, on rows of which one class is rare, and other such rows."""
    rows = np.flatnonzero((Y > 0) | (ROWS % 5 == 0))
    members = [("nb", GaussianNB()), ("linear", LogisticRegression())]
    loss = MATRIX if loss == "matrix" else loss
    params = {"cost": [1, 5], "random_state": 0, "loss": loss, "cv": 0.5, "alpha": 0.01, **params}
    cascade = CascadeClassifier(members, **params)
    return cascade.fit(X[rows[::2]], NAMES[rows[::2]]), X[rows[1::2]], Y[rows[1::2]]


@pytest.mark.parametrize("params", [{}, {"reject_cost": 0.4}], ids=["all answered", "rejecting"])
@pytest.mark.parametrize("loss", SCORES)
def test_curves_show_the_score_of_the_loss(loss, params):
    """Held out and on other rows; "balanced" by the class frequencies of the rows shown."""
    cascade, rows, y = some(loss, **params)
    assert cascade.tradeoff_.metric == METRICS[loss]
    assert METRICS[loss] in cascade.summary().splitlines()[0]
    curve = tradeoff_curve(cascade, rows, cascade.classes_[y], points=2)
    assert curve.metric == METRICS[loss]
    replayed = cascade.tuning_.replay(cascade.policy_)
    held_out = cascade.trace_.proba, cascade.tuning_.y, replayed
    for proba, codes, shown in [held_out, (cascade.record(rows).proba, y, curve)]:
        expected = [SCORES[loss](codes, proba[:, k]) for k in range(2)]
        np.testing.assert_allclose(shown.stage_accuracy[:2], expected, rtol=1e-5)
    reference = cascade.tradeoff_.reference  # of the others the expected score is shown
    shown = cascade.tradeoff_.stage_accuracy[reference]
    assert shown == pytest.approx(replayed.stage_accuracy[reference])
    frame = curve.to_frame()
    np.testing.assert_array_equal(frame[METRICS[loss]], curve.accuracy)


@pytest.mark.parametrize("loss", SCORES)
def test_a_name_is_the_loss_of_its_function(loss):
    """All that is chosen is the same; given a function, the score has no name."""
    cascade, rows, _ = some(loss)
    own = cascade.tuning_.trace.loss
    same, *_ = some(lambda y, proba: own(y, proba))
    assert same.tradeoff_.metric == "1 - loss"
    for name in ("accuracy", "cost", "stage_accuracy"):
        a, b = getattr(cascade.tradeoff_, name), getattr(same.tradeoff_, name)
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_array_equal(cascade.predict_exit(rows), same.predict_exit(rows))


def test_a_rare_class_counts_as_much_as_others(recorded):
    """The first stage misses it, which costs little accuracy."""
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=2000) < 0.02).astype(int)
    proba = Trace.from_top1(np.stack([0 * y, y], axis=1), np.full((2000, 2), 0.9), 2).proba
    point = {"max_accuracy_drop": 0.05, "cv": 0.5}
    assert recorded(**point).fit(proba, y).policy_.stages_ == [0]
    balanced = recorded(loss="balanced", **point).fit(proba, y)
    assert balanced.policy_.stages_ == [1]
    np.testing.assert_allclose(balanced.tradeoff_.stage_accuracy, [0.5, 1.0], atol=0.02)
    assert balanced.set_operating_point(max_accuracy_drop=0.6).policy_.stages_ == [0]


def test_weights_count_in_the_frequencies_of_classes():
    rows = np.flatnonzero((Y > 0) | (ROWS % 5 == 0))
    weight = 1.0 + (rows % 3)
    cascade = make_cascade(GaussianNB(), cost=[1], loss="balanced", random_state=0)
    cascade.fit(X[rows], Y[rows], sample_weight=weight)
    tuning = cascade.tuning_
    predicted = tuning.trace.proba[:, 0].argmax(axis=1)
    expected = balanced_accuracy_score(tuning.y, predicted, sample_weight=tuning.sample_weight)
    assert len(np.unique(tuning.sample_weight)) == 3
    np.testing.assert_allclose(cascade.tradeoff_.stage_accuracy, expected)


@pytest.mark.parametrize("cv", [None, 3])
def test_weights_of_other_rows_count_in_their_frequencies(cv):
    cascade, rows, y = some("balanced")
    weight = 0.5 + np.random.default_rng(0).uniform(size=len(y)) * (1 + y)
    labels, params = cascade.classes_[y], {"points": 2, "cv": cv, "random_state": 0}
    curve = tradeoff_curve(cascade, rows, labels, sample_weight=weight, **params)
    predicted = cascade.record(rows).proba.argmax(axis=2)
    for k in range(2):
        expected = balanced_accuracy_score(y, predicted[:, k], sample_weight=weight)
        assert curve.stage_accuracy[k] == pytest.approx(expected)


@pytest.mark.parametrize("loss", SCORES)
def test_losses_survive_copies_and_pickling(loss):
    cascade, rows, y = some(loss)
    assert str(clone(cascade).loss) == str(cascade.loss)
    again = pickle.loads(pickle.dumps(cascade))
    np.testing.assert_array_equal(again.record(rows).losses(y), cascade.record(rows).losses(y))
    assert again.set_operating_point(alpha=0.1).tradeoff_.metric == METRICS[loss]
