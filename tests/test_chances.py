"""What a confidence means: compared with a plain minimiser, and at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from skcascade.policies import _chances
from skcascade.policies._chances import chance_right, fit_chances


def answers(n=300, n_classes=4, seed=0):
    """Confidence, class named, whether that is right, weight; some classes too bold."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1, n)
    named = rng.choice(n_classes, n, p=rng.dirichlet(np.ones(n_classes)))
    boldness = rng.normal(0, 1.5, n_classes)
    right = rng.random(n) < expit(0.7 * logit(confidence) - boldness[named])
    return confidence, named, right.astype(float), rng.uniform(0.1, 3, n)


def penalised(line, confidence, named, right, weight):
    """Minus the log-likelihood with the priors, one row after another."""
    slope, common, *own = line
    weight = weight / weight.mean()
    total = (slope - 1) ** 2 / 2 + common**2 / 2 + 3 * sum(a**2 for a in own) / 2
    for c, k, r, w in zip(confidence, named, right, weight):
        z = slope * np.log(c / (1 - c)) + common + own[k]
        total += w * (r * np.logaddexp(0, -z) + (1 - r) * np.logaddexp(0, z))
    return total


@pytest.mark.parametrize("shares", [False, True])
def test_the_line_is_that_of_a_plain_minimiser(shares):
    confidence, named, right, weight = answers(120)
    assert len(np.unique(named)) == 4
    if shares:
        right = np.random.default_rng(1).random(120)
    best = minimize(
        penalised, np.r_[1, np.zeros(5)], (confidence, named, right, weight), tol=1e-10
    ).x
    slope, intercepts = fit_chances(confidence, named, right, weight, 4)
    assert slope == pytest.approx(best[0], abs=1e-4)
    np.testing.assert_allclose(intercepts, best[1] + best[2:], atol=1e-4)


def test_a_class_that_was_never_named_gets_the_common_intercept():
    confidence, named, right, weight = answers(120)
    best = minimize(
        penalised, np.r_[1, np.zeros(5)], (confidence, named, right, weight), tol=1e-10
    ).x
    slope, intercepts = fit_chances(confidence, named + 1, right, weight, 7)
    np.testing.assert_allclose(intercepts[[0, 5, 6]], best[1], atol=1e-4)
    few = fit_chances(confidence, named, right, weight, 4)
    assert slope == few[0]
    np.testing.assert_array_equal(intercepts[1:5], few[1])


def test_truth_is_found_where_there_is_much_evidence():
    rng = np.random.default_rng(0)
    n, intercepts = 40_000, np.array([-1.5, 0.0, 1.0])
    confidence, named = rng.uniform(0.35, 0.99, n), rng.integers(3, size=n)
    right = rng.random(n) < expit(0.6 * logit(confidence) + intercepts[named])
    slope, found = fit_chances(confidence, named, right.astype(float), np.ones(n), 3)
    assert slope == pytest.approx(0.6, abs=0.05)
    np.testing.assert_allclose(found, intercepts, atol=0.1)


def test_without_evidence_the_chance_is_the_confidence():
    slope, intercepts = fit_chances(np.array([0.5]), np.array([1]), np.array([0.5]), np.ones(1), 3)
    assert slope == pytest.approx(1)
    np.testing.assert_allclose(intercepts, 0, atol=1e-12)


def test_a_rarely_named_class_is_treated_nearly_as_the_others_are():
    """Six errors in a row move the chance by less the fewer of them there are."""
    confidence, named, right, weight = answers(400, 2)
    chances = []
    for n in range(1, 7):
        line = fit_chances(
            np.r_[confidence, np.full(n, 0.8)], np.r_[named, np.full(n, 2)],
            np.r_[right, np.zeros(n)], np.r_[weight, np.full(n, weight.mean())], 4,
        )  # fmt: skip
        new, never = chance_right(*line, np.full(2, 0.8), np.array([2, 3]))
        chances.append(never - new)
    assert 0 < chances[0] < 0.1
    assert (np.diff(chances) > 0).all()


@pytest.mark.parametrize("confidence", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 500])
@pytest.mark.parametrize("right", [0.0, 1.0])
def test_extremes_are_finite(confidence, n, right):
    confidence, named = np.full(n, confidence, np.float32), np.zeros(n, int)
    slope, intercepts = fit_chances(confidence, named, np.full(n, right), np.ones(n), 1)
    assert np.isfinite([slope, *intercepts]).all()
    chance = chance_right(slope, intercepts, confidence, named)
    assert ((chance > 0) & (chance < 1)).all()


def test_scale_of_the_weights_does_not_matter():
    confidence, named, right, weight = answers()
    slope, intercepts = fit_chances(confidence, named, right, weight, 4)
    for scale in (1e-6, 1e6):
        other = fit_chances(confidence, named, right, scale * weight, 4)
        assert other[0] == pytest.approx(slope, abs=1e-7)
        np.testing.assert_allclose(other[1], intercepts, atol=1e-7)


def test_zero_weights_drop_out(monkeypatch):
    confidence, named, right, weight = answers()
    weight[::3] = 0
    named[::3] = 3 - named[::3]
    rows = weight > 0
    with_them = fit_chances(confidence, named, right, weight, 5)
    without = fit_chances(confidence[rows], named[rows], right[rows], weight[rows], 5)
    assert with_them[0] == pytest.approx(without[0], abs=1e-9)
    np.testing.assert_allclose(with_them[1], without[1], atol=1e-9)
    # Also where a coarser look would see nothing else.
    monkeypatch.setattr(_chances, "MAX_ROWS", 100)
    some = fit_chances(confidence, named, right, np.where(np.arange(300) % 3, weight, 0), 5)
    assert np.isfinite([some[0], *some[1]]).all()


def test_many_rows_are_seen_in_part(monkeypatch):
    confidence, named, right, weight = answers(6000)
    slope, intercepts = fit_chances(confidence, named, right, weight, 4)
    sizes = []
    maximum = _chances._maximum
    monkeypatch.setattr(
        _chances, "_maximum", lambda odds, *rest: sizes.append(len(odds)) or maximum(odds, *rest)
    )
    monkeypatch.setattr(_chances, "MAX_ROWS", 2500)
    part = fit_chances(confidence, named, right, weight, 4)
    assert sizes == [2000]
    assert part[0] == pytest.approx(slope, abs=0.15)
    full = chance_right(slope, intercepts, confidence, named)
    np.testing.assert_allclose(chance_right(*part, confidence, named), full, atol=0.12)


CONFIDENCE = st.floats(0, 1, width=32)


@given(
    st.floats(-2, 2.2), st.lists(st.floats(-10, 0), min_size=3, max_size=3),
    st.lists(st.tuples(CONFIDENCE, st.integers(0, 2)), min_size=1, max_size=20),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_a_chance_is_one(slope, intercepts, rows):
    confidence, named = np.array([c for c, _ in rows], np.float32), np.array([k for _, k in rows])
    intercepts = np.array(intercepts)
    chance = chance_right(slope, intercepts, confidence, named)
    assert chance.dtype == np.float64
    assert ((chance > 0) & (chance < 1)).all()
    alone = [
        chance_right(slope, intercepts, confidence[[i]], named[[i]])[0] for i in range(len(rows))
    ]
    np.testing.assert_array_equal(chance, alone)
    rising = chance_right(abs(slope), intercepts, np.sort(confidence), np.full(len(rows), 1))
    assert (np.diff(rising) >= 0).all()


@given(st.integers(1, 80), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_order_of_the_rows_does_not_matter(n, n_classes, seed):
    confidence, named, right, weight = answers(n, n_classes, seed)
    line = fit_chances(confidence, named, right, weight, n_classes)
    assert np.isfinite([line[0], *line[1]]).all()
    order = np.random.default_rng(seed).permutation(n)
    other = fit_chances(confidence[order], named[order], right[order], weight[order], n_classes)
    assert other[0] == pytest.approx(line[0], abs=1e-7)
    np.testing.assert_allclose(other[1], line[1], atol=1e-7)


@given(st.integers(1, 80), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_the_line_is_at_the_top(n, n_classes, seed):
    """No step aside explains the answers better, whatever the confidences are."""
    rng = np.random.default_rng(seed)
    confidence = rng.choice([1e-6, 0.2, 0.5, 0.9, 0.999999], n)
    named, right = rng.integers(n_classes, size=n), rng.integers(2, size=n).astype(float)
    weight = rng.exponential(size=n) + 1e-3
    slope, intercepts = fit_chances(confidence, named, right, weight, n_classes + 1)
    own = intercepts[:-1] - intercepts[-1]
    line = np.r_[slope, intercepts[-1], own]
    least = penalised(line, confidence, named, right, weight)
    for step in 0.01 * rng.normal(size=(20, len(line))):
        assert penalised(line + step, confidence, named, right, weight) > least - 1e-7 * n
