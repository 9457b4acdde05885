"""Counts of estimators made of estimators. The table is in `_counts.py`."""

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from ..utils._sklearn import _safe_indexing
from ._counts import count_macs, count_step

__all__ = []


@count_macs.register(FrozenEstimator)
def _frozen(estimator, X):
    return count_macs(estimator.estimator, X)


@count_macs.register(GridSearchCV)
@count_macs.register(RandomizedSearchCV)
def _search(estimator, X):
    return count_macs(estimator.best_estimator_, X)


@count_macs.register(FixedThresholdClassifier)
@count_macs.register(TunedThresholdClassifierCV)
@count_macs.register(SelfTrainingClassifier)
def _wrapped(estimator, X):
    return count_macs(estimator.estimator_, X)


@count_macs.register(RFE)
@count_macs.register(RFECV)
def _eliminated(estimator, X):
    return count_macs(estimator.estimator_, estimator.transform(X))


@count_macs.register(CalibratedClassifierCV)
def _calibrated(estimator, X):
    parts = [fold.estimator for fold in estimator.calibrated_classifiers_]
    return sum(count_macs(part, X) + len(estimator.classes_) for part in parts)


@count_macs.register(OneVsRestClassifier)
@count_macs.register(OneVsOneClassifier)
def _one_versus(estimator, X):
    return sum(count_macs(part, X) for part in estimator.estimators_)


@count_macs.register(StackingClassifier)
def _stacking(estimator, X):
    parts = sum(count_macs(part, X) for part in estimator.estimators_)
    return parts + count_macs(estimator.final_estimator_, estimator.transform(X))


@count_macs.register(Pipeline)
def _pipeline(estimator, X):
    total = 0.0
    for _, step in estimator.steps[:-1]:
        # As a step, recursive elimination selects columns and runs no estimator.
        total += 0.0 if isinstance(step, RFE) else count_step(step, X)
        if hasattr(step, "transform"):
            X = step.transform(X)
    return total + count_step(estimator.steps[-1][1], X)


@count_macs.register(FeatureUnion)
def _union(estimator, X):
    return sum(count_step(part, X) for _, part in estimator.transformer_list)


@count_macs.register(ColumnTransformer)
def _columns(estimator, X):
    return sum(
        count_step(part, _safe_indexing(X, columns, axis=1))
        for _, part, columns in estimator.transformers_
        if not (isinstance(part, str) or _selects_none(columns))
    )


def _selects_none(columns):
    """Whether a fitted selection is empty; scikit-learn does not fit its transformer."""
    if isinstance(columns, (str, int, slice)):
        return False
    columns = np.asarray(columns)
    return columns.size == 0 or (columns.dtype == bool and not columns.any())
