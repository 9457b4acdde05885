"""Measures of confidence, by hand and in a fitted policy."""

import numpy as np
import pytest
from sklearn.base import clone

from skcascade import Trace, walk
from skcascade.checks import check_policy
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold
from skcascade.policies._calibration import calibrate
from skcascade.policies._confidence import CONFIDENCES, confidence_function


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max_proba", [0.7, 0.5, 1.0, 1 / 3]),
        ("margin", [0.5, 0.0, 1.0, 0.0]),
        ("entropy", [0.2701, 0.3691, 1.0, 0.0]),
    ],
)
def test_confidences_by_hand(name, expected):
    proba = np.array([[0.2, 0.7, 0.1], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0], [1 / 3] * 3])
    np.testing.assert_allclose(CONFIDENCES[name](proba), expected, atol=1e-4)


@pytest.mark.parametrize("name", CONFIDENCES)
def test_confidence_of_one_class_is_one(name):
    np.testing.assert_array_equal(CONFIDENCES[name](np.ones((3, 1))), np.ones(3))


# A callable -------------------------------------------------------------------------------


def ratio(proba):
    """One minus the second largest probability over the largest."""
    top = np.partition(proba, -2, axis=1)
    return 1 - top[:, -2] / top[:, -1]


def largest(proba):
    return proba.max(axis=1)


def in_percent(proba):
    return 100 * proba.max(axis=1)


def below_zero(proba):
    return proba.max(axis=1) - 1


def not_a_number(proba):
    return np.full(len(proba), np.nan)


def recorded(n=200):
    """Two stages, the second of which is better, on 3 classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, 2, 3))
    logits[np.arange(n), :, y] += [1, 3]
    proba = np.exp(logits)
    return Trace(proba / proba.sum(axis=2, keepdims=True)), y


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold(confidence=ratio),
        ConfidenceThreshold(confidence=ratio, tuning="per_stage"),
        ConfidenceThreshold(confidence=in_percent, per_class=False),
    ],
    ids=["calibrated", "per stage", "any scale"],
)
def test_contract_of_a_callable(policy):
    check_policy(policy)


@pytest.mark.parametrize("per_class", [False, True])
def test_a_callable_is_as_good_as_a_name(per_class):
    trace, y = recorded()
    by_callable = ConfidenceThreshold(largest, per_class=per_class)
    by_name = ConfidenceThreshold("max_proba", per_class=per_class)
    for policy in (by_callable, by_name):
        policy.fit(trace, y, FixedCost([1, 20]).fit(2), 0.3)
    assert by_name.stages_ == [0, 1]
    np.testing.assert_array_equal(by_callable.thresholds_, by_name.thresholds_)
    for one, two in zip(walk(trace, by_callable)[:3], walk(trace, by_name)[:3]):
        np.testing.assert_array_equal(one, two)
    assert clone(by_callable).confidence is largest
    assert by_callable.rule(0).confidence is largest


@pytest.mark.parametrize("confidence", [in_percent, below_zero, not_a_number])
def test_a_callable_on_a_wrong_scale(confidence):
    trace, y = recorded()
    with pytest.raises(ValueError, match="`confidence` must .* 0 to 1, got .*per_class=False"):
        ConfidenceThreshold(confidence).fit(trace, y, FixedCost([1, 4]).fit(2), 0.05)


@pytest.mark.parametrize("confidence", [in_percent, below_zero])
def test_uncalibrated_confidences_may_be_on_any_scale(confidence):
    trace, y = recorded()
    policy, plain = (
        ConfidenceThreshold(c, per_class=False).fit(trace, y, FixedCost([1, 20]).fit(2), 0.3)
        for c in (confidence, largest)
    )
    exits = walk(trace, policy).exit
    assert 0 < (exits == 0).sum() < len(y)
    np.testing.assert_array_equal(exits, walk(trace, plain).exit)


def test_a_callable_is_its_own_confidence_function():
    assert confidence_function(len) is len
    assert confidence_function("margin") is CONFIDENCES["margin"]


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("name", CONFIDENCES)
def test_fitted_rule_uses_its_confidence(name, per_class):
    rng = np.random.default_rng(0)
    trace = Trace(rng.dirichlet([0.5] * 3, size=(40, 2)))
    y = rng.integers(3, size=40)
    policy = ConfidenceThreshold(name, per_class=per_class)
    policy.fit(trace, y, FixedCost([1, 4]).fit(2), 0.05)
    score, threshold = CONFIDENCES[name](trace.proba[:, 0]), 0.5
    if per_class:
        intercepts = policy.intercepts_[0][trace.proba[:, 0].argmax(axis=1)]
        score = calibrate(policy.slopes_[0], intercepts, score)
        threshold = np.median(score)
    policy = policy.with_thresholds([threshold, np.inf])
    exits = score >= threshold
    assert 0 < exits.sum() < 40
    np.testing.assert_array_equal(walk(trace, policy).exit == 0, exits)
