"""Counts of transformers, which cost something too. The table is in `_counts.py`."""

import numpy as np
from scipy.sparse import issparse
from sklearn.decomposition import PCA, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from ._counts import count_macs, row_width

__all__ = []


@count_macs.register(SelectorMixin)
def _selection(estimator, X):
    return 0.0


@count_macs.register(StandardScaler)
@count_macs.register(MinMaxScaler)
@count_macs.register(MaxAbsScaler)
@count_macs.register(RobustScaler)
@count_macs.register(PowerTransformer)
@count_macs.register(Binarizer)
@count_macs.register(SimpleImputer)
@count_macs.register(MissingIndicator)
@count_macs.register(OneHotEncoder)
@count_macs.register(OrdinalEncoder)
@count_macs.register(TargetEncoder)
@count_macs.register(TfidfTransformer)
def _once_a_number(estimator, X):
    return row_width(X)


@count_macs.register(Normalizer)
def _normalizer(estimator, X):
    return 2 * row_width(X)


@count_macs.register(FunctionTransformer)
def _function(estimator, X):
    return 0.0 if estimator.func is None else row_width(X)


@count_macs.register(PolynomialFeatures)
def _polynomial(estimator, X):
    return float(estimator.n_output_features_)


@count_macs.register(QuantileTransformer)
def _quantiles(estimator, X):
    return row_width(X) * np.ceil(np.log2(estimator.n_quantiles_))


@count_macs.register(KBinsDiscretizer)
def _bins(estimator, X):
    return float(np.ceil(np.log2(estimator.n_bins_)).sum())


@count_macs.register(PCA)
@count_macs.register(IncrementalPCA)
@count_macs.register(TruncatedSVD)
@count_macs.register(FastICA)
@count_macs.register(NeighborhoodComponentsAnalysis)
@count_macs.register(GaussianRandomProjection)
@count_macs.register(SparseRandomProjection)
def _projection(estimator, X):
    if issparse(estimator.components_):
        return float(estimator.components_.nnz)
    return estimator.components_.shape[0] * row_width(X)


@count_macs.register(Nystroem)
def _nystroem(estimator, X):
    n_components = len(estimator.components_)
    return n_components * (row_width(X) + n_components)


@count_macs.register(RBFSampler)
def _random_fourier(estimator, X):
    return estimator.random_weights_.shape[1] * row_width(X)


@count_macs.register(CountVectorizer)
@count_macs.register(HashingVectorizer)
def _tokens(estimator, X):
    tokens = estimator.build_analyzer()
    return float(np.mean([len(list(tokens(text))) for text in X]))


@count_macs.register(TfidfVectorizer)
def _weighted_tokens(estimator, X):
    return 2 * _tokens(estimator, X)


@count_macs.register(DictVectorizer)
@count_macs.register(FeatureHasher)
def _entries(estimator, X):
    return float(np.mean([len(row) for row in X]))
