"""The trade-off on given samples, and what can be read off a curve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skcascade import CascadeClassifier, Trace, TradeoffCurve, tradeoff_curve
from skcascade._metric import MeanLoss
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, Reinforce, WeightedBinary

PRICES = [1.0, 3.0, 9.0]


def recorded(n=400, seed=0, skill=(2.0, 1.0, 0.3)):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


class Counting(KNeighborsClassifier):
    """Counts the rows it is asked about."""

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
    cascade = CascadeClassifier(members, cost=PRICES, cv=5, random_state=0)
    names = np.array([f"d{digit}" for digit in range(10)])[y]
    return cascade.fit(X[:900], names[:900]), X[900:], names[900:]


# What the points are ----------------------------------------------------------------------


@pytest.mark.parametrize("by", ["alpha", "max_accuracy_drop", "max_cost"])
def test_points_are_what_the_moved_cascade_does(digits, by):
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
    np.testing.assert_allclose(curve.stage_cost, np.array(PRICES) / 9)
    price = cascade.cost_.relative(cascade.predict_cost(X)).mean()
    assert curve.chosen == pytest.approx((price, cascade.score(X, y)))
    first = np.where(np.any(alone, axis=0), np.argmax(alone, axis=0), 0)
    oracle = curve.stage_cost[first].mean(), np.any(alone, axis=0).mean()
    assert curve.oracle == pytest.approx(oracle)


def test_every_stage_is_run_once_however_many_points(digits):
    cascade, X, y = digits
    Counting.asked = 0
    tradeoff_curve(cascade, X, y, points=30)
    assert Counting.asked == len(X)


def test_the_cascade_is_left_alone(digits):
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
        trace, None, y, policy=policy, cost=PRICES, points=[0.01, 0.3], cv=0.5, random_state=0
    )
    assert curve.cost[0] >= curve.cost[1]
    np.testing.assert_allclose(curve.exit_rates.sum(axis=1), 1)


@pytest.mark.parametrize("cv", [None, 3, 0.4])
def test_trace_rows_are_judged_by_a_policy_tuned_without_them(cv):
    """A rule that knows the rows it was fitted on by heart gets nothing out of that."""

    class ByHeart(BaseExitPolicy):
        def fit(self, trace, y, cost, alpha, sample_weight=None):
            right = trace.losses(y)[:, 0] == 0
            self.known_ = set(trace.proba[right, 0].max(axis=1).tolist())
            return self

        def exit_mask(self, stage, proba):
            return np.array([p in self.known_ for p in proba[:, stage].max(axis=1).tolist()])

    trace, y = recorded(skill=(1.0, 0.1))
    curve = tradeoff_curve(
        trace, None, y, policy=ByHeart(), cost=[1, 10], points=[0.001], cv=cv, random_state=0
    )
    assert curve.exit_rates[0, 0] == 0


def test_array_losses_and_named_classes():
    trace, y = recorded()
    names = np.array(["owl", "ant", "eel"])
    named = Trace(trace.proba, classes=names, loss=trace.losses(y))
    kwargs = {"cost": PRICES, "points": 3, "random_state": 0}
    one = tradeoff_curve(trace, None, y, **kwargs)
    two = tradeoff_curve(named, None, names[y], scoring="accuracy", **kwargs)
    np.testing.assert_allclose(one.stage_accuracy, two.stage_accuracy)


@given(st.integers(0, 2**31 - 1), st.integers(20, 80))
@settings(max_examples=15, deadline=None)
def test_the_front_dominates_every_point_and_the_oracle_all(seed, n):
    trace, y = recorded(n, seed)
    for by in ("alpha", "max_cost"):
        curve = tradeoff_curve(
            trace, None, y, cost=PRICES, by=by, points=6, cv=[(np.arange(10), np.arange(10, n))]
        )
        best = curve.pareto()
        for i in range(len(curve)):
            cheaper = curve.relative_cost[best] <= curve.relative_cost[i]
            assert (curve.accuracy[best][cheaper] >= curve.accuracy[i]).any()
        assert (curve.accuracy <= curve.oracle[1] + 1e-12).all()


# Other metrics, weights, bands ------------------------------------------------------------


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
    kwargs = {"cost": PRICES, "points": 3, "cv": [(np.arange(100), np.arange(100, 200))]}
    kwargs["random_state"] = 0
    weighted = tradeoff_curve(trace, None, y, sample_weight=weight, **kwargs)
    scored = tradeoff_curve(trace, None, y, sample_weight=weight, scoring="accuracy", **kwargs)
    np.testing.assert_allclose(weighted.accuracy, scored.accuracy)
    losses = trace.losses(y)[100:]
    alone = 1 - np.average(losses, axis=0, weights=weight[100:])
    np.testing.assert_allclose(weighted.stage_accuracy, alone)


def test_bands_cover_at_the_stated_rate():
    """Of 400 draws of 300 rows on which one rule is judged: 90 %, +- 3 standard deviations."""
    rng = np.random.default_rng(0)
    losses = (rng.random((50_000, 2)) < [0.3, 0.1]).astype(float)
    exits = (rng.random(50_000) < 0.4).astype(int)
    prices = np.array([0.2, 1.2])[exits]
    truth = np.array([1 - losses[np.arange(50_000), exits].mean(), prices.mean()])
    covered = np.zeros(2)
    draw = np.random.RandomState(0)
    for _ in range(400):
        rows = rng.integers(50_000, size=300)
        metric = MeanLoss(losses[rows], np.ones(300))
        low, high = np.quantile(
            list(metric.draws(exits[rows], prices[rows], 200, draw)), [0.05, 0.95], axis=0
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
    prices, weight = rng.integers(1, 3, n).astype(float), rng.integers(0, 3, n) + 0.5
    drawn = np.array(
        list(MeanLoss(losses, weight).draws(exits, prices, 2000, np.random.RandomState(0)))
    )
    taken = losses[np.arange(n), exits]
    rows = rng.integers(n, size=(2000, n))
    direct = np.array(
        [
            [1 - np.average(taken[r], weights=weight[r]), np.average(prices[r], weights=weight[r])]
            for r in rows
        ]
    )
    np.testing.assert_allclose(drawn.mean(axis=0), direct.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=0), direct.std(axis=0), rtol=0.15)


def test_no_bands_unless_asked_for():
    trace, y = recorded(100)
    curve = tradeoff_curve(trace, None, y, cost=PRICES, points=2, cv=0.5)
    assert curve.accuracy_band is None
    banded = tradeoff_curve(
        trace, None, y, cost=PRICES, points=2, cv=0.5, n_bootstrap=50, random_state=0
    )
    assert banded.accuracy_band.shape == banded.cost_band.shape == (2, 2)
    wide = tradeoff_curve(
        trace,
        None,
        y,
        cost=PRICES,
        points=2,
        cv=0.5,
        n_bootstrap=50,
        band_level=0.99,
        random_state=0,
    )
    assert (np.ptp(wide.accuracy_band, axis=1) >= np.ptp(banded.accuracy_band, axis=1)).all()


# Reading a curve --------------------------------------------------------------------------


def curve_through(points, stages=((0.1, 0.7), (1.0, 0.9))):
    cost, accuracy = np.array(points, dtype=float).T
    stage_cost, stage_accuracy = np.array(stages, dtype=float).T
    rates = np.tile([0.5] * 2, (len(points), 1))
    return TradeoffCurve(
        np.arange(len(points)) / 10, accuracy, cost * 7, cost, rates, rates,
        stage_accuracy, stage_cost, int(stage_accuracy.argmax()), stage_names=("a", "b"),
    )  # fmt: skip


def test_at():
    curve = curve_through([(0.2, 0.8), (0.3, 0.88), (0.6, 0.91)])
    assert curve.at(max_cost=0.5).index == 1
    assert curve.at(max_accuracy_drop=0.02).relative_cost == 0.3
    assert curve.at().accuracy == 0.91
    point = curve.at(alpha=1.0)
    assert (point.index, point.parameter, point.cost) == (0, 0.0, pytest.approx(1.4))
    with pytest.raises(ValueError, match=r"No point .* max_cost=0.15: the cheapest costs 0.2"):
        curve.at(max_cost=0.15)
    worse = curve_through([(0.2, 0.8), (0.3, 0.85)])
    with pytest.raises(ValueError, match=r"No point .* max_accuracy_drop=0.01: .* has 0.85"):
        worse.at(max_accuracy_drop=0.01)
    with pytest.raises(ValueError, match="At most one of"):
        curve.at(alpha=0.1, max_cost=0.5)


def test_area_by_hand():
    """Budgets from .1 to 1: .7 for all of them without the cascade."""
    curve = curve_through([(0.2, 0.8), (0.55, 0.9)])
    assert curve.area() == pytest.approx((0.35 * 0.1 + 0.45 * 0.2) / 0.9)
    assert curve_through([(0.3, 0.6), (1.5, 0.95)]).area() == 0
    assert np.isnan(curve_through([(0.2, 0.8)], stages=[(0.1, 0.9), (1.0, 0.8)]).area())


UNIT = st.floats(0.01, 1)


@given(
    st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8),
    st.lists(st.tuples(UNIT, UNIT), min_size=2, max_size=4),
    st.tuples(UNIT, UNIT),
)
@settings(max_examples=150, deadline=None)
def test_area_never_falls_with_a_point_more(points, stages, another):
    area = curve_through(points, stages).area()
    if not np.isnan(area):
        assert -1e-12 <= area <= 1
        assert curve_through([*points, another], stages).area() >= area - 1e-12


@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_coin_toss_is_above_every_stage(stages):
    curve = curve_through([(0.5, 0.5)], stages)
    corners = curve.coin_toss()
    cost, accuracy = curve.stage_cost[corners], curve.stage_accuracy[corners]
    assert (np.diff(cost) > 0).all()
    assert (np.diff(np.diff(accuracy) / np.diff(cost)) < 1e-9).all()  # concave
    assert curve.reference in corners or curve.stage_accuracy[curve.reference] == accuracy[-1]
    for c, a in stages:
        assert np.interp(c, cost, accuracy, left=2) >= a - 1e-9


def test_among():
    trace, y = recorded()
    curve = tradeoff_curve(trace, None, y, cost=PRICES, points=4, random_state=0)
    share, accuracy = curve.among([0, 1, 2])
    np.testing.assert_allclose(share, 1)
    np.testing.assert_allclose(accuracy, curve.accuracy)
    share, accuracy = curve.among([])
    np.testing.assert_array_equal(share, 0)
    assert np.isnan(accuracy).all()


def test_to_frame():
    pytest.importorskip("pandas")
    trace, y = recorded()
    curve = tradeoff_curve(
        trace, None, y, cost=PRICES, points=3, by="max_cost", n_bootstrap=5, random_state=0
    )
    frame = curve.to_frame()
    assert list(frame.columns) == [
        "max_cost", "accuracy", "cost", "relative_cost", "exit_rate 0", "exit_rate 1",
        "exit_rate 2", "accuracy low", "accuracy high", "relative_cost low", "relative_cost high",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["accuracy"], curve.accuracy)


# Bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"by": "cost"}, "`by` must be one of"),
        ({"points": 0}, "`points` must be 1 or more"),
        ({"points": []}, "`points` must be a number of points or a sequence"),
        ({"points": [-1.0]}, "`alpha` must be a finite number"),
        ({"points": [2.0], "by": "max_accuracy_drop"}, "`max_accuracy_drop` must lie"),
        ({"cost": None}, "`cost` is needed with a trace"),
        ({"cost": [1, 2]}, "`cost` must give one price for each of the 3 stages"),
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
    given = {"X": None, "cost": PRICES, "points": 2} | given
    with pytest.raises(ValueError, match=match):
        tradeoff_curve(trace, given.pop("X"), y, **given)


def test_bad_input_for_a_cascade(digits):
    cascade, X, y = digits
    with pytest.raises(ValueError, match="a cascade has its own"):
        tradeoff_curve(cascade, X, y, cost=PRICES)
    with pytest.raises(ValueError, match="`y` must have the shape"):
        tradeoff_curve(cascade, X, y[:-1])
    with pytest.raises(ValueError, match="labels without a column"):
        tradeoff_curve(cascade, X, np.full(len(X), "d10"))
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        tradeoff_curve(clone(cascade), X, y)
