"""Losses of answers, with and without rejected samples, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.evidence._losses import (
    RejectLoss,
    expected_losses,
    given_losses,
    resolve_loss,
    stage_losses,
    zero_one_loss,
)
from skcascade.evidence._named_losses import NAMED_LOSSES, CostMatrix


@given(st.integers(0, 12), st.floats(0, 0.99), st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_loss(n_rejected, reject_cost, seed):
    rng = np.random.default_rng(seed)
    proba, y = rng.dirichlet(np.ones(3), size=12), rng.integers(3, size=12)
    rejected = rng.permutation(12) < n_rejected
    losses = RejectLoss(zero_one_loss, reject_cost)(y, np.where(rejected[:, np.newaxis], 0, proba))
    np.testing.assert_array_equal(losses, np.where(rejected, reject_cost, zero_one_loss(y, proba)))


def test_the_loss_of_answers_never_sees_rejected_samples():
    def log_loss(y, proba):
        return -np.log(proba[np.arange(len(y)), y])

    proba = np.array([[0.5, 0.5], [0.0, 0.0]])
    losses = RejectLoss(log_loss, 0.3)(np.array([0, 1]), proba)
    np.testing.assert_allclose(losses, [np.log(2), 0.3])


def test_losses_of_stages():
    proba = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.3, 0.7]]])
    losses = stage_losses(zero_one_loss, np.array([0, 1]), proba)
    np.testing.assert_array_equal(losses, [[0, 1], [1, 0]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_losses_must_be_finite(value):
    """They would be certified, or searches over them would never end."""
    with pytest.raises(ValueError, match="`loss` must return finite numbers"):
        stage_losses(lambda y, proba: np.full(len(y), value), np.zeros(3, int), np.ones((3, 2, 1)))
    with pytest.raises(ValueError, match="`loss` must hold finite numbers"):
        given_losses([[0.0, value]], (1, 2))


def test_losses_must_have_one_number_for_each_sample():
    with pytest.raises(ValueError, match=r"one number per sample, .* shape \(3,\), got \(3, 1\)"):
        stage_losses(lambda y, proba: np.ones((3, 1)), np.zeros(3, int), np.ones((3, 2, 1)))
    with pytest.raises(ValueError, match=r"\(n_samples, n_stages\) = \(2, 2\), got \(1, 2\)"):
        given_losses([[0.0, 1.0]], (2, 2))


# Expected losses --------------------------------------------------------------------------


def squared(y, proba):
    """A function without `expected`."""
    return (1.0 - proba[np.arange(len(y)), y]) ** 2


def draw(seed, n=30):
    rng = np.random.default_rng(seed)
    target = rng.dirichlet(np.ones(3), size=n)
    return target, rng.dirichlet(np.ones(3), size=(n, 2))


@given(st.integers(0, 2**31 - 1), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_function_is_expected_to_lose_its_mean_over_the_classes(seed, rejecting):
    target, proba = draw(seed)
    target[:5] = [0.0, 1.0, 0.0]
    loss = squared
    if rejecting:
        proba[::3, 1] = 0.0
        loss = RejectLoss(squared, 0.4)
    losses = expected_losses(loss, target, proba)
    every = [stage_losses(loss, np.full(30, c), proba) for c in range(3)]
    np.testing.assert_allclose(losses, np.einsum("nc,cnk->nk", target, every))
    if rejecting:
        np.testing.assert_array_equal(losses[::3, 1], 0.4)


def test_a_function_is_asked_for_possible_classes_only():
    """Where it is infinite elsewhere, nothing else is."""
    asked = []

    def log_loss(y, proba):
        asked.extend(y)
        return -np.log(proba[np.arange(len(y)), y])

    target = np.array([[1.0, 0.0, 0.0], [0.4, 0.6, 0.0]])
    proba = np.array([[[0.5, 0.0, 0.5]], [[0.5, 0.5, 0.0]]])
    losses = expected_losses(log_loss, target, proba)
    np.testing.assert_allclose(losses, np.full((2, 1), np.log(2)))
    assert sorted(asked) == [0, 0, 1]


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (lambda y, proba: np.full(len(y), np.nan), "`loss` must return finite numbers"),
        (lambda y, proba: np.ones((len(y), 1)), "one number per sample"),
    ],
)
def test_expected_losses_are_one_finite_number_per_sample(loss, match):
    with pytest.raises(ValueError, match=match):
        expected_losses(loss, *draw(0))


def test_an_object_may_know_what_is_expected():
    class Half:
        def expected(self, target, proba):
            return target[:, 0] / 2

    target, proba = draw(0)
    losses = expected_losses(Half(), target, proba)
    np.testing.assert_array_equal(losses, np.stack([target[:, 0] / 2] * 2, axis=1))


@pytest.mark.parametrize("name", NAMED_LOSSES)
def test_rejected_samples_keep_name_and_largest_loss(name):
    answer = NAMED_LOSSES[name]
    loss = RejectLoss(answer, 0.9)
    assert (loss.name, loss.upper) == (answer.name, answer.upper)
    assert loss.needs_counts is answer.needs_counts
    known = loss.with_counts([1, 2, 3])
    assert known.reject_cost == 0.9 and not known.needs_counts
    assert (known is loss) is (name != "balanced")
    assert RejectLoss(CostMatrix([[0, 0.5], [0.2, 0]]), 0.9).upper == 0.9
    assert (RejectLoss(squared, 0.1).name, RejectLoss(squared, 0.1).upper) == ("1 - loss", np.inf)


def test_rejected_samples_count_in_the_frequencies_of_classes():
    _, proba = draw(0)
    y = np.r_[np.zeros(20, int), np.ones(8, int), 2, 2]
    before = stage_losses(NAMED_LOSSES["balanced"], y, proba)
    proba[:15] = 0.0  # most of class 0
    loss = RejectLoss(NAMED_LOSSES["balanced"], 0.4)
    for losses in (stage_losses(loss, y, proba), expected_losses(loss, np.eye(3)[y], proba)):
        np.testing.assert_allclose(losses[15:], before[15:])
        np.testing.assert_array_equal(losses[:15], 0.4)


# Names and arrays -------------------------------------------------------------------------


def test_what_names_and_arrays_stand_for():
    assert resolve_loss(None, 3) is None and resolve_loss(squared, 3) is squared
    for name, loss in NAMED_LOSSES.items():
        assert resolve_loss(name, 3) is loss
    matrix = resolve_loss([[0, 1], [2, 0]], 2)
    assert matrix.matrix.tolist() == [[0, 1], [2, 0]] and resolve_loss(matrix, 2) is matrix
    given = np.ones((5, 2))
    np.testing.assert_array_equal(resolve_loss(given, 2, (5, 2)), given)
    with pytest.raises(ValueError, match=r"\(n_classes, n_classes\) = \(2, 2\), .* got \(5, 2\)"):
        resolve_loss(given, 2)
    with pytest.raises(ValueError, match="`loss` must be one of 'zero_one', .* got 'hinge'"):
        resolve_loss("hinge", 2)
