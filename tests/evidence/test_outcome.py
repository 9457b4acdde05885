"""What a walk gives, as a table."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcascade import Trace, Walk, make_cascade, walk
from skcascade.policies import ConfidenceThreshold


def some_walk():
    rng = np.random.default_rng(0)
    trace = Trace(rng.dirichlet([0.5, 0.5], size=(6, 3)))
    route = walk(trace, ConfidenceThreshold().with_thresholds([0.9, 0.9, np.inf]))
    assert len(np.unique(route.exit)) > 1
    return route


def test_a_walk_over_a_trace_knows_neither_labels_nor_costs():
    route = some_walk()
    assert isinstance(route, Walk)
    assert route[3:] == (None, None, None, None)


def test_to_frame_without_label_and_cost():
    pd = pytest.importorskip("pandas")
    route = some_walk()
    frame = route.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame) == ["exit", "visited 0", "visited 1", "visited 2", "proba 0", "proba 1"]
    assert frame.index.tolist() == list(range(6))
    assert frame["exit"].tolist() == [str(k) for k in route.exit]
    np.testing.assert_array_equal(frame[["proba 0", "proba 1"]], route.proba)
    np.testing.assert_array_equal(frame[[f"visited {k}" for k in range(3)]], route.visited)


@pytest.mark.parametrize("reject_cost", [None, 0.01])
def test_to_frame_of_a_cascade(reject_cost):
    pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True)
    members = GaussianNB(), DecisionTreeClassifier(max_depth=2, random_state=0)
    cascade = make_cascade(
        *members, cost=[1, 10], alpha=0.01, reject_cost=reject_cost, cv=3, random_state=0
    )
    cascade.fit(X, np.array(["x", "y", "z"])[y])
    route = cascade.walk(X)
    names = cascade.stage_names_
    assert len(names) == (2 if reject_cost is None else 3)
    index = [f"row {i}" for i in range(len(X))]
    frame = route.to_frame(index=index)
    assert list(frame) == [
        *("label", "cost", "exit"),
        *(f"visited {name}" for name in names),
        *("proba x", "proba y", "proba z"),
    ]
    assert frame.index.tolist() == index
    np.testing.assert_array_equal(frame["label"], route.label)
    np.testing.assert_array_equal(frame["cost"], route.cost)
    assert frame["exit"].tolist() == [names[k] for k in route.exit]
    for k, name in enumerate(names):
        np.testing.assert_array_equal(frame[f"visited {name}"], route.visited[:, k])
    for c, label in enumerate("xyz"):
        np.testing.assert_array_equal(frame[f"proba {label}"], route.proba[:, c])


def test_columns_of_the_frame_are_arrays_of_their_own_type():
    pytest.importorskip("pandas")
    frame = some_walk().to_frame()
    assert frame["visited 0"].dtype == bool
    assert frame["proba 0"].dtype == np.float32


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        some_walk().to_frame()
