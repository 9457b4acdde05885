"""The cost model of a cascade: as given, else counted, else one unit per stage."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skcascade.costs import FixedCost, LatencyCost, MacsCost
from skcascade.costs._default import check_cost, fit_cost
from skcascade.exceptions import CascadeWarning

X, y = make_classification(
    60, 6, n_informative=5, n_redundant=0, n_classes=3, class_sep=0.5, random_state=0
)


class Unregistered:
    classes_ = [0, 1, 2]


@pytest.fixture
def stages(stages_of):
    return stages_of(*(LogisticRegression(max_iter=50).fit(X, y) for _ in range(2)))


def test_given_costs_are_fitted_on_a_clone(stages):
    cost = FixedCost([1, 4])
    fitted = fit_cost(cost, stages, X)
    assert fitted.edge_costs_[0].tolist() == [1, 4]
    assert not hasattr(cost, "edge_costs_")
    assert fit_cost([2, 3], stages, X).edge_costs_[0].tolist() == [2, 3]


def test_default_is_counted(stages):
    cost = fit_cost(None, stages, X)
    assert isinstance(cost, MacsCost)
    assert cost.edge_costs_[0].tolist() == [18, 18]


def test_default_is_one_unit_per_stage_where_nothing_can_be_counted(stages_of):
    stages = stages_of(LogisticRegression(max_iter=50).fit(X, y), Unregistered())
    with pytest.warns(CascadeWarning, match="Every stage costs one unit.*Unregistered.*`cost`"):
        cost = fit_cost(None, stages, X)
    np.testing.assert_array_equal(cost.edge_costs_, [[1, 1], [np.nan, 1]])


def test_check_cost_takes_models_names_and_numbers():
    model = MacsCost()
    assert check_cost(model) is model
    assert isinstance(check_cost("macs"), MacsCost)
    assert isinstance(check_cost("latency"), LatencyCost)
    assert check_cost([1, 2]).costs == [1, 2]
    assert check_cost({"small": 1}).costs == {"small": 1}


def test_check_cost_refuses_other_names():
    with pytest.raises(ValueError, match=r"one of \['latency', 'macs'\].*got 'flops'"):
        check_cost("flops")
