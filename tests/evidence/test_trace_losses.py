"""The losses of recorded answers: observed, expected, and by classes that are rare or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from skcascade import Trace
from skcascade.evidence import CostMatrix
from skcascade.evidence._named_losses import NAMED_LOSSES

MATRIX = [[0, 1, 2], [3, 0, 4], [5, 6, 0]]


def wrong(y, proba):
    """The 0/1 loss as a function without `expected`."""
    assert np.isscalar(y[0]) and proba.shape == (len(y), 3)
    return (proba.argmax(axis=1) != y).astype(float)


LOSSES = {**{name: name for name in NAMED_LOSSES}, "none": None, "matrix": MATRIX, "own": wrong}


def draw(loss=None, n=30, n_stages=2, seed=0):
    """A trace and its codes; class 2 is rare."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(3), size=(n, n_stages))
    return Trace(proba, loss=loss), rng.choice(3, p=[0.6, 0.3, 0.1], size=n)


@pytest.mark.parametrize("reject", [False, True])
@pytest.mark.parametrize("name", LOSSES)
@given(st.integers(0, 2**31 - 1))
@settings(max_examples=15, deadline=None)
def test_certain_labels_are_expected_to_lose_what_they_lose(name, reject, seed):
    trace, y = draw(LOSSES[name], seed=seed)
    trace = trace.with_reject(0.25) if reject else trace
    losses, expected = trace.losses(y), trace.expected_losses(np.eye(3)[y])
    assert expected.shape == losses.shape == (30, 2 + reject) and expected.dtype == float
    np.testing.assert_allclose(expected, losses, atol=1e-12)
    if reject:
        np.testing.assert_array_equal(expected[:, 2], 0.25)


@pytest.mark.parametrize("name", LOSSES)
def test_names_of_the_score(name):
    trace, _ = draw(LOSSES[name])
    names = {
        "zero_one": "accuracy",
        "none": "accuracy",
        "log_loss": "1 - log loss",
        "brier": "1 - Brier loss",
        "balanced": "balanced accuracy",
        "matrix": "1 - cost",
        "own": "1 - loss",
    }
    assert trace.metric == names[name] == trace.with_reject(0.1).metric
    assert trace.rows([1, 2]).metric == trace.select_stages([1]).metric == names[name]


def test_given_losses_are_as_they_are():
    losses = np.random.default_rng(0).normal(size=(30, 2))
    trace, y = draw(losses)
    assert trace.metric == "1 - loss"
    np.testing.assert_array_equal(trace.expected_losses(np.eye(3)[y]), losses)
    np.testing.assert_array_equal(trace.losses(y), losses)


def test_a_matrix_is_told_from_losses_of_answers_by_its_shape():
    trace, y = draw(MATRIX, n=4)
    predicted = trace.proba.argmax(axis=2)
    np.testing.assert_array_equal(trace.losses(y), np.array(MATRIX)[y[:, np.newaxis], predicted])
    # Three samples, three stages: an array is the loss of each answer, an object is a matrix.
    trace, y = draw(MATRIX, n=3, n_stages=3)
    np.testing.assert_array_equal(trace.losses(y), MATRIX)
    trace, y = draw(CostMatrix(MATRIX), n=3, n_stages=3)
    predicted = trace.proba.argmax(axis=2)
    np.testing.assert_array_equal(trace.losses(y), np.array(MATRIX)[y[:, np.newaxis], predicted])


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (np.ones((2, 2)), r"\(n_classes, n_classes\) = \(3, 3\), .* = \(30, 2\), got \(2, 2\)"),
        (CostMatrix(np.ones((2, 2))), r"= \(3, 3\), .* or .* = \(30, 2\), got \(2, 2\)"),
        ([0.5] * 30, r"\(n_samples, n_stages\) = \(30, 2\), got \(30,\)"),
        ("accuracy", "`loss` must be one of 'zero_one', 'log_loss', 'brier', 'balanced', a cost"),
        (-np.ones((3, 3)), "`loss` .* must not be negative, got -1"),
    ],
)
def test_losses_that_cannot_be_used(loss, match):
    with pytest.raises(ValueError, match=match):
        draw(loss)


# Balanced ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_is_that_of_the_labels(weighted):
    trace, y = draw("balanced", n=400)
    weight = np.random.default_rng(1).uniform(0, 2, 400) if weighted else None
    losses = trace.for_labels(y, weight).losses(y)
    for stage in range(2):
        predicted = trace.proba[:, stage].argmax(axis=1)
        expected = balanced_accuracy_score(y, predicted, sample_weight=weight)
        assert 1 - np.average(losses[:, stage], weights=weight) == pytest.approx(expected)


def test_rows_keep_the_frequencies_of_all():
    trace, y = draw("balanced", n=400)
    rows = np.flatnonzero(y < 2)
    known = trace.for_labels(y)
    np.testing.assert_array_equal(known.rows(rows).losses(y[rows]), known.losses(y)[rows])
    assert (known.losses(y)[rows] != trace.rows(rows).losses(y[rows])).any()
    assert known.for_labels(y[::-1]) is known
    np.testing.assert_array_equal(trace.losses(y), known.losses(y))  # from the labels at hand
    target = np.eye(3)[y] * 0.7 + 0.1
    np.testing.assert_allclose(
        known.rows(rows).expected_losses(target[rows]), known.expected_losses(target)[rows]
    )


def test_rejected_samples_count_in_the_frequencies():
    trace, y = draw("balanced", n=400)
    answered = Trace(np.where((y == 0)[:, None, None], np.eye(3)[1], trace.proba), loss="balanced")
    stored = answered.with_reject(0.2)
    np.testing.assert_array_equal(stored.losses(y)[:, :2], answered.losses(y))
    np.testing.assert_array_equal(stored.for_labels(y).losses(y), stored.losses(y))
    np.testing.assert_array_equal(
        answered.for_labels(y).with_reject(0.2).losses(y), stored.losses(y)
    )


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "balanced"])
def test_other_losses_need_no_labels(name):
    trace, y = draw(LOSSES[name])
    assert trace.for_labels(y) is trace
    stored = trace.with_reject(0.2)
    assert stored.for_labels(y) is stored
