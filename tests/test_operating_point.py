"""The choice of the operating point, and its certification."""

import re
import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, TradeoffCurve, _search, fit_policy, walk
from skcascade._certify import _dearest_way, log_capital
from skcascade._operating_point import OperatingPoint
from skcascade._search import Search
from skcascade._tuning import Tuning
from skcascade.costs import FixedCost, MacsCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold

PRICES = [1, 3, 9]
COST = FixedCost(PRICES).fit(3)


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


def fitted(trace, y, policy=None, cost=PRICES, random_state=0, **kwargs):
    policy = ConfidenceThreshold() if policy is None else policy
    return fit_policy(policy, trace, y, cost=cost, random_state=random_state, **kwargs)


def same(one, other):
    """Whether two fitted ConfidenceThreshold are the same rule."""
    return one.stages_ == other.stages_ and np.array_equal(one.thresholds_, other.thresholds_)


def same_way(one, other):
    """Whether two policies of any kind agree in all they were given or have learnt."""
    one, other = vars(one), vars(other)
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@st.composite
def tunings(draw):
    """A trace of any quality, prices in any order, and a policy to tune."""
    n_stages = draw(st.integers(1, 3))
    skill = draw(
        st.lists(st.sampled_from([0.3, 0.7, 2.0, 6.0]), min_size=n_stages, max_size=n_stages)
    )
    seed = draw(st.integers(0, 2**31 - 1))
    trace, y = recorded(draw(st.integers(20, 90)), seed, skill)
    prices = np.random.default_rng(seed).uniform(0.1, 5, n_stages)
    policy = draw(st.sampled_from([ConfidenceThreshold(), ConfidenceThreshold("margin"), Sure()]))
    return Tuning(policy, trace, y, FixedCost(prices).fit(n_stages), random_state=seed)


# What may be asked for --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dials", "point"),
    [
        ({}, (None, 0.0, None)),
        ({"confidence_level": 0.9}, (None, 0.0, None)),
        ({"alpha": 0}, (0, None, None)),
        ({"alpha": 3.5}, (3.5, None, None)),
        ({"max_accuracy_drop": 0.99}, (None, 0.99, None)),
        ({"max_cost": 1.7}, (None, None, 1.7)),
        ({"max_cost": 0.5, "confidence_level": 0.99}, (None, None, 0.5)),
        ({"tunable": False}, (None, 0.0, None)),
    ],
)
def test_operating_point(dials, point):
    assert OperatingPoint.check(**dials) == point


@pytest.mark.parametrize(
    ("dials", "match"),
    [
        ({"alpha": 0.1, "max_cost": 0.5}, "At most one of .* got `alpha` and `max_cost`"),
        (
            {"alpha": 0.1, "max_cost": 0.5, "max_accuracy_drop": 0.0},
            "got `alpha` and `max_accuracy_drop` and `max_cost`",
        ),
        ({"alpha": -0.1}, "`alpha` must be a finite number, 0 or more, got -0.1"),
        ({"alpha": np.inf}, "`alpha` must be a finite number"),
        ({"alpha": np.nan}, "`alpha` must be a finite number"),
        ({"max_accuracy_drop": -0.01}, r"`max_accuracy_drop` must lie in \[0, 1\), got -0.01"),
        ({"max_accuracy_drop": 1}, r"`max_accuracy_drop` must lie in \[0, 1\)"),
        ({"max_accuracy_drop": np.nan}, r"`max_accuracy_drop` must lie in \[0, 1\)"),
        ({"max_cost": 0}, "`max_cost` must be a finite number above 0, got 0"),
        ({"max_cost": np.inf}, "`max_cost` must be a finite number above 0"),
        ({"confidence_level": 0}, r"`confidence_level` must lie in \(0, 1\), got 0"),
        ({"confidence_level": 1}, r"`confidence_level` must lie in \(0, 1\), got 1"),
        ({"confidence_level": 95}, r"`confidence_level` must lie in \(0, 1\), got 95"),
        ({"confidence_level": 0.9, "alpha": 0.1}, "certifies a bound, and `alpha` sets none"),
        ({"tunable": False, "alpha": 0.1}, "leaves nothing to tune .* got alpha too"),
        ({"tunable": False, "confidence_level": 0.9}, "got confidence_level too"),
    ],
)
def test_bad_operating_points(dials, match):
    with pytest.raises(ValueError, match=match):
        OperatingPoint.check(**dials)
    if "tunable" not in dials:
        with pytest.raises(ValueError, match=match):
            fitted(*recorded(30), **dials)


def curve(accuracy, relative_cost, stage_accuracy, stage_cost, reference):
    arrays = (np.array(a, dtype=float) for a in (stage_accuracy, stage_cost))
    accuracy, relative_cost = np.array(accuracy), np.array(relative_cost)
    return TradeoffCurve(None, accuracy, None, relative_cost, None, None, *arrays, reference)


@pytest.mark.parametrize(
    ("dial", "chosen"),
    [
        ({}, 2),
        ({"max_accuracy_drop": 0.02}, 1),
        ({"max_accuracy_drop": 0.3}, 5),  # as cheap as point 3, and more accurate
        ({"max_cost": 0.25}, 1),
        ({"max_cost": 0.3}, 2),
        ({"max_cost": 5.0}, 2),  # as accurate as the dearest, and cheaper
        ({"max_cost": 0.1}, 5),
        ({"alpha": 0.0}, 2),
        ({"alpha": 0.4}, 1),  # .12 + .4 * .2, against .1 + .4 * .3
        ({"alpha": 100.0}, 5),
    ],
)
def test_choice_by_hand(dial, chosen):
    points = curve(
        [0.80, 0.88, 0.90, 0.70, 0.90, 0.75],
        [0.9, 0.2, 0.3, 0.1, 1.0, 0.1],
        [0.70, 0.90],
        [0.1, 1.0],
        1,
    )
    assert OperatingPoint.check(**dial).choose(points) == chosen


# fit_policy -------------------------------------------------------------------------------


def test_returns_a_fitted_clone():
    trace, y = recorded()
    policy = ConfidenceThreshold("margin")
    before = dict(vars(policy))
    done = fitted(trace, y, policy, max_accuracy_drop=0.05)
    assert done is not policy
    assert vars(policy) == before
    assert done.confidence == "margin"
    assert done.thresholds_.shape == (3,)
    assert done.stages_ == sorted(done.stages_)
    points, at = done.tradeoff_, done.tradeoff_index_
    assert len(points) == len(_search.ALPHAS) + 3
    assert points.accuracy[at] >= points.stage_accuracy[points.reference] - 0.05 - 1e-9
    assert points.relative_cost[at] < 1


@pytest.mark.parametrize(
    "cost", [PRICES, np.array(PRICES), np.tile(PRICES, (3, 1)), FixedCost(PRICES), COST]
)
def test_cost_in_every_form(cost):
    trace, y = recorded()
    assert same(fitted(trace, y, cost=cost, alpha=0.1), fitted(trace, y, alpha=0.1))


def test_unfitted_cost_model_is_left_alone():
    cost = FixedCost(PRICES)
    fitted(*recorded(40), cost=cost)
    assert not hasattr(cost, "edge_costs_")


@pytest.mark.parametrize(
    ("cost", "match"),
    [
        (MacsCost(), "`cost` must be fitted or give prices"),
        ([1, 2], "`cost` must give one price for each of the 3 stages"),
        ([1, -2, 3], "`cost`: every price must be a finite number, 0 or more"),
        ([1, 2, 0], "`cost`: the last stage must cost more than 0"),
        (FixedCost([1, 2]).fit(2), "`cost` was fitted on 2 stages, the trace has 3"),
        (FixedCost([1, 2, 3, 4]).fit(4), "`cost` was fitted on 4 stages, the trace has 3"),
    ],
)
def test_bad_cost(cost, match):
    with pytest.raises(ValueError, match=match):
        fitted(*recorded(40), cost=cost)


def test_y_that_does_not_fit():
    trace, y = recorded(40)
    with pytest.raises(ValueError, match="`y` must have the shape"):
        fitted(trace, y[:-1])
    with pytest.raises(ValueError, match="labels without a column"):
        fitted(trace, y + 1)


def test_string_classes():
    trace, y = recorded()
    names = np.array(["owl", "ant", "eel"])  # columns in no order
    named = Trace(trace.proba, classes=names)
    assert same(fitted(named, names[y], alpha=0.05), fitted(trace, y, alpha=0.05))


def test_loss_callable_and_array_and_default_agree():
    trace, y = recorded()

    def wrong(y, proba):
        return (proba.argmax(axis=1) != y).astype(float)

    by_callable = Trace(trace.proba, loss=wrong)
    by_array = Trace(trace.proba, loss=trace.losses(y))
    for other in (by_callable, by_array):
        assert same(fitted(other, y, alpha=0.05), fitted(trace, y, alpha=0.05))


def test_loss_moves_the_choice():
    """Where errors on class 0 alone matter, and the first stage makes none, it is enough."""
    trace, y = recorded(300, skill=(1.0, 0.5, 0.3))
    trace.proba[y == 0, 0] = [0.99, 0.005, 0.005]

    def missed(y, proba):
        return ((y == 0) & (proba.argmax(axis=1) != 0)).astype(float)

    assert fitted(Trace(trace.proba, loss=missed), y).stages_ == [0]
    assert fitted(trace, y).stages_ != [0]


def test_random_state():
    trace, y = recorded()
    one, two, other = (fitted(trace, y, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.tradeoff_.accuracy, two.tradeoff_.accuracy)
    assert same(one, two)
    assert (one.tradeoff_.accuracy != other.tradeoff_.accuracy).any()


def test_policy_with_a_rule_alone_is_pruned():
    """The middle stage is dear and knows no more than the first."""
    trace, y = recorded(300, skill=(2.0, 2.0, 0.2))
    trace.proba[:, 1] = trace.proba[:, 0]
    policy = fitted(trace, y, Sure(), alpha=0.35)
    assert policy.stages_ == [0, 2]
    way = walk(trace, policy)
    np.testing.assert_array_equal(way.exit == 0, trace.proba[:, 0].max(axis=1) >= 0.8)


def test_one_stage_where_the_dear_ones_are_no_better():
    trace, y = recorded(300, skill=(0.5, 0.5, 0.5))
    trace.proba[:, 1:] = trace.proba[:, :1]
    for policy in (ConfidenceThreshold(), Sure()):
        done = fitted(trace, y, policy)
        assert done.stages_ == [0]
        assert done.tradeoff_.reference == 0


def test_reference_is_the_most_accurate_stage_and_may_be_inside():
    trace, y = recorded(300, skill=(2.0, 0.1, 4.0))
    points = fitted(trace, y, max_accuracy_drop=0.01).tradeoff_
    assert points.reference == 1
    np.testing.assert_allclose(points.stage_accuracy, 1 - trace.losses(y).mean(axis=0))
    np.testing.assert_allclose(points.stage_cost, [1 / 9, 3 / 9, 1])


def test_reference_is_the_cheaper_of_equals():
    trace, y = recorded(100, skill=(2.0, 0.1, 0.1))
    trace.proba[:, 2] = trace.proba[:, 1]
    assert fitted(trace, y).tradeoff_.reference == 1
    assert fitted(trace, y, cost=[1, 9, 3]).tradeoff_.reference == 2


def test_max_cost_out_of_reach():
    trace, y = recorded(50)
    with pytest.raises(ValueError, match="`max_cost`=0.1 cannot be reached: .* cost of 0.1111"):
        fitted(trace, y, max_cost=0.1)
    assert fitted(trace, y, max_cost=0.1112).stages_ == [0]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_very_few_rows(n):
    trace = Trace(np.tile([[0.9, 0.1], [0.2, 0.8]], (n, 1, 1)))
    done = fitted(trace, [0] + [1] * (n - 1), cost=[1, 4])
    assert walk(trace, done).exit.shape == (n,)


# Weights ----------------------------------------------------------------------------------


def test_weights_of_one_change_nothing():
    trace, y = recorded()
    assert same(fitted(trace, y, sample_weight=np.ones(200)), fitted(trace, y))


@pytest.mark.parametrize("dial", [{}, {"alpha": 0.1}, {"max_cost": 0.4}])
@pytest.mark.parametrize("search_rows", [20_000, 60])
def test_weight_zero_is_a_row_removed(dial, search_rows, monkeypatch):
    """Exactly: the folds are those of the rows that are left. Also where the choice is polished."""
    monkeypatch.setattr(_search, "SEARCH_ROWS", search_rows)
    trace, y = recorded()
    weight = np.random.default_rng(1).integers(0, 3, size=200).astype(float)
    kept = weight > 0
    assert 60 < kept.sum() < 200
    weighted = fitted(trace, y, sample_weight=weight, **dial)
    removed = fitted(trace.rows(kept), y[kept], sample_weight=weight[kept], **dial)
    np.testing.assert_array_equal(weighted.tradeoff_.accuracy, removed.tradeoff_.accuracy)
    assert same(weighted, removed)


def test_weights_matter():
    trace, y = recorded(300)
    wrong = trace.losses(y)[:, 0] == 1
    heavy = fitted(trace, y, sample_weight=np.where(wrong, 10.0, 1.0), alpha=0.2).tradeoff_
    assert heavy.stage_accuracy[0] < fitted(trace, y, alpha=0.2).tradeoff_.stage_accuracy[0] - 0.2


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.ones(49), "sample_weight.shape"),
        (-np.ones(50), "[Nn]egative"),
        (np.zeros(50), "zero"),
        (np.full(50, np.nan), "NaN"),
    ],
)
def test_bad_weights(weight, match):
    with pytest.raises(ValueError, match=match):
        fitted(*recorded(50), sample_weight=weight)


def test_weight_of_one_class_alone():
    trace, y = recorded(50)
    with pytest.raises(ValueError, match="all but those of one class"):
        fitted(trace, y, sample_weight=(y == 1).astype(float))


# What the choice promises on its curve ----------------------------------------------------

DROPS = [0.0, 0.01, 0.03, 0.1, 0.3]


@given(tunings())
@settings(max_examples=15, deadline=None)
def test_choices_are_monotone_and_keep_their_bounds(tuning):
    def at(**dial):
        policy, search, index = tuning.fit(OperatingPoint.check(**dial))
        assert same_way(policy, search.policies[index])
        return search.curve.accuracy[index], search.curve.relative_cost[index]

    reference = at()[0]
    points = tuning.searches[False].curve
    assert reference >= points.stage_accuracy[points.reference] - 1e-9
    by_drop = np.array([at(max_accuracy_drop=drop) for drop in DROPS])
    assert (np.diff(by_drop[:, 1]) <= 1e-9).all()  # never dearer
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


def test_candidates_do_not_depend_on_the_target():
    trace, y = recorded()
    curves = [
        fitted(trace, y, **dial).tradeoff_
        for dial in ({}, {"alpha": 0.3}, {"max_cost": 0.3}, {"max_accuracy_drop": 0.2})
    ]
    for points in curves[1:]:
        np.testing.assert_array_equal(points.accuracy, curves[0].accuracy)


def test_curve_is_honest():
    """Of a rule that learns noise by heart, the curve knows that it is noise."""

    class ByHeart(BaseExitPolicy):
        def fit(self, trace, y, cost, alpha, sample_weight=None):
            wrong = trace.losses(y)[:, 0] == 1
            self.known_ = set(trace.proba[~wrong, 0].max(axis=1).tolist())
            return self

        def exit_mask(self, stage, proba):
            return np.array([p in self.known_ for p in proba[:, stage].max(axis=1).tolist()])

    trace, y = recorded(200, skill=(2.0, 0.4))
    done = fitted(trace, y, ByHeart(), cost=[1, 10], alpha=0.1)
    # Nobody is known to a fit that did not see him: everyone goes on, and pays for both.
    np.testing.assert_allclose(done.tradeoff_.relative_cost[:-2].max(), 1.1, atol=0.1)
    np.testing.assert_allclose(
        done.tradeoff_.accuracy[:-2].max(), done.tradeoff_.stage_accuracy.max(), atol=1e-9
    )


# Many rows --------------------------------------------------------------------------------


def test_search_on_a_part_and_polish_on_all(monkeypatch):
    monkeypatch.setattr(_search, "SEARCH_ROWS", 300)
    trace, y = recorded(1200)
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    policy, search, index = tuning.fit(OperatingPoint(alpha=0.1))
    assert len(np.unique(search.rows)) == 300
    assert search.polish
    share = np.bincount(y[search.rows]) / 300 - np.bincount(y) / 1200
    assert np.abs(share).max() < 0.01  # stratified
    (direct,) = ConfidenceThreshold().fit_path(trace, y, COST, [search.curve.parameter[index]])
    assert same(policy, direct)
    assert not same(policy, search.policies[index])


def test_a_stage_alone_needs_no_polish(monkeypatch):
    monkeypatch.setattr(_search, "SEARCH_ROWS", 100)
    trace, y = recorded(300)
    trace.proba[:, 1:] = trace.proba[:, :1]
    assert fitted(trace, y).stages_ == [0]


def test_few_rows_are_all_searched():
    trace, y = recorded(150)
    _, search, index = Tuning(ConfidenceThreshold(), trace, y, COST).fit(OperatingPoint(alpha=0.1))
    assert sorted(search.rows) == list(range(150))
    assert not search.polish
    assert index < len(search.policies)


# Tuning -----------------------------------------------------------------------------------

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


def test_policies_of_two_points_share_nothing_that_is_set():
    trace, y = recorded()
    tuning = make_tuning(trace, y)
    one, _, _ = tuning.fit(POINTS[0])
    one.tradeoff_index_ = "mine"
    two, _, _ = tuning.fit(POINTS[0])
    assert two is not one
    assert not hasattr(two, "tradeoff_index_")


def test_trace_dropped():
    trace, y = recorded(300)
    tuning = make_tuning(trace, y)
    tuning.fit(POINTS[0])
    tuning.trace = None
    fresh = make_tuning(trace, y)
    for point in POINTS:  # all candidates are kept
        assert same(tuning.fit(point)[0], fresh.fit(point)[0])
    with pytest.raises(ValueError, match="trace was dropped"):
        tuning.fit(POINTS[2], 0.9)


def test_trace_dropped_before_it_was_needed(monkeypatch):
    trace, y = recorded(300)
    unsearched = make_tuning(trace, y)
    unsearched.trace = None
    with pytest.raises(ValueError, match="trace was dropped"):
        unsearched.fit(POINTS[0])
    monkeypatch.setattr(_search, "SEARCH_ROWS", 100)
    to_polish = make_tuning(trace, y)
    to_polish.fit(POINTS[0])
    to_polish.trace = None
    with pytest.raises(ValueError, match="trace was dropped"):
        to_polish.fit(POINTS[0])


# The bet ----------------------------------------------------------------------------------


@given(
    st.lists(st.floats(-1, 1), max_size=30),
    st.floats(-0.5, 1.5),
    st.floats(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_log_capital_is_the_largest_product_of_the_bets(values, bound, stake):
    result = log_capital(np.array(values), bound, 1.0, stake)
    if bound >= 1.0:
        assert result == np.inf  # no mean can be above
        return
    capital = largest = 1.0
    for value in values:
        capital *= 1 + min(stake, 0.99 / (1.0 - bound)) * (bound - value)
        largest = max(largest, capital)
    assert capital > 0
    assert result == pytest.approx(np.log(largest), abs=1e-9)


def bets_won(draw, bound, upper, level, n_draws, n):
    """Share of `n_draws` samples of size `n` for which the bound is certified."""
    needed = -np.log1p(-level)
    rng = np.random.default_rng(0)
    tuned = draw(rng, n)
    stake = np.sqrt(2 * needed / (n * (np.mean((tuned - bound) ** 2) + 1e-4)))
    won = [log_capital(draw(rng, n), bound, upper, stake) >= needed for _ in range(n_draws)]
    return np.mean(won)


def three_values(p_worse, p_better):
    """Loss above the reference's: 1, -1, or mostly 0."""

    def draw(rng, n):
        return rng.choice([1.0, -1.0, 0.0], n, p=[p_worse, p_better, 1 - p_worse - p_better])

    return draw


NULLS = {
    "symmetric": (three_values(0.1, 0.1), 0.0, 1.0),
    "worse": (three_values(0.06, 0.01), 0.05, 1.0),
    "rare": (three_values(0.03, 0.0), 0.03, 1.0),
    "costs": (lambda rng, n: rng.choice([0.1, 1.1], n), 0.6, 1.1),
}


@pytest.mark.parametrize("name", NULLS)
def test_false_alarms_are_as_rare_as_stated(name):
    """Values whose mean is exactly the bound: certified in at most 10 % of 2,000 draws.

    Three standard deviations of that share are allowed on top.
    """
    draw, bound, upper = NULLS[name]
    rate = bets_won(draw, bound, upper, level=0.9, n_draws=2000, n=200)
    assert rate <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 2000)
    assert rate > 0.01  # a bet that is never won would be no test


def test_power():
    """A drop of -2 points against a bound of 3, on 400 rows."""
    assert bets_won(three_values(0.04, 0.06), 0.03, 1.0, level=0.9, n_draws=300, n=400) > 0.9


@st.composite
def edge_matrices(draw):
    n = draw(st.integers(1, 5))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).uniform(0, 9, (n, n))


@given(edge_matrices())
@settings(max_examples=60, deadline=None)
def test_dearest_way_is_the_dearest_of_all(edges):
    """The largest value possible of a mean cost: a jump may be dearer than what it skips."""
    n = len(edges)
    cost = FixedCost(edges).fit(n)
    ways = [w for m in range(1, n + 1) for w in combinations(range(n), m)]
    visited = np.array([[k in way for k in range(n)] for way in ways])
    assert _dearest_way(cost.edge_costs_) == pytest.approx(cost.path_cost(visited).max())


# Certified points -------------------------------------------------------------------------


def test_certified_drop():
    trace, y = recorded(2000, skill=(1.0, 0.3, 0.25))
    done = fitted(trace, y, max_accuracy_drop=0.05, confidence_level=0.9)
    points, at = done.tradeoff_, done.tradeoff_index_
    assert points.relative_cost[at] < 0.8 * points.stage_cost[points.reference]
    plain = fitted(trace, y, max_accuracy_drop=0.05)
    cost = [np.mean(COST.path_cost(walk(trace, p).visited)) for p in (done, plain)]
    assert cost[0] > cost[1]  # what is proven is not as bold as what is estimated


def test_surer_is_dearer():
    trace, y = recorded(2000, skill=(1.0, 0.3, 0.25))
    paid = []
    for level in (0.5, 0.9, 0.999):
        done = fitted(trace, y, max_accuracy_drop=0.05, confidence_level=level)
        paid.append(done.tradeoff_.relative_cost[done.tradeoff_index_])
    assert paid[0] <= paid[1] <= paid[2]
    assert paid[0] < paid[2]


def test_certified_max_cost():
    trace, y = recorded(3000)
    done = fitted(trace, y, max_cost=0.5, confidence_level=0.9)
    points, at = done.tradeoff_, done.tradeoff_index_
    affordable = points.stage_cost <= 0.5
    assert points.accuracy[at] > points.stage_accuracy[affordable].max()
    assert len(done.stages_) > 1
    new, _ = recorded(100_000, seed=1)
    assert COST.relative(COST.path_cost(walk(new, done).visited)).mean() < 0.5  # the true cost
    with pytest.raises(ValueError, match="`max_cost`=0.05 cannot be reached"):
        fitted(trace, y, max_cost=0.05, confidence_level=0.9)


def test_nothing_certified_is_the_reference_alone_and_says_how_many_rows_would_do():
    skill = (1.0, 0.3, 0.25)
    with pytest.warns(CascadeWarning, match="No operating point could be certified") as caught:
        done = fitted(*recorded(100, skill=skill), max_accuracy_drop=0.05, confidence_level=0.99)
    assert done.stages_ == [done.tradeoff_.reference]
    n_rows = int(re.search(r"About (\d+) held-out rows", str(caught[0].message))[1])
    assert n_rows > 100
    more = recorded(3 * n_rows, seed=1, skill=skill)
    enough = fitted(*more, max_accuracy_drop=0.05, confidence_level=0.99)  # warns no more
    assert len(enough.stages_) > 1


def test_nothing_certified_where_no_number_of_rows_would_do():
    trace, y = recorded(100, skill=(9.0, 0.1), n_classes=2)
    trace = Trace(np.where(trace.proba >= 0.5, 0.9, 0.1))  # nobody knows how sure he is
    with pytest.warns(CascadeWarning, match="more rows are unlikely to help"):
        done = fitted(trace, y, cost=[1, 4], confidence_level=0.9)
    assert done.stages_ == [1]


def test_nothing_certified_for_max_cost_is_the_best_stage_within_it():
    trace, y = recorded(40)
    with pytest.warns(CascadeWarning, match="No operating point could be certified"):
        done = fitted(trace, y, max_cost=0.34, confidence_level=0.999)
    affordable = done.tradeoff_.stage_accuracy[:2]
    assert done.stages_ == [int(affordable.argmax())]


def test_certify_refuses_weights():
    trace, y = recorded(100)
    with pytest.raises(ValueError, match="cannot be combined with `sample_weight`"):
        fitted(trace, y, confidence_level=0.9, sample_weight=np.ones(100))


@pytest.mark.parametrize("loss", [-0.5, 1.5])
def test_certify_refuses_losses_without_bounds(loss):
    trace, y = recorded(100)
    losses = trace.losses(y)
    losses[3, 1] = loss
    trace = Trace(trace.proba, loss=losses)
    fitted(trace, y)  # fine where nothing is to be proven
    with pytest.raises(ValueError, match="`confidence_level` needs a `loss` between 0 and 1"):
        fitted(trace, y, confidence_level=0.9)


def test_rows_of_proof_are_not_those_of_tuning():
    trace, y = recorded(500)
    search = Search.run(ConfidenceThreshold(), trace, y, COST, certify=True, random_state=0)
    assert len(search.rows) == 200
    assert len(search.fresh) == 300
    assert sorted([*search.rows, *search.fresh]) == list(range(500))
    losses = trace.losses(y)[search.rows]
    np.testing.assert_allclose(search.curve.stage_accuracy, 1 - losses.mean(axis=0))


def test_tuning_knows_nothing_of_the_rows_of_proof():
    """Neither candidates, nor the curve, nor the reference: answers there may be anything."""
    trace, y = recorded(500, skill=(2.0, 0.6, 0.5))
    search = Search.run(ConfidenceThreshold(), trace, y, COST, certify=True, random_state=0)
    assert search.curve.reference == 2
    spoilt = Trace(trace.proba.copy())
    spoilt.proba[search.fresh, 2] = np.eye(3)[(y[search.fresh] + 1) % 3]
    assert spoilt.losses(y).mean(axis=0).argmin() != 2
    other = Search.run(ConfidenceThreshold(), spoilt, y, COST, certify=True, random_state=0)
    assert other.curve.reference == 2
    np.testing.assert_array_equal(other.rows, search.rows)
    np.testing.assert_array_equal(other.curve.accuracy, search.curve.accuracy)
    for one, two in zip(search.policies, other.policies):
        assert same(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("dial", [{"max_accuracy_drop": 0.03}, {"max_cost": 0.5}])
def test_certified_points_keep_their_bound_in_the_population(dial):
    """Of 200 draws of 400 rows, at most 20 % (and three standard deviations) break the bound."""
    population, y = recorded(40_000, skill=(1.0, 0.3, 0.25))
    losses = population.losses(y)
    rng = np.random.default_rng(0)
    broken = certified = 0
    for _ in range(200):
        rows = rng.integers(40_000, size=400)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            done = fitted(population.rows(rows), y[rows], confidence_level=0.8, **dial)
        way = walk(population, done)
        certified += len(done.stages_) > 1
        if "max_cost" in dial:
            broken += COST.relative(COST.path_cost(way.visited)).mean() > 0.5
        else:
            reference = losses[:, done.tradeoff_.reference].mean()
            broken += losses[np.arange(40_000), way.exit].mean() > reference + 0.03
    assert broken <= 200 * 0.2 + 3 * np.sqrt(200 * 0.2 * 0.8)
    assert certified > 50
