"""Counts of transformers are compared with sums done by hand."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    PolynomialFeatures,
    QuantileTransformer,
)
from sklearn.random_projection import SparseRandomProjection

from skcascade.costs import MacsCost

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)
TEXTS = ["a cat sat", "the dog", "birds fly over the sea"]
LOGREG = P * C


def logreg():
    return LogisticRegression(max_iter=50)


CLOSED_FORMS = [
    (make_pipeline(SimpleImputer(), SelectKBest(k=2), logreg()), P + 2 * C),
    (make_pipeline(PolynomialFeatures(2), TruncatedSVD(3), logreg()), 28 + 3 * 28 + 3 * C),
    (
        make_pipeline(Normalizer(), QuantileTransformer(n_quantiles=8), logreg()),
        2 * P + 3 * P + LOGREG,
    ),
    (make_pipeline(FunctionTransformer(), FunctionTransformer(np.abs), logreg()), P + LOGREG),
    (make_pipeline(Nystroem(n_components=5), logreg()), 5 * (P + 5) + 5 * C),
    (make_pipeline(RBFSampler(n_components=5), logreg()), 5 * P + 5 * C),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator, expected", CLOSED_FORMS, ids=[str(i) for i in range(len(CLOSED_FORMS))]
)
def test_count_equals_formula(check_count, estimator, expected):
    check_count(estimator, expected)


@pytest.mark.parametrize(
    "vectorizer, per_token",
    [
        (CountVectorizer(token_pattern=r"\S+"), 1),
        (HashingVectorizer(token_pattern=r"\S+", n_features=2**20), 1),
        (TfidfVectorizer(token_pattern=r"\S+"), 2),
    ],
)
def test_count_text(vectorizer, per_token):
    pipeline = make_pipeline(vectorizer, logreg()).fit(TEXTS, [0, 1, 1])
    # 3, 2 and 5 tokens, all different within a text; one row of coefficients.
    assert MacsCost.count(pipeline, TEXTS) == pytest.approx((per_token + 1) * 10 / 3)


def test_count_dict_rows():
    rows = [{"a": 1.0}, {"a": 2.0, "b": 1.0}]
    assert MacsCost.count(DictVectorizer().fit(rows), rows) == 1.5


def test_count_bins():
    assert MacsCost.count(KBinsDiscretizer(4, strategy="uniform").fit(X), X) == 2 * P


def test_count_sparse_projection_by_its_non_zeros():
    projection = SparseRandomProjection(4, random_state=0).fit(X)
    assert MacsCost.count(projection, X) == projection.components_.nnz
