"""Counts of estimators made of estimators are compared with sums done by hand."""

import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcascade.costs import MacsCost

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)
LOGREG = P * C


def logreg():
    return LogisticRegression(max_iter=50)


CLOSED_FORMS = [
    (OneVsRestClassifier(logreg()), C * P),
    (CalibratedClassifierCV(logreg(), cv=2), 2 * (LOGREG + C)),
    (StackingClassifier([("a", logreg()), ("b", logreg())], logreg(), cv=2), 3 * LOGREG),
    (GridSearchCV(logreg(), {"C": [1.0]}, cv=2), LOGREG),
    (RFE(logreg(), n_features_to_select=2), 2 * C),
    (make_pipeline("passthrough", StandardScaler(), PCA(2), logreg()), P + 2 * P + 2 * C),
    (make_pipeline(RFE(logreg(), n_features_to_select=2), logreg()), 2 * C),
    (make_pipeline(FeatureUnion([("p", PCA(2)), ("id", "passthrough")]), logreg()), 2 * P + 8 * C),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator, expected", CLOSED_FORMS, ids=[str(i) for i in range(len(CLOSED_FORMS))]
)
def test_count_equals_formula(check_count, estimator, expected):
    check_count(estimator, expected)


def shallow(**kwargs):
    return DecisionTreeClassifier(max_depth=4, random_state=0, **kwargs)


def test_count_columns_of_a_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": y, "text": ["one two"] * N, "z": y})
    columns = ColumnTransformer(
        [
            ("scale", StandardScaler(), ["a", "b"]),
            ("hot", OneHotEncoder(), ["c"]),
            ("words", CountVectorizer(), "text"),
            ("none", StandardScaler(), []),
            ("mask", StandardScaler(), [False] * 5),
            ("drop", "drop", ["z"]),
        ],
        sparse_threshold=0,
    )
    pipeline = make_pipeline(columns, logreg()).fit(frame, y)
    assert MacsCost.count(pipeline, frame) == 2 + 1 + 2 + (2 + 3 + 2) * C


def test_count_frozen_counts_what_is_frozen(stages_of):
    tree = shallow().fit(X, y)
    assert MacsCost.count(FrozenEstimator(tree), X) == MacsCost.count(tree, X)
    edges = MacsCost().fit(stages_of(FrozenEstimator(logreg().fit(X, y))), X).edge_costs_
    assert edges.tolist() == [[LOGREG]]
