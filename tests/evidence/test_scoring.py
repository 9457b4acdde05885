"""The score of recorded answers: by loss or scorer, and on resamples of the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.utils.validation import check_is_fitted

from skcascade import Trace
from skcascade.evidence._scoring import MeanLoss, RecordedAnswers, ScorerMetric, bootstrap_interval


def test_bands_cover_at_the_stated_rate():
    """Of 400 draws of 300 rows on which one rule is evaluated: 90 %, +- 3 standard deviations."""
    rng = np.random.default_rng(0)
    losses = (rng.random((50_000, 2)) < [0.3, 0.1]).astype(float)
    exits = (rng.random(50_000) < 0.4).astype(int)
    costs = np.array([0.2, 1.2])[exits]
    truth = np.array([1 - losses[np.arange(50_000), exits].mean(), costs.mean()])
    covered = np.zeros(2)
    draw = np.random.RandomState(0)
    for _ in range(400):
        rows = rng.integers(50_000, size=300)
        metric = MeanLoss(losses[rows], np.ones(300))
        low, high = np.quantile(
            list(metric.draws(exits[rows], costs[rows], 200, draw)), [0.05, 0.95], axis=0
        )
        covered += (low <= truth) & (truth <= high)
    assert (np.abs(covered / 400 - 0.9) < 3 * np.sqrt(0.9 * 0.1 / 400)).all()


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_resamples_of_rows_and_of_kinds_of_rows_agree(seed):
    """Weighted too: the mean over resamples is the mean, the spread that of the bootstrap."""
    rng = np.random.default_rng(seed)
    n = 40
    losses, exits = rng.random((n, 2)).round(1), rng.integers(2, size=n)
    costs, weight = rng.integers(1, 3, n).astype(float), rng.integers(0, 3, n) + 0.5
    drawn = np.array(
        list(MeanLoss(losses, weight).draws(exits, costs, 2000, np.random.RandomState(0)))
    )
    taken = losses[np.arange(n), exits]
    rows = rng.integers(n, size=(2000, n))
    direct = np.array(
        [
            [1 - np.average(taken[r], weights=weight[r]), np.average(costs[r], weights=weight[r])]
            for r in rows
        ]
    )
    np.testing.assert_allclose(drawn.mean(axis=0), direct.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=0), direct.std(axis=0), rtol=0.15)


# Recorded answers as a classifier ---------------------------------------------------------


def recorded(n=80, seed=0):
    """Two stages and a reject stage on classes "a" to "c", with their exits and codes."""
    rng = np.random.default_rng(seed)
    trace = Trace(rng.dirichlet(np.ones(3), size=(n, 2)), classes=list("abc")).with_reject(0.2)
    return trace, rng.integers(3, size=n), rng.integers(3, size=n)


def test_recorded_answers_predict_the_label_of_their_own_row():
    trace, exits, _ = recorded()
    proba = trace.proba[np.arange(80), exits]
    answers = RecordedAnswers(np.array(["a", "b", "c", "reject"]), 3)
    answers.fit(None)
    check_is_fitted(answers)
    labels = answers.predict(proba)
    np.testing.assert_array_equal(labels == "reject", exits == 2)
    answered = exits < 2
    np.testing.assert_array_equal(
        labels[answered], answers.classes_[proba[answered].argmax(axis=1)]
    )
    np.testing.assert_array_equal(answers.predict_proba(proba), proba)
    assert (RecordedAnswers(np.array([3, 5, 7, -9]), 3).predict(proba)[~answered] == -9).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "neg_log_loss"])
def test_a_scorer_scores_the_answer_at_the_exit(scoring, weighted):
    trace, _, y = recorded()
    exits = np.random.default_rng(1).integers(2, size=80)
    weight = np.random.default_rng(2).uniform(0.5, 2, 80) if weighted else np.full(80, 3.0)
    metric = ScorerMetric(scoring, trace, y, weight, None)
    proba, labels = trace.proba[np.arange(80), exits], np.array(list("abc"))
    expected = {
        "accuracy": lambda **w: accuracy_score(labels[y], labels[proba.argmax(axis=1)], **w),
        "f1_macro": lambda **w: f1_score(
            labels[y], labels[proba.argmax(axis=1)], average="macro", **w
        ),
        "neg_log_loss": lambda **w: -log_loss(labels[y], proba, labels=labels, **w),
    }[scoring](sample_weight=weight)
    assert metric.value(exits) == pytest.approx(expected)
    assert metric.name == scoring


def test_the_mean_loss_is_that_of_the_exits():
    trace, exits, y = recorded()
    weight = np.random.default_rng(0).uniform(0.5, 2, 80)
    metric = MeanLoss(trace.losses(y), weight)
    losses = trace.losses(y)[np.arange(80), exits]
    assert metric.value(exits) == pytest.approx(1 - np.average(losses, weights=weight))
    assert metric.name == "accuracy"
    assert MeanLoss(trace.losses(y), weight, "1 - cost").name == "1 - cost"


def test_a_rejected_sample_is_an_error_to_a_scorer():
    trace, _, y = recorded()
    metric = ScorerMetric("accuracy", trace, y, np.ones(80), None)
    assert metric.value(np.full(80, 2)) == 0


@pytest.mark.parametrize("kind", ["loss", "scorer"])
def test_bootstrap_intervals(kind):
    trace, exits, y = recorded(400)
    costs, weight = np.array([1.0, 4.0, 0.0])[exits], np.ones(400)
    metric = MeanLoss(trace.losses(y), weight)
    if kind == "scorer":
        metric = ScorerMetric("accuracy", trace, y, weight, None)

    def interval(level):
        return bootstrap_interval(metric, exits, costs, 200, level, np.random.RandomState(0))

    wide, narrow = interval(0.95), interval(0.5)
    assert wide.shape == (2, 2)
    for (low, high), (lower, upper), value in zip(
        narrow, wide, (metric.value(exits), costs.mean())
    ):
        assert lower < low < value < high < upper
