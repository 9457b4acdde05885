"""Testing a bounded mean by betting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.stats import _betting
from skcascade.stats._betting import betting_p_value, log_wealth


@given(
    st.lists(st.floats(-1, 1), max_size=30),
    st.floats(-0.5, 1.5),
    st.floats(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_log_wealth_is_the_largest_product_of_the_bets(values, bound, bet):
    result = log_wealth(np.array(values), bound, 1.0, bet)
    if bound >= 1.0:
        assert result == np.inf  # no mean can be above
        return
    wealth = largest = 1.0
    for value in values:
        wealth *= 1 + min(bet, 0.99 / (1.0 - bound)) * (bound - value)
        largest = max(largest, wealth)
    assert wealth > 0
    assert result == pytest.approx(np.log(largest), abs=1e-9)


# The bet ----------------------------------------------------------------------------------


@pytest.fixture
def bets(monkeypatch):
    """The bet of every test that is made."""
    bets = []

    def spy(values, bound, upper, bet):
        bets.append(bet)
        return log_wealth(values, bound, upper, bet)

    monkeypatch.setattr(_betting, "log_wealth", spy)
    return bets


def test_the_bet_depends_on_the_pilot_alone(bets):
    """And on the number of values. It is fixed before the values are seen."""
    rng = np.random.default_rng(0)
    pilot = rng.uniform(-1, 1, 50)
    for values in (np.zeros(40), np.ones(40), -np.ones(40), rng.uniform(-1, 1, 40)):
        betting_p_value(pilot, values, 0.2, 1.0, 0.1)
    assert len(set(bets)) == 1
    betting_p_value(0.5 * pilot, np.zeros(40), 0.2, 1.0, 0.1)
    betting_p_value(pilot, np.zeros(80), 0.2, 1.0, 0.1)
    betting_p_value(pilot, np.zeros(40), 0.2, 1.0, 0.01)
    assert len(set(bets)) == 4


def test_the_bet_reaches_the_level_at_the_last_value_with_the_smallest_margin(bets):
    """It is sqrt(2 log(1 / level) / (n spread)), for a spread of the pilot around the bound."""
    pilot = np.array([0.3, -0.3] * 50)
    betting_p_value(pilot, np.zeros(200), 0.0, 1.0, 0.1)
    assert bets[0] == pytest.approx(np.sqrt(2 * np.log(10) / (200 * 0.0901)))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(-0.5, 0.9))
@settings(max_examples=100, deadline=None)
def test_p_value_is_that_of_the_largest_wealth(values, bound):
    """One over the largest wealth: at most 1, and smaller the smaller the values are."""
    pilot = np.linspace(-1, 1, 20)
    p = betting_p_value(pilot, np.array(values), bound, 1.0, 0.1)
    assert 0 < p <= 1
    assert betting_p_value(pilot, np.array(values) - 0.1, bound, 1.0, 0.1) <= p + 1e-12
    assert betting_p_value(pilot, np.array([]), bound, 1.0, 0.1) == 1
    assert betting_p_value(pilot, np.array(values), 1.0, 1.0, 0.1) == 0  # no mean can be above


# Level and power --------------------------------------------------------------------------


def bets_won(draw, bound, upper, level, n_draws, n):
    """Share of `n_draws` samples of size `n` for which the bound is certified."""
    rng, error = np.random.default_rng(0), 1 - level
    pilot = draw(rng, n)
    p_values = [betting_p_value(pilot, draw(rng, n), bound, upper, error) for _ in range(n_draws)]
    return np.mean(np.array(p_values) <= error)


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


def test_without_a_pilot_the_bet_is_as_for_values_one_from_the_bound():
    values = np.tile([0.0, 0.0, 0.0, 1.0], 50)
    nothing = betting_p_value(np.array([]), values, 0.4, 1.0, 0.1)
    bet = np.sqrt(-2 * np.log(0.1) / 200)
    assert nothing == pytest.approx(np.exp(-log_wealth(values, 0.4, 1.0, bet)))
