"""Counts of trees are compared with the public `decision_path`."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcascade.costs import MacsCost
from skcascade.exceptions import UncountableError

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)
LOGREG = P * C


def logreg():
    return LogisticRegression(max_iter=50)


SUMS = [
    (VotingClassifier([("a", logreg()), ("b", GaussianNB())]), LOGREG + C + 2 * C * P + C),
    (BaggingClassifier(logreg(), 4, max_features=0.5, random_state=0), 4 * (3 * C + C)),
    (AdaBoostClassifier(logreg(), n_estimators=1), LOGREG + C),
]


@pytest.mark.parametrize("estimator, expected", SUMS, ids=["voting", "bagging", "boosting"])
def test_count_adds_up_parts(check_count, estimator, expected):
    check_count(estimator, expected)


def comparisons(tree, X):
    """Mean number of inner nodes that rows of `X` pass, by the public `decision_path`."""
    return tree.decision_path(X).sum(axis=1).mean() - 1


def test_count_tree_equals_decision_path():
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    assert MacsCost.count(tree, X) == pytest.approx(comparisons(tree, X))
    assert MacsCost.count(DecisionTreeClassifier(max_depth=1).fit(X, y), X) == 1
    assert MacsCost.count(DecisionTreeClassifier().fit(X, y * 0), X) == 0


@pytest.mark.parametrize("forest", [RandomForestClassifier, ExtraTreesClassifier])
def test_count_forest(forest):
    forest = forest(5, bootstrap=False, random_state=0).fit(X, y)
    expected = sum(comparisons(tree, X) + C for tree in forest.estimators_)
    assert MacsCost.count(forest, X) == pytest.approx(expected)


@pytest.mark.parametrize("init, extra", [(None, 0), ("zero", 0), (GaussianNB(), 2 * P * C)])
def test_count_gradient_boosting(init, extra):
    boosting = GradientBoostingClassifier(n_estimators=4, init=init).fit(X, y)
    expected = sum(comparisons(tree, X) + 1 for tree in boosting.estimators_.ravel())
    assert MacsCost.count(boosting, X) == pytest.approx(expected + extra)


def steps_down(nodes, row):
    """Comparisons on the path of one row, node by node."""
    node, steps = nodes[0], 0
    while not node["is_leaf"]:
        side = "left" if row[node["feature_idx"]] <= node["num_threshold"] else "right"
        node, steps = nodes[node[side]], steps + 1
    return steps


def test_count_hist_gradient_boosting():
    boosting = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=4).fit(X, y)
    nodes = [tree.nodes for trees in boosting._predictors for tree in trees]
    expected = sum(np.mean([steps_down(tree, row) for row in X]) + 1 for tree in nodes)
    assert MacsCost.count(boosting, X) == pytest.approx(expected)


def test_count_hist_gradient_boosting_without_private_trees():
    boosting = HistGradientBoostingClassifier(max_iter=1).fit(X, y)
    del boosting._predictors
    with pytest.raises(UncountableError, match="hides the trees"):
        MacsCost.count(boosting, X)
