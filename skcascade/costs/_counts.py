"""How the work of one prediction is counted.

One unit is a multiply-add, a comparison, or looking a number up and adding it. They do not
take the same time: the count ranks members of one kind well, and members of different kinds
(a forest against a net) only roughly; :class:`~skcascade.costs.LatencyCost` measures.
As for nets, elementwise functions (exponentials, activations, softmax), biases and
normalization of the answer count as 0. Counts are per row, of one `predict_proba` of a fitted
estimator: p features, C classes, K rows of `coef_` (1 or C), T trees.

==================================================  ==============================================
Count                                               Estimator
==================================================  ==============================================
K p                                                 LogisticRegression, LogisticRegressionCV,
                                                    SGDClassifier, Perceptron, LinearSVC,
                                                    RidgeClassifier, RidgeClassifierCV,
                                                    LinearDiscriminantAnalysis
sum over classes of rank (p + 1)                    QuadraticDiscriminantAnalysis
2 C p (square, scale and add)                       GaussianNB
C p                                                 MultinomialNB, ComplementNB, CategoricalNB
C p, and p to binarize                              BernoulliNB
C p                                                 NearestCentroid
number of weights: sum of inputs x outputs          MLPClassifier
p n_samples_fit: brute force, for any algorithm     KNeighbors-, RadiusNeighborsClassifier
n_SV p + n_SV (C - 1)                               SVC, NuSVC
n_samples_fit (p + n_samples_fit), binary problem   GaussianProcessClassifier
0                                                   DummyClassifier
comparisons on the path of a training sample, mean  DecisionTree-, ExtraTree- (also regressors)
sum over trees of (comparisons + C)                 RandomForest-, ExtraTreesClassifier
sum over trees of (comparisons + 1), and `init_`    GradientBoostingClassifier
sum over trees of (comparisons + 1)                 HistGradientBoostingClassifier
sum over parts of (part + C)                        AdaBoost-, Bagging-, VotingClassifier
sum over folds of (part + C)                        CalibratedClassifierCV
its parts and its final estimator                   StackingClassifier
its parts                                           OneVsRest-, OneVsOneClassifier
its parts, each on the data that reach it           Pipeline, FeatureUnion, ColumnTransformer
the estimator inside                                GridSearchCV, RandomizedSearchCV,
                                                    FrozenEstimator, SelfTrainingClassifier,
                                                    RFE, RFECV, TunedThresholdClassifierCV,
                                                    FixedThresholdClassifier
as run, by torch's own counter, fused kernels off   skorch nets, TorchClassifier
p                                                   StandardScaler, MinMaxScaler, MaxAbsScaler,
                                                    RobustScaler, PowerTransformer, Binarizer,
                                                    SimpleImputer, MissingIndicator,
                                                    OneHotEncoder, OrdinalEncoder, TargetEncoder
2 p                                                 Normalizer
bisection: sum over features of log2(bins)          QuantileTransformer, KBinsDiscretizer
number of output features                           PolynomialFeatures
n_components p (sparse projections: non-zeros)      PCA, IncrementalPCA, TruncatedSVD, FastICA,
                                                    random projections, neighborhood components
n_components (p + n_components); n_components p     Nystroem; RBFSampler
0                                                   Feature selection
p (0 if it has no function)                         FunctionTransformer
tokens of a text, mean                              CountVectorizer, HashingVectorizer
2 tokens of a text, mean                            TfidfVectorizer
non-zeros of a row, mean                            TfidfTransformer
entries of a row, mean                              DictVectorizer, FeatureHasher
==================================================  ==============================================

Sparse rows: where scikit-learn skips zeros (linear models, discrete naive Bayes, the first
layer of MLPClassifier, SVC, neighbors, projections, scalers), p is the mean number of stored
entries of a row. Text and sparse counts are means over the rows they are given. Calibration,
pairwise coupling of SVC and sorting of neighbors are not counted. A subclass is counted as
its base class unless it is registered itself.
"""

from functools import singledispatch
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ..evidence._stages import num_rows, take
from ..exceptions import UncountableError
from ._counts_torch import count_run, is_torch

__all__ = ["count_macs", "count_step", "few_rows", "row_width"]

#: Rows that a net is counted on: they all cost the same.
NET_ROWS = 8


@singledispatch
def count_macs(estimator: Any, X: Any) -> float:
    """Multiply-accumulates of one prediction of a fitted `estimator`.

    Dispatches on the type of `estimator`. What is here is for types that are not
    registered: nets are run and counted, others refused.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : indexable of length n_samples
        Rows as they reach it. Nets run on them, text and sparse data are averaged
        over them, otherwise they do not matter.

    Returns
    -------
    macs : float
        Per sample.

    Raises
    ------
    UncountableError
        If the type of `estimator` is not registered.
    ValueError
        If `estimator` is a net that torch can count nothing of.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_digits(return_X_y=True)
    >>> count_macs(LogisticRegression(max_iter=5000).fit(X, y), X)  # 10 classes x 64 pixels
    640.0
    """
    name = type(estimator).__name__
    if not is_torch(estimator):
        raise UncountableError(
            f"No rule to count the multiply-accumulates of {name}. Register one with"
            f" `MacsCost.register({name})`, give the costs, `cost=[...]`, one per stage,"
            " or measure seconds with `cost=LatencyCost()`."
        )
    rows = few_rows(X, NET_ROWS)
    return count_run(lambda: estimator.predict_proba(rows), num_rows(rows), name)


def count_step(step: Any, X: Any) -> float:
    """Count a transformer inside a composition; `"passthrough"` and `"drop"` are free."""
    return 0.0 if step is None or isinstance(step, str) else count_macs(step, X)


def few_rows(X: Any, n: int) -> Any:
    """Select at most `n` rows of `X`, evenly spread since rows are often sorted by class."""
    n_rows = num_rows(X)
    if n_rows <= n:
        return X
    return take(X, np.linspace(0, n_rows - 1, n).astype(int))


def row_width(X: Any, n_features: int | None = None) -> float:
    """Count the numbers in a row of `X`: the stored ones if sparse, else `n_features`.

    Parameters
    ----------
    X : indexable of length n_samples
    n_features : int, default=None
        None takes it from the shape of `X`.

    Returns
    -------
    width : float

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> row_width([[3.0, 0.0], [1.0, 2.0]], 2), row_width(csr_array([[3.0, 0.0], [1.0, 2.0]]))
    (2.0, 1.5)
    """
    if issparse(X):
        return X.nnz / X.shape[0]
    if n_features is None:
        n_features = np.prod(np.shape(X)[1:])
    return float(n_features)
