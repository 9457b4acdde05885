"""The exact test of a drop, the order of the candidates, and how many rows a proof needs."""

import warnings
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import CascadeClassifier, Trace, fit_policy, held_out_size, walk
from skcascade._certify import bound_test, steps
from skcascade._operating_point import OperatingPoint
from skcascade._paired_test import _score, paired_p_value
from skcascade._tuning import Tuning
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary

PRICES = [1.0, 3.0, 9.0]
COST = FixedCost(PRICES).fit(3)


def recorded(n, seed=0, skill=(1.0, 0.3, 0.25)):
    """Stages that know how sure they are, and codes; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


# The exact test ---------------------------------------------------------------------------

BOUNDS = st.sampled_from([0.0, 0.01, 0.05, 0.2])


def chance(n, n_worse, n_better, p, q):
    """Of exactly so many 1 and -1 in `n` draws."""
    same = n - n_worse - n_better
    return (
        comb(n, n_worse)
        * comb(n - n_worse, n_better)
        * p**n_worse
        * q**n_better
        * (1 - p - q) ** same
    )


@given(st.integers(1, 25), BOUNDS, st.floats(0, 1), st.sampled_from([0.05, 0.1, 0.3]))
@settings(max_examples=40, deadline=None)
def test_the_test_keeps_its_level(n, bound, where, level):
    """By enumeration of all outcomes, at a q anywhere, with p - q just at the bound."""
    q = where * (1 - bound) / 2
    outcomes = [(a, b) for a, b in product(range(n + 1), repeat=2) if a + b <= n]
    rejected = [ab for ab in outcomes if paired_p_value(*ab, n, bound, missed=1e-3) <= level]
    assert sum(chance(n, *ab, q + bound, q) for ab in rejected) <= level + 1e-9


@given(st.integers(2, 2000), st.data(), BOUNDS)
@settings(max_examples=100, deadline=None)
def test_p_value_is_monotone(n, data, bound):
    """More samples on which the rule is worse never make the proof stronger."""
    worse = data.draw(st.integers(0, n - 1))
    better = data.draw(st.integers(0, n - 1 - worse))
    p = paired_p_value(worse, better, n, bound)
    assert 0 <= p <= 1
    assert paired_p_value(worse + 1, better, n, bound) >= p - 1e-9
    assert paired_p_value(worse, better, n, min(bound + 0.01, 0.9)) <= p + 1e-9


def test_where_nothing_differs_it_is_the_binomial():
    """No difference in n samples: (1 - bound)^n, the chance of none if p = bound and q = 0."""
    p = paired_p_value(0, 0, 300, 0.01, missed=1e-6)
    assert p == pytest.approx(0.99**300, rel=1e-3)
    assert paired_p_value(0, 0, 300, 0.0) == 1.0


def test_score_without_a_bound_is_that_of_mcnemar():
    assert _score(10.0, 20.0, 100, 0.0) == pytest.approx(-10 / np.sqrt(30))


def test_large_counts():
    assert paired_p_value(30_000, 32_000, 1_000_000, 0.0) < 0.002
    assert paired_p_value(31_000, 31_000, 1_000_000, 0.0) > 0.4


def test_power_close_to_the_normal_approximation():
    """The margin that a bet needs is 1.7 times as large."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(1800, [0.03, 0.03, 0.94], size=500)
    won = np.mean([paired_p_value(a, b, 1800, 0.01) <= 0.1 for a, b, _ in drawn])
    assert won > 0.6  # the normal approximation: 0.67; by betting: 0.3


# The candidates ---------------------------------------------------------------------------


def certifying(trace, y, **dial):
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    target = OperatingPoint(**dial)
    policy, search, index = tuning.fit(target, 0.9)
    return bound_test(search, target, trace, y, COST), search, index, policy


def test_a_stage_alone_is_no_hurdle():
    """The middle one, far too inaccurate, costs what good cascades cost."""
    trace, y = recorded(4000, skill=(1.0, 6.0, 0.2))
    test, search, index, policy = certifying(trace, y, max_accuracy_drop=0.03)
    assert search.alone(1) not in test.order
    assert search.curve.relative_cost[index] < 0.8
    assert policy.stages_ == [0, 2]


def test_order_and_fallback():
    trace, y = recorded(2000)
    test, search, _, _ = certifying(trace, y, max_accuracy_drop=0.03)
    assert test.fallback == search.alone(search.curve.reference)
    assert (np.diff(search.curve.relative_cost[test.order]) <= 1e-12).all()
    test, search, index, _ = certifying(trace, y, max_cost=0.5)
    assert (np.diff(search.curve.relative_cost[test.order]) >= -1e-12).all()
    assert search.curve.accuracy[index] >= search.curve.accuracy[test.fallback]


def test_steps():
    price = np.array([1.0, 0.5, 0.99, 0.89, 0.85, 0.1])
    assert steps(np.array([0, 2, 3, 4, 1, 5]), price, 0.1).tolist() == [0, 3, 1, 5]
    assert steps(np.array([], dtype=int), price, 0.1).size == 0


def test_of_all_that_are_certified_the_most_accurate_is_taken():
    trace, y = recorded(6000)
    test, search, index, _ = certifying(trace, y, max_cost=0.5)
    passed = [test.fallback]
    for candidate in test.order:
        if test.p_value(candidate, 0.1) > 0.1:
            break
        passed.append(candidate)
    assert len(passed) > 3
    assert search.curve.accuracy[index] == search.curve.accuracy[passed].max()


def test_losses_that_are_not_zero_or_one_are_bet_on():
    trace, y = recorded(3000)
    half = Trace(trace.proba, loss=trace.losses(y) / 2)
    test, *_ = certifying(half, y, max_accuracy_drop=0.03)
    assert not test.zero_one
    exact, *_ = certifying(trace, y, max_accuracy_drop=0.03)
    assert exact.zero_one
    assert test.deviations(0.1) / exact.deviations(0.1) == pytest.approx(1.674, abs=1e-3)


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold("entropy"),
        WeightedBinary(random_state=0),
        WeightedBinary(skip=True, random_state=0),
        Reinforce(random_state=0),
    ],
    ids=str,
)
def test_every_policy_can_be_certified(policy):
    trace, y = recorded(1500)
    fresh, labels = recorded(20_000, seed=1)
    losses = fresh.losses(labels)
    tuning = Tuning(policy, trace, y, COST, random_state=0)
    by_drop, *_ = tuning.fit(OperatingPoint(max_accuracy_drop=0.05), 0.9)
    by_cost, *_ = tuning.fit(OperatingPoint(max_cost=0.6), 0.9)
    assert min(len(by_drop.stages_), len(by_cost.stages_)) > 1
    exits = walk(fresh, by_drop).exit
    assert losses[np.arange(20_000), exits].mean() - losses.mean(axis=0).min() < 0.06
    assert COST.relative(COST.path_cost(walk(fresh, by_cost).visited)).mean() < 0.62


# How many rows ----------------------------------------------------------------------------


def test_more_is_harder():
    trace, y = recorded(1000)
    size = held_out_size(trace, y, cost=PRICES, max_accuracy_drop=0.05, random_state=0)
    assert (size.n_rows[1:] >= size.n_rows[:-1]).all()
    assert (np.diff(size.relative_cost) <= 1e-12).all()
    tighter = held_out_size(trace, y, cost=PRICES, max_accuracy_drop=0.03, random_state=0)
    surer = held_out_size(
        trace, y, cost=PRICES, max_accuracy_drop=0.05, confidence_level=0.99, random_state=0
    )
    likelier = held_out_size(
        trace, y, cost=PRICES, max_accuracy_drop=0.05, power=0.95, random_state=0
    )
    for harder in (tighter, surer, likelier):
        assert (harder.n_rows >= size.n_rows).all()


def test_as_many_rows_are_enough():
    """In at least 70 % of 20 draws, of the 80 % asked for."""
    pilot, labels = recorded(3000)
    size = held_out_size(pilot, labels, cost=PRICES, max_accuracy_drop=0.04, random_state=0)
    goal = size.relative_cost <= 0.45
    n_rows = int(size.n_rows[goal][0])
    reached = []
    for seed in range(1, 21):
        trace, y = recorded(n_rows, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            done = fit_policy(
                ConfidenceThreshold(), trace, y, cost=PRICES, max_accuracy_drop=0.04,
                confidence_level=0.9, random_state=0,
            )  # fmt: skip
        # Steps of the sequence are 0.05 apart.
        reached.append(done.tradeoff_.relative_cost[done.tradeoff_index_] <= 0.45 + 0.05)
    assert np.mean(reached) >= 0.7


def test_rows_for_a_bound_on_the_cost():
    trace, y = recorded(1000)
    size = held_out_size(trace, y, cost=PRICES, max_cost=0.6, random_state=0)
    assert (np.diff(size.relative_cost) >= -1e-12).all()
    assert np.isinf(size.n_rows[size.relative_cost > 0.6]).all()
    assert np.isfinite(size.n_rows[size.relative_cost < 0.4]).all()


def test_rows_of_a_fitted_cascade():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    X, y = load_digits(return_X_y=True)
    members = [("nb", GaussianNB()), ("lr", LogisticRegression(max_iter=5000))]
    cascade = CascadeClassifier(members, cost=[1, 10], random_state=0).fit(X, y)
    size = held_out_size(cascade, max_accuracy_drop=0.02)
    assert len(size.n_rows) == len(size.relative_cost) == len(size.accuracy)
    with pytest.raises(ValueError, match="are for a trace"):
        held_out_size(cascade, y)
    del cascade.trace_
    with pytest.raises(ValueError, match="trace was dropped"):
        held_out_size(cascade, max_accuracy_drop=0.02)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"cost": None}, "A trace needs `y` and `cost`"),
        ({"power": 1.0}, "`power` must lie in"),
        ({"max_cost": 0.5}, "At most one of"),
        ({"confidence_level": 1.0}, "`confidence_level` must lie in"),
    ],
)
def test_bad_input(given, match):
    trace, y = recorded(60)
    with pytest.raises(ValueError, match=match):
        held_out_size(trace, y, **{"cost": PRICES, "max_accuracy_drop": 0.05} | given)
