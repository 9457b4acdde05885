"""Costs as given."""

import numpy as np
import pytest

from skcascade import Trace
from skcascade.costs import FixedCost


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


class Named:
    n_stages, names = 2, ["small", "large"]


def test_by_the_names_of_the_stages():
    fitted = FixedCost({"large": 4, "small": 1}).fit(Named())
    np.testing.assert_array_equal(fitted.edge_costs_, [[1, 4], [np.nan, 4]])


@pytest.mark.parametrize(
    "costs, message",
    [
        ({"small": 1}, r"lacks \['large'\]"),
        ({"small": 1, "large": 4, "huge": 9}, r"has \['huge'\] too"),
    ],
)
def test_refuses_names_that_do_not_match(costs, message):
    with pytest.raises(ValueError, match=message):
        FixedCost(costs).fit(Named())


def test_a_trace_has_no_names():
    with pytest.raises(ValueError, match="needs named stages"):
        FixedCost({"small": 1, "large": 4}).fit(Trace(np.full((3, 2, 2), 0.5)))
