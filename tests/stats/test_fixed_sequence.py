"""Fixed-sequence testing: in order, until the first hypothesis that is not rejected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.stats._fixed_sequence import fixed_sequence, thin_sequence

P_VALUES = st.lists(st.sampled_from([0.0, 0.01, 0.05, 0.05000001, 0.2, 1.0]), max_size=12)


# The tests --------------------------------------------------------------------------------


@given(P_VALUES)
@settings(max_examples=200, deadline=None)
def test_it_stops_at_the_first_failure(p_values):
    """What comes after is not computed, however small it is."""
    computed = []

    def one_by_one():
        for p_value in p_values:
            computed.append(p_value)
            yield p_value

    n_rejected = fixed_sequence(one_by_one(), level=0.05)
    failures = [i for i, p_value in enumerate(p_values) if p_value > 0.05]
    assert n_rejected == (failures[0] if failures else len(p_values))
    assert computed == p_values[: n_rejected + 1]


def test_later_p_values_are_not_computed():
    def p_values():
        yield 0.01
        yield 0.5
        raise AssertionError("beyond the first failure")

    assert fixed_sequence(p_values(), level=0.05) == 1


@pytest.mark.parametrize("level", [0.01, 0.1])
def test_a_p_value_of_the_level_is_rejected(level):
    assert fixed_sequence([level, np.nextafter(level, 1), 0.0], level) == 1
    assert fixed_sequence([], level) == 0


def test_no_correction_for_the_number_of_tests_is_needed():
    """With the first hypothesis true, one is rejected with the probability of the level."""
    rng = np.random.default_rng(0)
    p_values = rng.uniform(size=(20_000, 10))
    p_values[:, 1:] = 0.0  # far beyond the bound
    wrong = np.mean([fixed_sequence(row, level=0.1) > 0 for row in p_values])
    assert abs(wrong - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 20_000)


# The order --------------------------------------------------------------------------------


def test_thin_sequence():
    cost = np.array([1.0, 0.5, 0.99, 0.89, 0.85, 0.1])
    assert thin_sequence(np.array([0, 2, 3, 4, 1, 5]), cost, 0.1).tolist() == [0, 3, 1, 5]
    assert thin_sequence(np.array([], dtype=int), cost, 0.1).size == 0


@given(
    st.lists(st.integers(0, 20).map(lambda i: i / 20), min_size=1, max_size=15),
    st.sampled_from([0.0, 0.05, 0.2]),
)
@settings(max_examples=150, deadline=None)
def test_steps_of_a_thinned_sequence_save_enough(costs, least):
    """The first is kept, and each that is left out saves too little."""
    cost = np.array(costs)
    order = np.argsort(-cost, kind="stable")
    kept = thin_sequence(order, cost, least)
    assert kept[0] == order[0]
    assert (-np.diff(cost[kept]) >= least).all()
    for index in np.setdiff1d(order, kept):
        before = [k for k in kept if list(order).index(k) < list(order).index(index)]
        assert cost[before[-1]] - cost[index] < least


def test_a_p_value_that_is_not_a_number_is_no_evidence():
    assert fixed_sequence([0.01, np.nan, 0.01], 0.05) == 1
