"""Losses of answers, with and without rejected samples, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.evidence._losses import RejectLoss, given_losses, stage_losses, zero_one_loss


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
