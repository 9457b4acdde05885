"""Costs as given."""

import numpy as np
import pytest

from skcascade.costs import FixedCost, MacsCost
from skcascade.costs._fixed import check_cost


def test_one_cost_per_stage():
    cost = FixedCost([1, 4]).fit(2)
    np.testing.assert_array_equal(cost.edge_costs_, [[1, 4], [np.nan, 4]])
    np.testing.assert_array_equal(cost.relative(np.array([1, 5])), [0.25, 1.25])
    assert FixedCost([1], unit="cents").unit == "cents"


@pytest.mark.parametrize(
    "costs, message",
    [
        ([1, 2, 3], "each of the 2 stages"),
        ([[1, 2]], "each of the 2 stages"),
        ([-1, 2], "0 or more"),
        ([np.nan, 2], "finite"),
        ([np.inf, 2], "finite"),
        ([1, 0], "more than 0"),
    ],
)
def test_refuses(costs, message):
    with pytest.raises(ValueError, match=message):
        FixedCost(costs).fit(2)


def test_ignores_edges_backward():
    assert np.isnan(FixedCost([[1, 2], [np.nan, 1]]).fit(2).edge_costs_[1, 0])


def test_check_cost_takes_models_and_numbers():
    model = MacsCost()
    assert check_cost(model) is model
    assert check_cost([1, 2]).costs == [1, 2]
