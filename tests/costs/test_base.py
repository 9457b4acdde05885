"""What all cost models share: the costs of edges, and what a sample incurs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from skcascade.costs import BaseCostModel, FixedCost, MacsCost

X, y = make_classification(
    60, 6, n_informative=5, n_redundant=0, n_classes=3, class_sep=0.5, random_state=0
)


def logreg():
    return LogisticRegression(max_iter=50)


@st.composite
def edges_and_paths(draw):
    n = draw(st.integers(1, 6))
    rows = draw(st.integers(0, 8))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 9, (n, n)), rng.random((rows, n)) < 0.6


@given(edges_and_paths())
@settings(max_examples=60, deadline=None)
def test_path_cost_is_sum_of_edges(case):
    edges, visited = case
    incurred = FixedCost(edges).fit(len(edges)).path_cost(visited)
    for row, cost in zip(visited, incurred):
        path = np.flatnonzero(row)
        steps = zip([-1, *path[:-1]], path)
        assert cost == pytest.approx(sum(edges[j + 1, k] for j, k in steps))


def test_base_cost_model_says_what_to_override(stages_of):
    with pytest.raises(NotImplementedError, match="measure"):
        BaseCostModel().fit(stages_of(logreg().fit(X, y)), X)


def test_last_stage_without_cost_is_an_error(stages_of):
    dummy = DummyClassifier().fit(X, y)
    with pytest.raises(ValueError, match="last stage must cost more than 0"):
        MacsCost().fit(stages_of(logreg().fit(X, y), dummy), X)
    assert MacsCost().fit(stages_of(dummy, logreg().fit(X, y)), X).edge_costs_[0, 0] == 0


def test_fit_measures_every_edge_once(stages_of):
    class Constant(BaseCostModel):
        def measure(self, call):
            return 1.0 + call.stage

    stages = stages_of(*(DummyClassifier().fit(X, y) for _ in range(3)))
    edges = Constant().fit(stages, X).edge_costs_
    np.testing.assert_array_equal(edges, [[1, 2, 3], [np.nan, 2, 3], [np.nan, np.nan, 3]])


def test_relative_costs_are_shares_of_the_last_stage_that_costs_anything():
    cost = FixedCost([1, 4]).fit(2)
    cost.edge_costs_ = np.array([[1.0, 4, 0], [np.nan, 4, 0], [np.nan, np.nan, 0]])
    assert cost.relative(5.0) == 1.25
