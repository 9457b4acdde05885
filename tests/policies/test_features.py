"""Features of learned rules."""

import numpy as np
import pytest

from skcascade import Trace
from skcascade.costs import FixedCost
from skcascade.policies import WeightedBinary
from skcascade.policies._edges import INPUT
from skcascade.policies._features import last_seen, stage_features


def recorded(n=300, n_stages=3, seed=0):
    """Stages of growing skill on 3 classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, n_stages, 3))
    logits[np.arange(n), :, y] += np.linspace(1, 3, n_stages)
    proba = np.exp(logits)
    return Trace(proba / proba.sum(axis=2, keepdims=True)), y


def test_last_seen():
    proba = np.full((3, 2, 2), np.nan)
    proba[1, 0] = proba[2] = 0.5
    np.testing.assert_array_equal(last_seen(proba), [INPUT, 0, 1])
    np.testing.assert_array_equal(last_seen(proba[:, :0]), [INPUT] * 3)


def test_features():
    proba = np.full((2, 3, 4), np.nan)
    proba[0] = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1]]
    proba[1, 2] = [1.0, 0, 0, 0]
    X = stage_features(2, proba)
    entropy = -(2 * 0.1 * np.log(0.1) + 0.6 * np.log(0.6) + 0.2 * np.log(0.2)) / np.log(4)
    doubt = np.log(0.4) / np.log(1e-6)
    expected = [
        [0.6, 0.2, 0.1, 0.4, entropy, doubt, 0, 1, 0.3, 0.7, 0, 1, 0, 0],
        [1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0],
    ]
    np.testing.assert_allclose(X, expected, atol=1e-12)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 20])
def test_features_of_a_row_are_its_own(n_classes):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(n_classes), size=(30, 3)).astype(np.float32)
    proba[::2, 1] = np.nan
    for stage in range(3):
        columns = 6 + 2 * stage + n_classes
        assert stage_features(stage, proba[:, : stage + 1]).shape == (30, columns)
    X = stage_features(2, proba)
    np.testing.assert_array_equal(X[:, -n_classes:].argmax(axis=1), proba[:, 2].argmax(axis=1))
    np.testing.assert_array_equal(X[:, -n_classes:].sum(axis=1), 1)
    assert np.isfinite(X).all() and X.min() >= 0 and X.max() <= 1 + 1e-6
    np.testing.assert_array_equal(X[5:6], stage_features(2, proba[5:6]))


def test_features_can_be_replaced():
    trace, y = recorded()
    calls = []

    def answers(stage, proba):
        calls.append((stage, proba.shape, np.isnan(proba).any(axis=(0, 2)).tolist()))
        return np.nan_to_num(proba.reshape(len(proba), -1))

    policy = WeightedBinary(skip=True, features=answers, random_state=0)
    policy.fit(trace, y, FixedCost([1, 3, 9]).fit(3), 0.05)
    assert (0, (300, 1, 3), [False]) in calls and (1, (300, 2, 3), [False, False]) in calls
    assert (1, (300, 2, 3), [True, False]) in calls  # without the first stage: is it missed?
    asked = [(stage, *hidden) for stage, (n, *_), hidden in calls if n == 300]
    assert len(asked) == len(set(asked)) == len(calls) - 1  # one more to check its shape
    with pytest.raises(ValueError, match=r"`features` must return .* got \(2,\) for 2 rows"):
        WeightedBinary(features=lambda stage, proba: proba[:, stage, 0]).fit(
            trace, y, FixedCost([1, 3, 9]).fit(3), 0.05
        )
