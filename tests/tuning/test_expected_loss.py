"""Expected losses: the vote of all stages on the true class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from skcascade import Trace
from skcascade.tuning._expected_loss import ExpectedLoss


def recorded(n=400, seed=0, skill=(2.0, 1.0, 0.5), n_classes=3):
    """A trace, codes, and the confidences, by which stages are right independently."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill))) ** np.array(skill)
    right = rng.random((n, len(skill))) < confidence
    shift = rng.integers(1, n_classes, size=right.shape) if n_classes > 1 else 0
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + shift) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def expected(trace, y, weight=None):
    weight = np.ones(len(y)) if weight is None else weight
    return ExpectedLoss.fit(trace, y, weight).of(trace).objective_losses(y)


@st.composite
def traces(draw):
    n_stages, n_classes = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 3, 50]))
    skill = draw(st.lists(st.floats(0.2, 3), min_size=n_stages, max_size=n_stages))
    return recorded(draw(st.integers(1, 80)), draw(st.integers(0, 9999)), skill, n_classes)


@given(traces())
@settings(max_examples=60, deadline=None)
def test_equal_answers_have_equal_losses_and_probabilities_add_up(drawn):
    trace, y = drawn
    model = ExpectedLoss.fit(trace, y, np.ones(len(y)))
    target = model.predict_proba(trace)
    np.testing.assert_allclose(target.sum(axis=1), 1)
    assert target.shape == (len(y), trace.n_classes)
    losses, pred = model.of(trace).objective_losses(y), trace.proba.argmax(axis=2)
    assert ((losses >= -1e-12) & (losses <= 1 + 1e-12)).all()
    for j in range(trace.n_stages):
        for k in range(j):
            same = pred[:, j] == pred[:, k]
            np.testing.assert_allclose(losses[same, j], losses[same, k], atol=1e-12)


@given(traces(), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_names_of_classes_and_order_of_stages_do_not_matter(drawn, seed):
    trace, y = drawn
    rng = np.random.default_rng(seed)
    classes, stages = rng.permutation(trace.n_classes), rng.permutation(trace.n_stages)
    other = Trace(trace.proba[:, stages][:, :, classes])
    losses = expected(other, np.argsort(classes)[y])
    np.testing.assert_allclose(losses, expected(trace, y)[:, stages], atol=2e-3)


@given(st.integers(0, 99), st.integers(2, 3), st.sampled_from([2, 3, 40]))
@settings(max_examples=20, deadline=None)
def test_no_other_weights_are_more_likely(seed, n_stages, n_classes):
    """The formula once more, class by class and without tricks."""
    trace, y = recorded(60, seed, (1.5, 0.8, 0.5)[:n_stages], n_classes)
    model = ExpectedLoss.fit(trace, y, np.ones(60))
    pred, confidence = trace.proba.argmax(axis=2), trace.proba.max(axis=2).astype(float)
    stages, rows = range(n_stages), np.arange(60)
    odds = np.log(confidence / (1 - confidence))
    z = [
        model.slopes[k] * odds[:, k] + model.intercepts[k, pred[:, k]] + np.log(n_classes - 1)
        for k in stages
    ]

    def loss(weights):
        votes = np.zeros((60, n_classes))
        for k in stages:
            votes[rows, pred[:, k]] += weights[k] * z[k]
        likelihood = np.log(softmax(votes, axis=1)[rows, y]).sum()
        return ((weights - 1 / n_stages) ** 2).sum() / 2 - likelihood, softmax(votes, axis=1)

    best, target = loss(model.weights)
    np.testing.assert_allclose(target, model.predict_proba(trace), atol=1e-6)
    for k in stages:
        for change in (-0.01, 0.01):
            assert loss(model.weights + change * np.eye(n_stages)[k])[0] > best


def test_stages_that_are_right_independently_are_told_nearly_exactly():
    trace, y = recorded(4000)
    new, labels = recorded(20_000, seed=1)
    model = ExpectedLoss.fit(trace, y, np.ones(4000))
    np.testing.assert_allclose(model.weights, 1, atol=0.15)
    losses, found = new.losses(labels), model.of(new).objective_losses(labels)
    np.testing.assert_allclose(found.mean(axis=0), losses.mean(axis=0), atol=0.01)
    for k in range(3):  # where 20 % errors are expected, 20 % are made
        for low in np.arange(0, 1, 0.2):
            rows = (found[:, k] >= low) & (found[:, k] < low + 0.2)
            if rows.sum() > 500:
                assert losses[rows, k].mean() == pytest.approx(found[rows, k].mean(), abs=0.06)


def test_a_stage_that_is_there_twice_does_not_count_twice():
    trace, y = recorded(2000, skill=(1.0, 0.5))
    twice = Trace(trace.proba[:, [0, 1, 1]])
    np.testing.assert_allclose(expected(twice, y)[:, :2], expected(trace, y), atol=0.02)


def test_the_difference_of_two_rules_has_less_noise():
    """Where one rule exits at the first stage and another at the second, on some 30 of 200 rows."""
    found = []
    for seed in range(60):
        trace, y = recorded(200, seed, skill=(0.7, 0.5))
        confidence = trace.proba[:, 0].max(axis=1)
        rows = (confidence > 0.8) & (confidence < 0.9)
        both = trace.losses(y), expected(trace, y)
        found.append([(losses[rows, 1] - losses[rows, 0]).mean() for losses in both])
    observed, by_vote = np.transpose(found)
    assert by_vote.mean() == pytest.approx(observed.mean(), abs=0.02)
    assert by_vote.std() < 0.8 * observed.std()


def test_weights_are_repeated_rows_up_to_the_prior():
    trace, y = recorded(600)
    weight = np.random.default_rng(0).integers(1, 4, 600)
    rows = np.repeat(np.arange(600), weight)
    repeated = expected(trace.rows(rows), y[rows])
    np.testing.assert_allclose(expected(trace, y, weight)[rows], repeated, atol=0.06)
    np.testing.assert_allclose(expected(trace, y, weight), expected(trace, y, 1e-6 * weight))
    assert np.abs(expected(trace, y, weight) - expected(trace, y)).max() > 1e-3


def test_rejecting_has_its_own_loss():
    trace, y = recorded()
    losses = expected(trace.with_reject(0.2), y)
    np.testing.assert_array_equal(losses[:, 3], 0.2)
    np.testing.assert_allclose(losses[:, :3], expected(trace, y))


def test_losses_of_an_array_are_minimized_as_they_are():
    trace, y = recorded()
    given = np.random.default_rng(0).uniform(size=(400, 3))
    np.testing.assert_array_equal(expected(Trace(trace.proba, loss=given), y), given)


@pytest.mark.parametrize(
    "loss", ["brier", "log_loss", "balanced", [[0, 1, 5], [1, 0, 1], [2, 1, 0]]]
)
def test_other_losses_are_means_over_the_classes(loss):
    trace, y = recorded(2000)
    trace = Trace(trace.proba, loss=loss).for_labels(y)
    model = ExpectedLoss.fit(trace, y, np.ones(2000))
    target, found = model.predict_proba(trace), model.of(trace).objective_losses(y)
    by_class = [trace.losses(np.full(2000, c)) for c in range(3)]
    np.testing.assert_allclose(found, sum(target[:, [c]] * by_class[c] for c in range(3)))
    np.testing.assert_allclose(found.mean(axis=0), trace.losses(y).mean(axis=0), rtol=0.06)


def test_a_thousand_classes():
    trace, y = recorded(300, skill=(1.0, 0.5), n_classes=1000)
    losses = expected(trace, y)
    assert np.isfinite(losses).all()
    assert losses.mean(axis=0) == pytest.approx(trace.losses(y).mean(axis=0), abs=0.05)
