"""Counts of estimators with a closed formula. The table is in `_counts.py`."""

import numpy as np
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC, NuSVC

from ._counts import count_macs, row_width

__all__ = []


@count_macs.register(DummyClassifier)
def _dummy(estimator, X):
    return 0.0


@count_macs.register(LogisticRegression)
@count_macs.register(LogisticRegressionCV)
@count_macs.register(SGDClassifier)
@count_macs.register(Perceptron)
@count_macs.register(LinearSVC)
@count_macs.register(RidgeClassifier)
@count_macs.register(RidgeClassifierCV)
@count_macs.register(LinearDiscriminantAnalysis)
def _linear(estimator, X):
    n_scores, n_features = estimator.coef_.shape
    return n_scores * row_width(X, n_features)


@count_macs.register(QuadraticDiscriminantAnalysis)
def _quadratic(estimator, X):
    # Rotate into the axes of each class, then square and add.
    return float(sum(rotation.size + rotation.shape[1] for rotation in estimator.rotations_))


@count_macs.register(GaussianNB)
def _gaussian_bayes(estimator, X):
    return 2.0 * estimator.theta_.size


@count_macs.register(MultinomialNB)
@count_macs.register(ComplementNB)
@count_macs.register(CategoricalNB)
def _discrete_bayes(estimator, X):
    return len(estimator.classes_) * row_width(X, estimator.n_features_in_)


@count_macs.register(BernoulliNB)
def _bernoulli_bayes(estimator, X):
    to_binary = estimator.binarize is not None
    return (len(estimator.classes_) + to_binary) * row_width(X, estimator.n_features_in_)


@count_macs.register(NearestCentroid)
def _centroid(estimator, X):
    return float(estimator.centroids_.size)


@count_macs.register(MLPClassifier)
def _mlp(estimator, X):
    first, *others = (weights.shape for weights in estimator.coefs_)
    return row_width(X, first[0]) * first[1] + sum(n_in * n_out for n_in, n_out in others)


@count_macs.register(KNeighborsClassifier)
@count_macs.register(RadiusNeighborsClassifier)
def _neighbors(estimator, X):
    if estimator.effective_metric_ == "precomputed":
        return float(estimator.n_samples_fit_)
    return estimator.n_samples_fit_ * row_width(X, estimator.n_features_in_)


@count_macs.register(SVC)
@count_macs.register(NuSVC)
def _svc(estimator, X):
    n_vectors = len(estimator.support_)
    kernel = 0 if estimator.kernel == "precomputed" else row_width(X, estimator.n_features_in_)
    # libsvm weighs each support vector once per pair of classes it takes part in.
    return float(n_vectors * (kernel + len(estimator.classes_) - 1))


@count_macs.register(GaussianProcessClassifier)
def _gaussian_process(estimator, X):
    base = estimator.base_estimator_
    sizes = [len(part.X_train_) for part in getattr(base, "estimators_", [base])]
    # Kernel values for the mean, a solve against all of them for the variance.
    return float(np.sum([n * (row_width(X) + n) for n in sizes]))
