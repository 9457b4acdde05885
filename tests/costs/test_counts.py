"""What all counts share: sampled rows, widths of rows, and types without a rule."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from skcascade.costs import MacsCost
from skcascade.costs._counts import count_macs, count_step, few_rows, row_width
from skcascade.exceptions import UncountableError

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)
X_SPARSE = csr_array(np.where(X > 0.5, X, 0))


def logreg():
    return LogisticRegression(max_iter=50)


def test_few_rows_are_spread():
    assert few_rows(np.arange(100), 3).tolist() == [0, 49, 99]
    assert few_rows([1, 2], 3) == [1, 2]


@pytest.mark.parametrize(
    "estimator, n_scores, rest",
    [(logreg(), C, 0), (MLPClassifier((7,), max_iter=2), 7, 7 * C), (KNeighborsClassifier(), N, 0)],
)
@pytest.mark.filterwarnings("ignore")
def test_count_sparse_rows_by_stored_entries(estimator, n_scores, rest):
    width = X_SPARSE.nnz / N
    assert MacsCost.count(estimator.fit(X_SPARSE, y), X_SPARSE) == pytest.approx(
        n_scores * width + rest
    )


def test_row_width_of_images_and_of_other_features():
    assert row_width(np.zeros((5, 2, 3))) == 6.0
    assert row_width(np.zeros((5, 6)), 4) == 4.0
    assert row_width(X_SPARSE, 6) == X_SPARSE.nnz / N


@pytest.mark.parametrize("step", [None, "passthrough", "drop"])
def test_steps_that_do_nothing_are_free(step):
    assert count_step(step, X) == 0.0


def test_types_without_a_rule_are_refused():
    with pytest.raises(UncountableError, match=r"No rule .* object.*MacsCost.register"):
        count_macs(object(), X)
