"""Counts of trees and of ensembles that add up parts. The table is in `_counts.py`."""

import numpy as np
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import check_array

from ..exceptions import UncountableError
from ..utils._sklearn import _safe_indexing
from ._counts import count_macs, count_step

__all__ = []


@count_macs.register(DecisionTreeClassifier)
@count_macs.register(DecisionTreeRegressor)
def _tree(estimator, X):
    # Every inner node costs one comparison to each training sample that passed it.
    tree = estimator.tree_
    inner = tree.children_left >= 0
    return float(tree.n_node_samples[inner].sum() / tree.n_node_samples[0])


@count_macs.register(RandomForestClassifier)
@count_macs.register(ExtraTreesClassifier)
@count_macs.register(AdaBoostClassifier)
@count_macs.register(VotingClassifier)
def _added_up(estimator, X):
    n_classes = len(estimator.classes_)
    return float(sum(count_macs(part, X) + n_classes for part in estimator.estimators_))


@count_macs.register(BaggingClassifier)
def _bagging(estimator, X):
    X = check_array(X, accept_sparse=["csr", "csc"], dtype=None, ensure_all_finite=False)
    n_classes = len(estimator.classes_)
    pairs = zip(estimator.estimators_, estimator.estimators_features_)
    return float(
        sum(
            count_macs(part, _safe_indexing(X, features, axis=1)) + n_classes
            for part, features in pairs
        )
    )


@count_macs.register(GradientBoostingClassifier)
def _gradient_boosting(estimator, X):
    trees = sum(_tree(tree, X) + 1 for tree in estimator.estimators_.ravel())
    return float(trees + count_step(estimator.init_, X))


@count_macs.register(HistGradientBoostingClassifier)
def _hist_gradient_boosting(estimator, X):
    try:
        trees = [tree.nodes for trees in estimator._predictors for tree in trees]
        paths = [nodes["count"][nodes["is_leaf"] == 0].sum() / nodes["count"][0] for nodes in trees]
    except (AttributeError, ValueError, KeyError) as error:
        # scikit-learn keeps these trees private and may store them in another way.
        raise UncountableError(
            "This version of scikit-learn hides the trees of HistGradientBoostingClassifier."
            " Give the costs, `cost=[...]`, one per stage, or use `cost=LatencyCost()`."
        ) from error
    return float(np.sum(paths) + len(paths))
