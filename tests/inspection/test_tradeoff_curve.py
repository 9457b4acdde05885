"""The trade-off on given samples: points, landmarks, other metrics, weights and bands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skcascade import CascadeClassifier, Trace, tradeoff_curve
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary

COSTS = [1.0, 3.0, 9.0]


def recorded(n=400, seed=0, skill=(2.0, 1.0, 0.3)):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


class Counting(KNeighborsClassifier):
    """Counts the rows it predicts."""

    asked = 0

    def predict_proba(self, X):
        type(self).asked += len(X)
        return super().predict_proba(X)


@pytest.fixture(scope="module")
def digits():
    """A fitted cascade, and samples that it has not seen."""
    X, y = load_digits(return_X_y=True)
    members = [
        ("nb", GaussianNB(var_smoothing=0.1)),
        ("lr", LogisticRegression(C=0.001, solver="newton-cholesky")),
        ("kn", Counting(3)),
    ]
    cascade = CascadeClassifier(members, cost=COSTS, cv=5, random_state=0)
    names = np.array([f"d{digit}" for digit in range(10)])[y]
    return cascade.fit(X[:900], names[:900]), X[900:], names[900:]


# Points --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["alpha", "max_accuracy_drop", "max_cost"])
def test_points_are_those_of_the_cascade_at_that_operating_point(digits, by):
    cascade, X, y = digits
    curve = tradeoff_curve(cascade, X, y, by=by, points=4)
    moved = clone(cascade)
    vars(moved).update(vars(cascade))
    for i, value in enumerate(curve.parameter):
        moved.set_operating_point(**{by: value})
        assert curve.accuracy[i] == pytest.approx(moved.score(X, y))
        assert curve.cost[i] == pytest.approx(moved.predict_cost(X).mean())
        rates = np.bincount(moved.predict_exit(X), minlength=3) / len(y)
        np.testing.assert_allclose(curve.exit_rates[i], rates)
    assert curve.by == by
    assert curve.stage_names == ("nb", "lr", "kn")


def test_landmarks(digits):
    cascade, X, y = digits
    curve = tradeoff_curve(cascade, X, y, points=3)
    alone = [(cascade.classes_[p.argmax(axis=1)] == y) for p in cascade.staged_predict_proba(X)]
    np.testing.assert_allclose(curve.stage_accuracy, np.mean(alone, axis=1))
    np.testing.assert_allclose(curve.stage_cost, np.array(COSTS) / 9)
    cost = cascade.cost_.relative(cascade.predict_cost(X)).mean()
    assert curve.chosen == pytest.approx((cost, cascade.score(X, y)))
    first = np.where(np.any(alone, axis=0), np.argmax(alone, axis=0), 0)
    oracle = curve.stage_cost[first].mean(), np.any(alone, axis=0).mean()
    assert curve.oracle == pytest.approx(oracle)


def test_every_stage_is_run_once_however_many_points(digits):
    cascade, X, y = digits
    Counting.asked = 0
    tradeoff_curve(cascade, X, y, points=30)
    assert Counting.asked == len(X)


def test_the_cascade_does_not_change(digits):
    cascade, X, y = digits
    before, policy = cascade.get_params(), cascade.policy_
    tradeoff_curve(cascade, X, y, points=3)
    tradeoff_curve(cascade, X, y, points=3, cv=3)
    assert cascade.get_params() == before
    assert cascade.policy_ is policy


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold("entropy"),
        WeightedBinary(skip=True, random_state=0),
        Reinforce(random_state=0),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_every_policy(policy):
    trace, y = recorded()
    curve = tradeoff_curve(
        trace, None, y, policy=policy, cost=COSTS, points=[0.01, 0.3], cv=0.5, random_state=0
    )
    assert curve.cost[0] >= curve.cost[1]
    np.testing.assert_allclose(curve.exit_rates.sum(axis=1), 1)


@given(st.integers(0, 2**31 - 1), st.integers(20, 80))
@settings(max_examples=15, deadline=None)
def test_the_front_dominates_every_point_and_the_oracle_all(seed, n):
    trace, y = recorded(n, seed)
    for by in ("alpha", "max_cost"):
        curve = tradeoff_curve(
            trace, None, y, cost=COSTS, by=by, points=6, cv=[(np.arange(10), np.arange(10, n))]
        )
        best = curve.pareto()
        for i in range(len(curve)):
            cheaper = curve.relative_cost[best] <= curve.relative_cost[i]
            assert (curve.accuracy[best][cheaper] >= curve.accuracy[i]).any()
        assert (curve.accuracy <= curve.oracle[1] + 1e-12).all()


# Other metrics, weights, bands ---------------------------------------------------------


def test_scorers(digits):
    cascade, X, y = digits
    curve = tradeoff_curve(cascade, X, y, points=3)
    same = tradeoff_curve(cascade, X, y, points=3, scoring="accuracy")
    np.testing.assert_allclose(same.accuracy, curve.accuracy)
    np.testing.assert_allclose(same.stage_accuracy, curve.stage_accuracy)
    assert same.chosen == pytest.approx(curve.chosen)
    assert same.oracle == pytest.approx(curve.oracle)
    other = tradeoff_curve(cascade, X, y, points=3, scoring="neg_log_loss", n_bootstrap=10)
    assert other.metric == "neg_log_loss"
    for k, proba in enumerate(cascade.staged_predict_proba(X)):
        assert other.stage_accuracy[k] == pytest.approx(-log_loss(y, proba), rel=1e-4)
    assert (other.accuracy_band[:, 0] <= other.accuracy).all()
    balanced = tradeoff_curve(cascade, X, y, points=2, scoring=lambda est, X, y: 0.5)
    assert balanced.metric == "score"
    np.testing.assert_array_equal(balanced.accuracy, 0.5)


def test_weights():
    trace, y = recorded(200)
    weight = np.random.default_rng(0).integers(0, 3, 200)
    kwargs = {"cost": COSTS, "points": 3, "cv": [(np.arange(100), np.arange(100, 200))]}
    kwargs["random_state"] = 0
    weighted = tradeoff_curve(trace, None, y, sample_weight=weight, **kwargs)
    scored = tradeoff_curve(trace, None, y, sample_weight=weight, scoring="accuracy", **kwargs)
    np.testing.assert_allclose(weighted.accuracy, scored.accuracy)
    losses = trace.losses(y)[100:]
    alone = 1 - np.average(losses, axis=0, weights=weight[100:])
    np.testing.assert_allclose(weighted.stage_accuracy, alone)


def test_no_bands_unless_asked_for():
    trace, y = recorded(100)
    curve = tradeoff_curve(trace, None, y, cost=COSTS, points=2, cv=0.5)
    assert curve.accuracy_band is None
    banded = tradeoff_curve(
        trace, None, y, cost=COSTS, points=2, cv=0.5, n_bootstrap=50, random_state=0
    )
    assert banded.accuracy_band.shape == banded.cost_band.shape == (2, 2)
    wide = tradeoff_curve(
        trace,
        None,
        y,
        cost=COSTS,
        points=2,
        cv=0.5,
        n_bootstrap=50,
        band_level=0.99,
        random_state=0,
    )
    assert (np.ptp(wide.accuracy_band, axis=1) >= np.ptp(banded.accuracy_band, axis=1)).all()


# Errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"by": "cost"}, "`by` must be one of"),
        ({"points": 0}, "`points` must be 1 or more"),
        ({"points": []}, "`points` must be a number of points or a sequence"),
        ({"points": [-1.0]}, "`alpha` must be a finite number"),
        ({"points": [2.0], "by": "max_accuracy_drop"}, "`max_accuracy_drop` must lie"),
        ({"cost": None}, "`cost` is needed with a trace"),
        ({"cost": [1, 2]}, r"`cost` must give one \w+ for each of the 3 stages"),
        ({"X": np.zeros((100, 1))}, "`X` must be None for a trace"),
        ({"cv": "prefit"}, "`cv` must be folds of the rows"),
        ({"n_bootstrap": 5, "band_level": 1.0}, "`band_level` must lie"),
        ({"n_bootstrap": -1}, "`n_bootstrap` must be 0 or more"),
        ({"policy": ConfidenceThreshold(tuning="per_stage", epsilon=0.1)}, "nothing to tune"),
        ({"sample_weight": -np.ones(100)}, "[Nn]egative"),
    ],
)
def test_bad_input(given, match):
    trace, y = recorded(100)
    given = {"X": None, "cost": COSTS, "points": 2} | given
    with pytest.raises(ValueError, match=match):
        tradeoff_curve(trace, given.pop("X"), y, **given)


def test_bad_input_for_a_cascade(digits):
    cascade, X, y = digits
    with pytest.raises(ValueError, match="a cascade has its own"):
        tradeoff_curve(cascade, X, y, cost=COSTS)
    with pytest.raises(ValueError, match="`y` must have the shape"):
        tradeoff_curve(cascade, X, y[:-1])
    with pytest.raises(ValueError, match="labels without a column"):
        tradeoff_curve(cascade, X, np.full(len(X), "d10"))
    with pytest.raises(NotFittedError):
        tradeoff_curve(clone(cascade), X, y)
