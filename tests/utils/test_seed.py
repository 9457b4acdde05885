"""One seed for all that is random in an estimator."""

import pytest
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcascade.utils._seed import seed_unset


def test_unset_seeds_are_set_at_any_depth():
    bagging = BaggingClassifier(make_pipeline(StandardScaler(), SGDClassifier()), random_state=3)
    seeded = seed_unset(bagging, 7)
    assert seeded.random_state == 3
    assert seeded.estimator[1].random_state == 7
    assert bagging.estimator[1].random_state is None


def test_without_a_seed_it_only_clones():
    sgd = SGDClassifier(alpha=0.5)
    clone = seed_unset(sgd, None)
    assert clone is not sgd
    assert clone.get_params() == sgd.get_params()


@pytest.mark.parametrize("estimator", [GaussianNB(), LogisticRegression(random_state=1)])
def test_nothing_to_seed(estimator):
    assert seed_unset(estimator, 7).get_params() == estimator.get_params()


def test_frozen_estimators_stay():
    frozen = FrozenEstimator(GaussianNB().fit([[0.0], [1.0]], [0, 1]))
    assert seed_unset(frozen, 7).predict([[1.0]]).tolist() == [1]
