"""Where weights and groups go."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from skcascade import CascadeClassifier, make_cascade
from skcascade.exceptions import CascadeWarning

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
WEIGHT = np.random.default_rng(0).uniform(0.5, 2, len(Y))
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[::2], ROWS[1::2])]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_others_see_that_weights_are_taken():
    assert has_fit_parameter(make_cascade(GaussianNB()), "sample_weight")


@pytest.mark.parametrize("depth", [1, 2])
def test_the_last_step_of_a_pipeline_gets_weights(depth):
    member = LogisticRegression()
    for _ in range(depth):
        member = make_pipeline(StandardScaler(), member)
    cascade = CascadeClassifier([("lr", member)], cv=SPLIT)
    cascade.fit(X, Y, sample_weight=WEIGHT)
    scaler = StandardScaler().fit(X[::2])
    if depth == 2:
        scaler = make_pipeline(scaler, StandardScaler()).fit(X[::2])
    expected = LogisticRegression().fit(scaler.transform(X[::2]), Y[::2], WEIGHT[::2])
    fitted = cascade.members_.lr
    while hasattr(fitted, "steps"):
        fitted = fitted[-1]
    np.testing.assert_array_equal(fitted.coef_, expected.coef_)


def test_members_that_cannot_take_weights_are_named():
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier())
    cascade = CascadeClassifier([("nb", GaussianNB()), ("kn", pipeline)], cost=[1, 5])
    with pytest.warns(CascadeWarning, match=r"'kn' \(KNeighborsClassifier\) cannot take") as caught:
        cascade.fit(X, Y, sample_weight=WEIGHT)
    assert len(caught) == 1
    cascade.fit(X, Y)


def test_frozen_members_are_not_fitted_and_need_no_warning():
    frozen = FrozenEstimator(KNeighborsClassifier().fit(X[::2], Y[::2]))
    cascade = make_cascade(GaussianNB(), frozen, cost=[1, 5], cv=SPLIT)
    cascade.fit(X, Y, sample_weight=WEIGHT)
    assert cascade.tuning_.sample_weight is not None


def test_the_default_policy_requests_weights(routing):
    members = [("nb", GaussianNB().set_fit_request(sample_weight=False))]
    cascade = CascadeClassifier(members, cv=SPLIT).fit(X, Y, sample_weight=WEIGHT)
    np.testing.assert_allclose(
        np.sort(cascade.tuning_.sample_weight / cascade.tuning_.sample_weight.sum()),
        np.sort(WEIGHT[1::2] / WEIGHT[1::2].sum()),
    )


def test_groups_go_to_the_splitter(routing):
    groups = np.random.default_rng(1).integers(6, size=len(Y))
    cascade = make_cascade(LogisticRegression(), cv=GroupKFold(3)).fit(X, Y, groups=groups)
    held_out = [test for _, test in GroupKFold(3).split(X, Y, groups)]
    answers = [
        LogisticRegression().fit(np.delete(X, rows, 0), np.delete(Y, rows)).predict_proba(X[rows])
        for rows in held_out
    ]
    np.testing.assert_allclose(cascade.trace_.proba[:, 0], np.concatenate(answers), atol=1e-6)
