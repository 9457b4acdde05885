"""Calibration: compared with a plain minimizer, at the edges, and of members."""

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier, Trace, walk
from skcascade.costs import FixedCost, MacsCost
from skcascade.policies import ConfidenceThreshold, _calibration
from skcascade.policies._calibration import calibrate, fit_calibration


def answers(n=300, n_classes=4, seed=0):
    """Confidence, predicted class, whether it is correct, weight; some classes overconfident."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1, n)
    predicted = rng.choice(n_classes, n, p=rng.dirichlet(np.ones(n_classes)))
    excess = rng.normal(0, 1.5, n_classes)
    correct = rng.random(n) < expit(0.7 * logit(confidence) - excess[predicted])
    return confidence, predicted, correct.astype(float), rng.uniform(0.1, 3, n)


def penalized(line, confidence, predicted, correct, weight):
    """Minus the log-likelihood with the priors, one row after another."""
    slope, common, *own = line
    weight = weight / weight.mean()
    total = (slope - 1) ** 2 / 2 + common**2 / 2 + 3 * sum(a**2 for a in own) / 2
    for c, k, r, w in zip(confidence, predicted, correct, weight):
        z = slope * np.log(c / (1 - c)) + common + own[k]
        total += w * (r * np.logaddexp(0, -z) + (1 - r) * np.logaddexp(0, z))
    return total


@pytest.mark.parametrize("shares", [False, True])
def test_the_line_is_that_of_a_plain_minimizer(shares):
    confidence, predicted, correct, weight = answers(120)
    assert len(np.unique(predicted)) == 4
    if shares:
        correct = np.random.default_rng(1).random(120)
    best = minimize(
        penalized, np.r_[1, np.zeros(5)], (confidence, predicted, correct, weight), tol=1e-10
    ).x
    slope, intercepts = fit_calibration(confidence, predicted, correct, weight, 4)
    assert slope == pytest.approx(best[0], abs=1e-4)
    np.testing.assert_allclose(intercepts, best[1] + best[2:], atol=1e-4)


def test_a_class_that_was_never_predicted_gets_the_common_intercept():
    confidence, predicted, correct, weight = answers(120)
    best = minimize(
        penalized, np.r_[1, np.zeros(5)], (confidence, predicted, correct, weight), tol=1e-10
    ).x
    slope, intercepts = fit_calibration(confidence, predicted + 1, correct, weight, 7)
    np.testing.assert_allclose(intercepts[[0, 5, 6]], best[1], atol=1e-4)
    few = fit_calibration(confidence, predicted, correct, weight, 4)
    assert slope == few[0]
    np.testing.assert_array_equal(intercepts[1:5], few[1])


def test_truth_is_found_where_there_is_much_evidence():
    rng = np.random.default_rng(0)
    n, intercepts = 40_000, np.array([-1.5, 0.0, 1.0])
    confidence, predicted = rng.uniform(0.35, 0.99, n), rng.integers(3, size=n)
    correct = rng.random(n) < expit(0.6 * logit(confidence) + intercepts[predicted])
    slope, found = fit_calibration(confidence, predicted, correct.astype(float), np.ones(n), 3)
    assert slope == pytest.approx(0.6, abs=0.05)
    np.testing.assert_allclose(found, intercepts, atol=0.1)


def test_without_evidence_the_calibrated_confidence_is_the_confidence():
    slope, intercepts = fit_calibration(
        np.array([0.5]), np.array([1]), np.array([0.5]), np.ones(1), 3
    )
    assert slope == pytest.approx(1)
    np.testing.assert_allclose(intercepts, 0, atol=1e-12)


def test_a_rarely_predicted_class_is_treated_nearly_as_the_others_are():
    """Six errors in a row move the calibrated confidence by less the fewer of them there are."""
    confidence, predicted, correct, weight = answers(400, 2)
    differences = []
    for n in range(1, 7):
        line = fit_calibration(
            np.r_[confidence, np.full(n, 0.8)], np.r_[predicted, np.full(n, 2)],
            np.r_[correct, np.zeros(n)], np.r_[weight, np.full(n, weight.mean())], 4,
        )  # fmt: skip
        new, never = calibrate(line[0], line[1][[2, 3]], np.full(2, 0.8))
        differences.append(never - new)
    assert 0 < differences[0] < 0.1
    assert (np.diff(differences) > 0).all()


@pytest.mark.parametrize("confidence", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 500])
@pytest.mark.parametrize("correct", [0.0, 1.0])
def test_extremes_are_finite(confidence, n, correct):
    confidence, predicted = np.full(n, confidence, np.float32), np.zeros(n, int)
    slope, intercepts = fit_calibration(confidence, predicted, np.full(n, correct), np.ones(n), 1)
    assert np.isfinite([slope, *intercepts]).all()
    calibrated = calibrate(slope, intercepts[predicted], confidence)
    assert ((calibrated > 0) & (calibrated < 1)).all()


def test_scale_of_the_weights_does_not_matter():
    confidence, predicted, correct, weight = answers()
    slope, intercepts = fit_calibration(confidence, predicted, correct, weight, 4)
    for scale in (1e-6, 1e6):
        other = fit_calibration(confidence, predicted, correct, scale * weight, 4)
        assert other[0] == pytest.approx(slope, abs=1e-7)
        np.testing.assert_allclose(other[1], intercepts, atol=1e-7)


def test_zero_weights_drop_out(monkeypatch):
    confidence, predicted, correct, weight = answers()
    weight[::3] = 0
    predicted[::3] = 3 - predicted[::3]
    rows = weight > 0
    with_them = fit_calibration(confidence, predicted, correct, weight, 5)
    without = fit_calibration(confidence[rows], predicted[rows], correct[rows], weight[rows], 5)
    assert with_them[0] == pytest.approx(without[0], abs=1e-9)
    np.testing.assert_allclose(with_them[1], without[1], atol=1e-9)
    # Also where every third row would be all that is used.
    monkeypatch.setattr(_calibration, "MAX_ROWS", 100)
    some = fit_calibration(
        confidence, predicted, correct, np.where(np.arange(300) % 3, weight, 0), 5
    )
    assert np.isfinite([some[0], *some[1]]).all()


def test_many_rows_are_used_in_part(monkeypatch):
    confidence, predicted, correct, weight = answers(6000)
    slope, intercepts = fit_calibration(confidence, predicted, correct, weight, 4)
    third = fit_calibration(confidence[::3], predicted[::3], correct[::3], weight[::3], 4)
    monkeypatch.setattr(_calibration, "MAX_ROWS", 2500)
    part = fit_calibration(confidence, predicted, correct, weight, 4)
    assert part[0] == third[0] != slope
    np.testing.assert_array_equal(part[1], third[1])
    assert part[0] == pytest.approx(slope, abs=0.15)
    full = calibrate(slope, intercepts[predicted], confidence)
    np.testing.assert_allclose(calibrate(part[0], part[1][predicted], confidence), full, atol=0.12)


CONFIDENCE = st.floats(0, 1, width=32)


@given(
    st.floats(-2, 2.2), st.lists(st.floats(-10, 0), min_size=3, max_size=3),
    st.lists(st.tuples(CONFIDENCE, st.integers(0, 2)), min_size=1, max_size=20),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_a_calibrated_confidence_is_a_probability(slope, intercepts, rows):
    confidence, predicted = (
        np.array([c for c, _ in rows], np.float32),
        np.array([k for _, k in rows]),
    )
    intercepts = np.array(intercepts)
    calibrated = calibrate(slope, intercepts[predicted], confidence)
    assert calibrated.dtype == np.float64
    assert ((calibrated > 0) & (calibrated < 1)).all()
    alone = [calibrate(slope, intercepts[k], c) for c, k in zip(confidence, predicted)]
    np.testing.assert_array_equal(calibrated, alone)
    rising = calibrate(abs(slope), intercepts[1], np.sort(confidence))
    assert (np.diff(rising) >= 0).all()


@given(st.integers(1, 80), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_order_of_the_rows_does_not_matter(n, n_classes, seed):
    confidence, predicted, correct, weight = answers(n, n_classes, seed)
    line = fit_calibration(confidence, predicted, correct, weight, n_classes)
    assert np.isfinite([line[0], *line[1]]).all()
    order = np.random.default_rng(seed).permutation(n)
    other = fit_calibration(
        confidence[order], predicted[order], correct[order], weight[order], n_classes
    )
    assert other[0] == pytest.approx(line[0], abs=1e-7)
    np.testing.assert_allclose(other[1], line[1], atol=1e-7)


@given(st.integers(1, 80), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_the_line_is_at_the_top(n, n_classes, seed):
    """No step aside explains the answers better, whatever the confidences are."""
    rng = np.random.default_rng(seed)
    confidence = rng.choice([1e-6, 0.2, 0.5, 0.9, 0.999999], n)
    predicted, correct = rng.integers(n_classes, size=n), rng.integers(2, size=n).astype(float)
    weight = rng.exponential(size=n) + 1e-3
    slope, intercepts = fit_calibration(confidence, predicted, correct, weight, n_classes + 1)
    own = intercepts[:-1] - intercepts[-1]
    line = np.r_[slope, intercepts[-1], own]
    least = penalized(line, confidence, predicted, correct, weight)
    for step in 0.01 * rng.normal(size=(20, len(line))):
        assert penalized(line + step, confidence, predicted, correct, weight) > least - 1e-7 * n


# Calibrated members -----------------------------------------------------------------------


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
    uncalibrated = [LogisticRegression(max_iter=2000), GaussianNB()]
    members = [
        (
            type(member).__name__,
            CalibratedClassifierCV(member, method=method, cv=3, ensemble=ensemble),
        )
        for member in uncalibrated
    ]
    cascade = CascadeClassifier(members, random_state=0).fit(X, y)
    proba = cascade.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert cascade.score(X, y) > 0.9
    np.testing.assert_array_equal(cascade.classes_, np.unique(y))
    route = walk(Trace(np.stack(list(cascade.staged_predict_proba(X)), axis=1)), cascade.policy_)
    np.testing.assert_array_equal(route.exit, cascade.predict_exit(X))
    # The cost of every copy that is run counts, and a look-up for each class and copy.
    copies = 3 if ensemble else 1
    macs = np.array([MacsCost.count(member.fit(X, y), X) for member in uncalibrated])
    np.testing.assert_allclose(cascade.cost_.edge_costs_[0], copies * (macs + 4))


@st.composite
def binary_answers(draw):
    """Top answers, their probabilities in steps of 1/16, and these mapped, stage by stage."""
    n, n_stages = draw(st.integers(2, 30)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y, pred = rng.integers(2, size=n), rng.integers(2, size=(n, n_stages))
    step = rng.integers(8, size=(n, n_stages))
    # Of 31 numbers above 0.5 that float32 represents exactly, 8 at random, in order.
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
    # One threshold per stage, two classes: only the order of the confidences counts. So the
    # rules fitted at every alpha release the same samples at the same stages. (Calibration
    # per class depends on the confidences themselves.)
    y, pred, top, mapped = answers
    cost = FixedCost(4.0 ** np.arange(pred.shape[1])).fit(pred.shape[1])
    exits = []
    for trace in (binary_trace(pred, top), binary_trace(pred, mapped)):
        policy = ConfidenceThreshold(confidence, per_class=False)
        path = policy.fit_alphas(trace, y, cost, ALPHAS)
        exits.append([walk(trace, policy).exit for policy in path])
    np.testing.assert_array_equal(*exits)


def test_growing_maps_of_one_class_are_no_such_maps():
    # p -> p ** 2 of class 1 keeps the order of p, not the answers nor the order of confidences.
    ones = np.array([0.05, 0.3, 0.6, 0.9])
    proba = np.stack([1 - ones, ones], axis=1)
    squared = np.stack([1 - ones**2, ones**2], axis=1)
    assert proba.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert squared.argmax(axis=1).tolist() == [0, 0, 0, 1]
    assert np.argsort(-proba.max(axis=1)).tolist() == [0, 3, 1, 2]
    assert np.argsort(-squared.max(axis=1)).tolist() == [0, 1, 3, 2]


def test_temperature_changes_the_order_of_confidences_of_three_classes():
    # Equal temperature, other order: the more confident of the rows has the closer runner-up.
    log_proba = np.log([[0.55, 0.44, 0.01], [0.53, 0.235, 0.235]])
    scaled = np.exp(log_proba * 2)
    scaled /= scaled.sum(axis=1, keepdims=True)
    assert np.exp(log_proba).max(axis=1).argmax() == 0
    assert scaled.max(axis=1).argmax() == 1
