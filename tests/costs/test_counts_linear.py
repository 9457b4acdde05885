"""Counts with a closed formula are compared with sums done by hand."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from skcascade.costs import MacsCost

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)


def logreg():
    return LogisticRegression(max_iter=50)


CLOSED_FORMS = [
    (logreg(), P * C),
    (LogisticRegressionCV(Cs=2, cv=2, max_iter=20), P * C),
    (SGDClassifier(loss="log_loss", random_state=0), P * C),
    (LinearDiscriminantAnalysis(), P * C),
    (QuadraticDiscriminantAnalysis(), C * P * (P + 1)),
    (GaussianNB(), 2 * C * P),
    (BernoulliNB(), C * P + P),
    (BernoulliNB(binarize=None), C * P),
    (NearestCentroid(), C * P),
    (MLPClassifier((7, 5), max_iter=2), P * 7 + 7 * 5 + 5 * C),
    (KNeighborsClassifier(), N * P),
    (DummyClassifier(), 0),
    (GaussianProcessClassifier(optimizer=None), C * N * (P + N)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator, expected", CLOSED_FORMS, ids=[str(i) for i in range(len(CLOSED_FORMS))]
)
def test_count_equals_formula(check_count, estimator, expected):
    check_count(estimator, expected)


@pytest.mark.parametrize("estimator", [MultinomialNB(), ComplementNB(), CategoricalNB()])
def test_count_discrete_bayes(estimator):
    codes = np.digitize(X, [-1, 0, 1])
    assert MacsCost.count(estimator.fit(codes, y), codes) == C * P


def test_count_binary_has_one_row_of_coefficients():
    assert MacsCost.count(logreg().fit(X, y == 1), X) == P
    assert MacsCost.count(FixedThresholdClassifier(logreg()).fit(X, y == 1), X) == P


def test_count_svc():
    svc = SVC().fit(X, y)
    assert MacsCost.count(svc, X) == svc.n_support_.sum() * (P + C - 1)


@pytest.mark.parametrize(
    "estimator, per_row",
    [(KNeighborsClassifier(metric="precomputed"), None), (SVC(kernel="precomputed"), C - 1)],
)
def test_count_precomputed_distances_are_free(estimator, per_row):
    kernel = X @ X.T + 100
    estimator.fit(kernel, y)
    expected = N if per_row is None else len(estimator.support_) * per_row
    assert MacsCost.count(estimator, kernel) == expected
