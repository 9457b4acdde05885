"""Every operating point of a policy, from one search."""

import warnings

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcascade import CascadeClassifier, Trace, sample_size, walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import Search
from skcascade.tuning._tuning import Tuning, get_tuning

COSTS = [1, 3, 9]


COST = FixedCost(COSTS).fit(3)


class Sure(BaseExitPolicy):
    """The smallest policy: a rule, and nothing to fit."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.8


def recorded(n=200, seed=0, skill=(2.0, 1.0, 0.5), n_classes=3):
    """A trace, and its codes. Stages know how sure they are; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def same(one, other):
    """Whether two fitted ConfidenceThreshold are the same rule."""
    return one.stages_ == other.stages_ and np.array_equal(one.thresholds_, other.thresholds_)


def same_state(one, other):
    """Whether two policies of any kind agree in all they were given or have learned."""

    def equal(a, b):
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
        if isinstance(a, list | tuple):
            return len(a) == len(b) and all(map(equal, a, b))
        return np.array_equal(a, b)

    return equal(vars(one), vars(other))


@st.composite
def tunings(draw):
    """A trace of any quality, costs in any order, and a policy to tune."""
    n_stages = draw(st.integers(1, 3))
    skill = draw(
        st.lists(st.sampled_from([0.3, 0.7, 2.0, 6.0]), min_size=n_stages, max_size=n_stages)
    )
    seed = draw(st.integers(0, 2**31 - 1))
    trace, y = recorded(draw(st.integers(20, 90)), seed, skill)
    costs = np.random.default_rng(seed).uniform(0.1, 5, n_stages)
    policy = draw(st.sampled_from([ConfidenceThreshold(), ConfidenceThreshold("margin"), Sure()]))
    return Tuning(policy, trace, y, FixedCost(costs).fit(n_stages), random_state=seed)


# What the choice promises on its curve ----------------------------------------------------


DROPS = [0.0, 0.01, 0.03, 0.1, 0.3]


@given(tunings())
@settings(max_examples=15, deadline=None)
def test_choices_are_monotone_and_keep_their_bounds(tuning):
    def at(**point):
        policy, search, index = tuning.fit(OperatingPoint.check(**point))
        assert same_state(policy, search.policies[index])
        return search.curve.accuracy[index], search.curve.relative_cost[index]

    reference = at()[0]
    points = tuning.searches[False].curve
    assert reference >= points.stage_accuracy[points.reference] - 1e-9
    by_drop = np.array([at(max_accuracy_drop=drop) for drop in DROPS])
    assert (np.diff(by_drop[:, 1]) <= 1e-9).all()  # never more expensive
    assert (by_drop[:, 0] >= points.stage_accuracy.max() - DROPS - 1e-9).all()
    assert by_drop[0, 1] <= points.stage_cost[points.reference] + 1e-9

    budgets = points.stage_cost.min() * np.array([1, 1.2, 1.5, 2, 4, 10])
    by_cost = np.array([at(max_cost=budget) for budget in budgets])
    assert (np.diff(by_cost[:, 0]) >= -1e-9).all()  # never less accurate
    assert (by_cost[:, 1] <= budgets + 1e-9).all()

    by_alpha = np.array([at(alpha=alpha) for alpha in (0.0, 0.01, 0.1, 1.0, 100.0)])
    assert (np.diff(by_alpha[:, 1]) <= 1e-9).all()
    assert by_alpha[0, 0] == pytest.approx(points.accuracy.max())


@given(tunings())
@settings(max_examples=10, deadline=None)
def test_no_point_of_the_curve_serves_better(tuning):
    _, search, index = tuning.fit(OperatingPoint(max_accuracy_drop=0.02))
    points = search.curve
    floor = points.stage_accuracy[points.reference] - 0.02
    enough = points.accuracy >= floor + 1e-9
    assert not (enough & (points.relative_cost < points.relative_cost[index] - 1e-9)).any()
    budget = points.stage_cost.min() * 1.3
    _, _, index = tuning.fit(OperatingPoint(max_cost=budget))
    affordable = points.relative_cost <= budget - 1e-9
    assert not (affordable & (points.accuracy > points.accuracy[index] + 1e-9)).any()


# Another operating point ------------------------------------------------------------------


POINTS = [
    OperatingPoint(alpha=0.05),
    OperatingPoint(max_accuracy_drop=0.0),
    OperatingPoint(max_accuracy_drop=0.05),
    OperatingPoint(max_cost=0.4),
]


def make_tuning(trace, y, policy=None):
    return Tuning(policy or ConfidenceThreshold(), trace, y, COST, random_state=7)


@pytest.mark.parametrize("certified", [False, True])
def test_moving_the_operating_point_is_a_fresh_fit_there(certified):
    trace, y = recorded(600)
    moved = make_tuning(trace, y)
    points, level = (POINTS[2:], 0.8) if certified else (POINTS, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        moved.fit(POINTS[0])
        for point in points:
            policy, _, index = moved.fit(point, level)
            fresh, _, same_index = make_tuning(trace, y).fit(point, level)
            assert same(policy, fresh)
            assert index == same_index


def other_loss(y, proba):
    return 0.5 * (proba.argmax(axis=1) != y) + 0.1 * y


@pytest.mark.parametrize(
    "changed", ["loss", "codes", "weight", "answers", "cost", "policy", "seed"]
)
def test_a_cached_search_is_that_of_the_same_evidence(changed, tmp_path):
    """With a search of something else in the cache, the curve is the one without a cache."""
    memory = joblib.Memory(tmp_path, verbose=0)
    trace, y = recorded()
    given = np.random.default_rng(1).integers(2, size=(200, 3)).astype(float)
    seed, policy, weight = 0, ConfidenceThreshold(), np.ones(len(y))
    # Losses that are given do not tell the codes.
    trace = Trace(trace.proba, loss=given) if changed == "codes" else trace
    Tuning(policy, trace, y, COST, weight, seed).search(memory=memory)
    cost = COST
    match changed:
        case "loss":
            trace = Trace(trace.proba, loss=other_loss)
        case "codes":
            y = (y + (np.arange(len(y)) < 100)) % 3
        case "weight":
            weight = 1.0 + y
        case "answers":
            trace = Trace(trace.proba[:, :, ::-1])
        case "cost":
            cost = FixedCost([1, 2, 9]).fit(3)
        case "policy":
            policy = ConfidenceThreshold("margin")
        case "seed":
            seed = 1
    cached = Tuning(policy, trace, y, cost, weight, seed).search(memory=memory)
    fresh = Tuning(policy, trace, y, cost, weight, seed).search()
    np.testing.assert_array_equal(cached.rows, fresh.rows)
    np.testing.assert_array_equal(cached.curve.accuracy, fresh.curve.accuracy)
    np.testing.assert_array_equal(cached.curve.cost, fresh.curve.cost)


def test_a_cached_search_is_that_of_the_same_expected_losses(tmp_path):
    """Two losses may agree on all labels that were observed."""
    memory = joblib.Memory(tmp_path, verbose=0)
    trace, y = recorded()
    y = np.zeros(len(y), dtype=int)
    y[:9] = 1
    for third in (1.0, 5.0):  # the loss where class 2, which does not occur, is the true one
        matrix = np.array([[0, 1, 1], [1, 0, 1], [third, third, 0]])
        tuning = Tuning(ConfidenceThreshold(), Trace(trace.proba, loss=matrix), y, COST, None, 0)
        cached, fresh = (
            tuning.search(memory=memory),
            Search.run(tuning.policy, tuning.trace, y, COST, random_state=tuning.seed),
        )
        np.testing.assert_array_equal(cached.curve.accuracy, fresh.curve.accuracy)


def test_a_cached_search_has_the_name_of_its_own_score(tmp_path):
    """Two losses with the same values."""
    memory = joblib.Memory(tmp_path, verbose=0)
    trace, y = recorded()
    for loss, name in {"zero_one": "accuracy", "matrix": "1 - cost"}.items():
        loss = 1 - np.eye(3) if loss == "matrix" else loss
        trace = Trace(trace.proba, loss=loss)
        tuning = Tuning(ConfidenceThreshold(), trace, y, COST, None, 0)
        assert tuning.search(memory=memory).curve.metric == name
        assert tuning.replay(ConfidenceThreshold().with_thresholds([0.5] * 3)).metric == name


@pytest.mark.parametrize("weighted", [False, True])
def test_a_balanced_loss_has_the_class_frequencies_of_all_rows(weighted):
    trace, y = recorded()
    weight = 1.0 + (np.arange(len(y)) % 2) if weighted else None
    trace = Trace(trace.proba, loss="balanced")
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, weight, 0)
    counts = np.bincount(y, weight, 3)
    np.testing.assert_allclose(tuning.trace.loss.class_weight, counts.sum() / (3 * counts))
    assert trace.loss.class_weight is None


def test_policies_of_two_points_share_nothing_that_is_set():
    trace, y = recorded()
    tuning = make_tuning(trace, y)
    one, _, _ = tuning.fit(POINTS[0])
    one.tradeoff_index_ = "mine"
    two, _, _ = tuning.fit(POINTS[0])
    assert two is not one
    assert not hasattr(two, "tradeoff_index_")


def test_replay_is_a_walk_of_the_whole_trace():
    trace, y = recorded(300)
    weight = np.random.default_rng(0).uniform(0.5, 2, 300)
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, weight, random_state=0)
    policy, _, _ = tuning.fit(OperatingPoint(alpha=0.1))
    point, route = tuning.replay(policy), walk(trace, policy)
    correct = trace.losses(y)[np.arange(300), route.exit] == 0
    assert len(point) == 1
    assert point.accuracy[0] == pytest.approx(np.average(correct, weights=weight))
    assert point.cost[0] == pytest.approx(np.average(COST.path_cost(route.visited), weights=weight))
    rates = np.bincount(route.exit, weight, 3) / weight.sum()
    np.testing.assert_allclose(point.exit_rates[0], rates)


# The trace of a cascade -------------------------------------------------------------------


@pytest.fixture(scope="module")
def cascades():
    """The same cascade, with its trace and without."""
    X, y = load_iris(return_X_y=True)
    members = [("nb", GaussianNB()), ("tree", DecisionTreeClassifier(random_state=0))]
    params = {"cost": [1, 10], "alpha": 0.05, "random_state": 0}
    return [
        CascadeClassifier(members, store_trace=store, **params).fit(X, y) for store in (True, False)
    ], X


def test_without_a_trace_the_cascade_is_the_same(cascades):
    (stored, without), X = cascades
    np.testing.assert_array_equal(stored.predict_proba(X), without.predict_proba(X))
    np.testing.assert_array_equal(stored.predict_exit(X), without.predict_exit(X))
    assert stored.summary() == without.summary()
    assert get_tuning(stored) is stored.tuning_
    assert stored.trace_ is stored.tuning_.trace


@pytest.mark.parametrize("name", ["trace_", "tuning_"])
def test_without_a_trace_it_is_no_attribute(cascades, name):
    (stored, without), _ = cascades
    assert hasattr(stored, name)
    with pytest.raises(AttributeError, match="store_trace|tuning_"):
        getattr(without, name)


@pytest.mark.parametrize(
    "use",
    [
        get_tuning,
        lambda cascade: cascade.set_operating_point(max_cost=0.5),
        lambda cascade: sample_size(cascade, max_accuracy_drop=0.05),
        lambda cascade: cascade.monitor(),
    ],
    ids=["get_tuning", "set_operating_point", "sample_size", "monitor"],
)
def test_what_needs_the_trace_names_the_parameter(cascades, use):
    (_, without), _ = cascades
    with pytest.raises(ValueError, match="store_trace=True"):
        use(without)
    before = without.get_params()
    assert before["alpha"] == 0.05 and before["max_cost"] is None
