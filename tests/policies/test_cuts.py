"""Thresholds on the confidence itself: they decide as those on the calibrated one do."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skcascade import Trace
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold, Cuts
from skcascade.policies._calibration import calibrate
from skcascade.policies._cuts import class_thresholds

SLOPES = st.floats(-8, 8) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-3, -1e-3])
INTERCEPTS = st.floats(-12, 12) | st.just(0.0)
#: On the calibrated confidence: also what none reaches, and what all reach.
THRESHOLDS = st.floats(0, 1) | st.sampled_from(
    [-np.inf, np.inf, -0.5, 0.0, 0.5, 1.0, 1.5, 1e-12, 1 - 1e-12]
)
CONFIDENCES = st.lists(st.floats(0, 1, width=32), max_size=10)


def cuts(threshold, slope, intercepts):
    """The rule that decides as thresholds on the calibrated confidence do."""
    edges = class_thresholds(np.array([[threshold]]), np.array([slope]), np.array([intercepts]))
    edge = edges[0, 0]
    return Cuts(None, lower=edge) if slope >= 0 else Cuts(None, upper=edge), edge


def decides(rule, confidence, predicted, n_classes):
    """`rule` on given confidences and predicted classes."""
    proba = np.eye(n_classes)[predicted]
    return rule._replace(confidence=lambda proba: confidence).exits(proba)


def near(edges):
    """Floats of single precision around the thresholds, and the ends of their range."""
    edges = np.float32(np.clip(edges, 0, 1))
    values = [edges]
    for direction in (-np.inf, np.inf):
        value = edges
        for _ in range(3):
            value = np.nextafter(value, np.float32(direction))
            values.append(value)
    ends = np.float32([0, 1, 0.5, 1e-6, 1 - 1e-6, 1e-38, np.nextafter(np.float32(1), 0)])
    # A measure of confidence may lie outside [0, 1] by its rounding.
    return np.unique(np.concatenate([*values, ends, np.float32([-1e-7, 1 + 1e-6])]))


@given(
    THRESHOLDS,
    SLOPES,
    st.lists(INTERCEPTS, min_size=1, max_size=4),
    CONFIDENCES,
)
@example(0.4, 1e-310, [0.0], [])  # a slope so small that the closed form overflows
@settings(max_examples=400, deadline=None)
def test_deciding_by_cuts_is_deciding_by_the_calibrated_confidence(
    threshold, slope, intercepts, confidences
):
    """For each class, also for the floats next to the threshold."""
    rule, edges = cuts(threshold, slope, intercepts)
    values = np.concatenate([near(edges), np.array(confidences, np.float32)])
    for c, intercept in enumerate(intercepts):
        exits = calibrate(slope, intercept, values) >= threshold
        predicted = np.full(len(values), c)
        np.testing.assert_array_equal(decides(rule, values, predicted, len(intercepts)), exits)


@given(SLOPES, INTERCEPTS, st.floats(0, 1, width=32))
@settings(max_examples=200, deadline=None)
def test_a_confidence_that_just_reaches_its_threshold_exits(slope, intercept, confidence):
    """The threshold is the calibrated confidence of a sample, so equality decides."""
    confidence = np.float32([confidence])
    threshold = calibrate(slope, intercept, confidence)[0]
    for level, exits in ((threshold, True), (np.nextafter(threshold, 2), False)):
        rule, _ = cuts(level, slope, [intercept])
        assert decides(rule, confidence, [0], 1).tolist() == [exits]


@pytest.mark.parametrize("slope", [1.5, 0.0, -1.5])
def test_infinite_thresholds(slope):
    values = near(np.array([0.5]))
    everything, _ = cuts(-np.inf, slope, [0.3])
    nothing, _ = cuts(np.inf, slope, [0.3])
    assert decides(everything, values, np.zeros(len(values), int), 1).all()
    assert not decides(nothing, values, np.zeros(len(values), int), 1).any()


def test_the_calibrated_confidence_of_a_flat_line_is_one_number():
    rule, _ = cuts(0.5, 0.0, [-1.0, 1.0])
    values = near(np.array([0.5]))
    for c, exits in enumerate([False, True]):
        assert (decides(rule, values, np.full(len(values), c), 2) == exits).all()


def test_many_rules_at_once_are_each_rule_alone():
    rng = np.random.default_rng(0)
    thresholds = np.r_[rng.uniform(size=(6, 3)), [[np.inf, 0.5, -np.inf]]]
    slopes, intercepts = np.array([0.7, -1.2, 0.0]), rng.normal(size=(3, 4))
    edges = class_thresholds(thresholds, slopes, intercepts)
    assert edges.shape == (7, 3, 4)
    for rule, stage in np.ndindex(7, 3):
        alone = class_thresholds(
            thresholds[[rule]][:, [stage]], slopes[[stage]], intercepts[[stage]]
        )
        np.testing.assert_array_equal(edges[rule, stage], alone[0, 0])


def test_by_hand():
    """odds 1:1 at the confidence 1/2, 3:1 at 3/4; an intercept moves the threshold."""
    edges = class_thresholds(np.array([[0.75]]), np.array([1.0]), np.array([[0.0, np.log(3)]]))
    np.testing.assert_allclose(edges, [[[0.75, 0.5]]])
    falling = class_thresholds(np.array([[0.75]]), np.array([-1.0]), np.array([[0.0, np.log(3)]]))
    np.testing.assert_allclose(falling, [[[0.25, 0.5]]])


@pytest.mark.parametrize("lower", [None, -np.inf, 0.6, np.array([0.6, 0.9])])
@pytest.mark.parametrize("upper", [None, np.inf, 0.8, np.array([0.8, np.inf])])
def test_exits_lie_between_the_thresholds_of_the_predicted_class(lower, upper):
    proba = np.array([[0.7, 0.3], [0.9, 0.1], [0.3, 0.7], [0.05, 0.95], [0.55, 0.45]])
    exits = Cuts(lambda proba: proba.max(axis=1), lower, upper).exits(proba)
    for row, exit in zip(proba, exits):
        c = row.argmax()
        low = -np.inf if lower is None else np.broadcast_to(lower, 2)[c]
        high = np.inf if upper is None else np.broadcast_to(upper, 2)[c]
        assert exit == (low <= row.max() <= high)


@pytest.mark.parametrize("confidence", ["max_proba", "margin", "entropy"])
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
@settings(max_examples=20, deadline=None)
def test_a_fitted_policy_decides_by_its_calibrated_score(confidence, seed, n_classes):
    """On its own rows, where thresholds lie between neighboring scores, and on others."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=80)
    trace = Trace(rng.dirichlet(np.full(n_classes, 0.5), size=(80, 3)))
    cost = FixedCost([1, 3, 9]).fit(3)
    for policy in ConfidenceThreshold(confidence).fit_alphas(trace, y, cost, [0.01, 0.1, 1.0]):
        for proba in (trace.proba, np.float32(rng.dirichlet(np.ones(n_classes), size=(80, 3)))):
            for stage in range(3):
                score = policy.exit_score(stage, proba)
                exits = score >= policy.thresholds_[stage]
                np.testing.assert_array_equal(policy.exit_mask(stage, proba), exits)
