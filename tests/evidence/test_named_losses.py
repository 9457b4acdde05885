"""Losses by name and by class: what they are in scikit-learn, and what is expected of them."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, brier_score_loss, log_loss

from skcascade.evidence import CostMatrix
from skcascade.evidence._named_losses import (
    NAMED_LOSSES,
    BalancedLoss,
    Loss,
    check_cost_matrix,
    largest_loss,
    score_name,
)
from skcascade.utils._numbers import SMALLEST_DOUBT

NAMES = [*NAMED_LOSSES, "matrix"]


def draw(seed, n=40, n_classes=3):
    """Codes, answers in float32 as a trace holds them, and probabilities of the true class."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(n_classes), size=n).astype(np.float32)
    target = rng.dirichlet(np.full(n_classes, 0.3), size=n)
    return rng.integers(n_classes, size=n), proba, target


def make(name, seed=0, n_classes=3):
    if name != "matrix":
        return NAMED_LOSSES[name]
    return CostMatrix(np.random.default_rng(seed).uniform(0, 4, (n_classes, n_classes)))


SEEDS = st.integers(0, 2**31 - 1)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS, st.sampled_from([2, 3, 7]))
@settings(max_examples=30, deadline=None)
def test_a_certain_label_is_expected_to_lose_what_it_loses(name, seed, n_classes):
    y, proba, _ = draw(seed, n_classes=n_classes)
    loss = make(name, seed, n_classes)
    expected = loss.expected(np.eye(n_classes)[y], proba)
    assert expected.shape == (40,) and expected.dtype == float
    np.testing.assert_allclose(expected, loss(y, proba), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS, st.sampled_from([2, 3, 7]))
@settings(max_examples=30, deadline=None)
def test_expected_losses_are_the_mean_over_the_classes(name, seed, n_classes):
    _, proba, target = draw(seed, n_classes=n_classes)
    loss = make(name, seed, n_classes).with_counts(target.sum(axis=0))
    by_class = [loss(np.full(40, c), proba) for c in range(n_classes)]
    mean = (target * np.stack(by_class, axis=1)).sum(axis=1)
    np.testing.assert_allclose(loss.expected(target, proba), mean, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_no_loss_is_below_zero_or_above_the_largest(name, seed):
    y, proba, _ = draw(seed)
    proba[:3] = np.eye(3)  # sure answers, right and wrong
    loss = make(name, seed).with_counts(np.bincount(y, minlength=3))
    losses = loss(y, proba)
    assert losses.min() >= 0 and losses.max() <= loss.upper + 1e-12 < np.inf


def test_the_largest_losses_are_reached():
    sure = np.eye(2, dtype=np.float32)
    y = np.array([1, 0])
    assert NAMED_LOSSES["zero_one"](y, sure).tolist() == [1, 1]
    assert NAMED_LOSSES["brier"](y, sure).tolist() == [1, 1]
    assert NAMED_LOSSES["log_loss"](y, sure).tolist() == [NAMED_LOSSES["log_loss"].upper] * 2
    assert NAMED_LOSSES["log_loss"].upper == pytest.approx(-np.log(SMALLEST_DOUBT))
    matrix = CostMatrix([[0, 2], [7, 1]])
    assert matrix(y, sure).max() == matrix.upper == 7


@given(SEEDS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_one_minus_the_mean_loss_is_the_score_of_scikit_learn(seed, weighted):
    y, proba, _ = draw(seed)
    predicted = proba.argmax(axis=1)
    weight = np.random.default_rng(seed).uniform(0.1, 3, 40) if weighted else None

    def score(name):
        loss = NAMED_LOSSES[name].with_counts(np.bincount(y, weight, 3))
        return 1 - np.average(loss(y, proba), weights=weight)

    given_weight = {"sample_weight": weight}
    assert score("zero_one") == pytest.approx(accuracy_score(y, predicted, **given_weight))
    balanced = balanced_accuracy_score(y, predicted, **given_weight)
    assert score("balanced") == pytest.approx(balanced, abs=1e-12)
    wide = proba.astype(float) / proba.astype(float).sum(axis=1, keepdims=True)
    assert score("log_loss") == pytest.approx(
        1 - log_loss(y, wide, labels=[0, 1, 2], **given_weight), rel=1e-5, abs=1e-5
    )


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_brier_is_that_of_scikit_learn_for_two_classes(seed):
    y, proba, _ = draw(seed, n_classes=2)
    loss = NAMED_LOSSES["brier"](y, proba).mean()
    positive = np.clip(proba[:, 1].astype(float), 0, 1)
    assert loss == pytest.approx(brier_score_loss(y, positive, pos_label=1), abs=1e-6)


def test_a_class_without_samples_does_not_count():
    """As in scikit-learn: the mean is over the classes that there are."""
    y, proba, _ = draw(0)
    y[y == 2] = 0
    loss = BalancedLoss().with_counts(np.bincount(y, minlength=3))
    assert loss.class_weight[2] == 0
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = balanced_accuracy_score(y, proba.argmax(axis=1))
    assert 1 - loss(y, proba).mean() == pytest.approx(expected)


def test_class_frequencies_are_known_once():
    y, proba, _ = draw(0)
    loss = NAMED_LOSSES["balanced"]
    assert loss.needs_counts and loss.upper == np.inf
    known = loss.with_counts([30, 9, 1])
    np.testing.assert_allclose(known.class_weight, 40 / (3 * np.array([30, 9, 1])))
    assert not known.needs_counts and known.upper == pytest.approx(40 / 3)
    assert known.with_counts([1, 1, 1]) is known
    assert loss.needs_counts  # it did not change
    np.testing.assert_allclose(
        loss(y, proba), loss.with_counts(np.bincount(y, minlength=3))(y, proba)
    )
    for name in ("zero_one", "log_loss", "brier"):
        other = NAMED_LOSSES[name]
        assert not other.needs_counts and other.with_counts([1, 2, 3]) is other


def test_costs_by_true_and_predicted_class():
    matrix = CostMatrix([[0, 1, 2], [3, 0.5, 4], [5, 6, 0]])
    proba = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    assert matrix(np.array([2, 0, 1, 1]), proba).tolist() == [5, 1, 4, 0.5]
    assert repr(CostMatrix([[0, 1], [2, 0]])) == "CostMatrix([[0.0, 1.0], [2.0, 0.0]])"


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        ([1, 2], r"\(n_classes, n_classes\), a row for each true and .* got \(2,\)"),
        ([[1, 2]], r"\(n_classes, n_classes\), .* got \(1, 2\)"),
        (np.zeros((0, 0)), r"\(n_classes, n_classes\), .* got \(0, 0\)"),
        ([[0, np.nan], [1, 0]], "`matrix` must hold finite numbers"),
        ([[0, np.inf], [1, 0]], "`matrix` must hold finite numbers"),
        ([[0, -0.5], [1, 0]], "`matrix` .* must not be negative, got -0.5. Subtract"),
        ([["a", "b"], ["c", "d"]], "`matrix` must hold real numbers"),
    ],
)
def test_matrices_that_cannot_be_used(matrix, match):
    with pytest.raises(ValueError, match=match):
        CostMatrix(matrix)


def test_the_remedy_for_negative_costs_keeps_all_drops():
    y, proba, _ = draw(1)
    _, other, _ = draw(2)
    matrix = np.random.default_rng(0).normal(size=(3, 3))
    loss = CostMatrix(check_cost_matrix("loss", matrix - matrix.min(axis=1, keepdims=True)))
    change = matrix[y, proba.argmax(axis=1)] - matrix[y, other.argmax(axis=1)]
    np.testing.assert_allclose(loss(y, proba) - loss(y, other), change)


def test_names_and_largest_losses_of_what_a_trace_holds():
    given = np.zeros((3, 2))
    assert [score_name(x) for x in (None, given, len)] == ["accuracy", "1 - loss", "1 - loss"]
    assert [largest_loss(x) for x in (None, given, len)] == [1, np.inf, np.inf]
    assert score_name(CostMatrix(np.eye(2))) == "1 - cost"
    assert largest_loss(CostMatrix(3 * np.eye(2))) == 3


@pytest.mark.parametrize("name", NAMES)
def test_pickled(name):
    y, proba, _ = draw(0)
    loss = make(name)
    again = pickle.loads(pickle.dumps(loss))
    assert isinstance(again, Loss) and again.name == loss.name
    np.testing.assert_array_equal(again(y, proba), loss(y, proba))
