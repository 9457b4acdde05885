"""Weights and groups reach everything that takes them, or a warning names what does not."""

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import has_fit_parameter

from skcascade import CascadeClassifier, make_cascade
from skcascade.exceptions import CascadeWarning


class Weighed(GaussianNB):
    """Notes the sum of its weights."""

    def fit(self, X, y, sample_weight=None):
        self.total_ = None if sample_weight is None else float(np.sum(sample_weight))
        return super().fit(X, y, sample_weight)


@pytest.fixture
def weight(faults):
    return np.where(faults.Y == 0, 5.0, 0.5)


PLACES = {
    "alone": lambda inner: inner,
    "pipeline": lambda inner: make_pipeline(FunctionTransformer(), inner),
    "nested pipelines": lambda inner: make_pipeline(
        FunctionTransformer(), make_pipeline(FunctionTransformer(), inner)
    ),
}


def inner_of(member):
    while hasattr(member, "steps"):
        member = member[-1]
    return member


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cv", [0.3, 3])
def test_members_get_weights(place, cv, faults, weight):
    cascade = CascadeClassifier(
        [("member", PLACES[place](Weighed()))], cost=[1.0], random_state=0, cv=cv
    ).fit(faults.X, faults.Y, sample_weight=weight)
    fitted = inner_of(cascade.members_.member)
    assert fitted.total_ == pytest.approx(weight.sum() * (0.7 if cv == 0.3 else 1), rel=0.05)
    plain = make_cascade(Weighed(), cost=[1.0], random_state=0, cv=cv)
    plain.fit(faults.X, faults.Y, sample_weight=weight)
    np.testing.assert_array_equal(plain.predict_proba(faults.X), cascade.predict_proba(faults.X))


def test_fit_names_sample_weight():
    assert has_fit_parameter(CascadeClassifier(), "sample_weight")


@pytest.mark.parametrize("place", PLACES)
def test_a_member_without_weights_is_named(place, faults, weight):
    members = [("deaf", PLACES[place](KNeighborsClassifier())), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cost=[1, 10], random_state=0)
    with pytest.warns(CascadeWarning, match=r"Member 'deaf' \(KNeighborsClassifier\) cannot take"):
        cascade.fit(faults.X, faults.Y, sample_weight=weight)
    cascade.fit(faults.X, faults.Y)  # no weights, no warning


class Noting(CascadeClassifier):
    """Notes the weights that it is fitted with."""

    weights = []

    def fit(self, X, y, sample_weight=None):
        type(self).weights.append(None if sample_weight is None else np.asarray(sample_weight))
        return super().fit(X, y, sample_weight)


@pytest.fixture
def noted():
    """The weights that cascades were fitted with."""
    Noting.weights = []
    return Noting.weights


def noting():
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    return Noting(members, cost=[1, 10], random_state=0)


def test_adaboost_around_a_cascade(faults, noted):
    boosted = AdaBoostClassifier(noting(), n_estimators=3, random_state=0)
    boosted.fit(faults.X, faults.Y)
    assert len(noted) >= 2
    assert np.ptp(noted[1]) > 0
    assert boosted.score(faults.X, faults.Y) > 0.6


def test_calibration_around_a_cascade(faults, weight, noted):
    calibrated = CalibratedClassifierCV(noting(), cv=2)
    calibrated.fit(faults.X, faults.Y, sample_weight=weight)
    assert [len(w) for w in noted] == [75, 75]


def test_a_cascade_in_a_cascade(faults, weight):
    inner = CascadeClassifier([("nb", Weighed())], cost=[1.0], random_state=0)
    outer = CascadeClassifier([("inner", inner)], cost=[1.0], random_state=0)
    outer.fit(faults.X, faults.Y, sample_weight=weight)
    assert outer.members_.inner.members_.nb.total_ is not None
    by_hand = outer.fit(faults.X, faults.Y).members_.inner.members_.nb
    assert by_hand.total_ is None


# Metadata routing ----------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_the_default_policy_requests_weights(faults, weight, routing):
    member = Weighed().set_fit_request(sample_weight=True)
    cascade = make_cascade(member, LogisticRegression().set_fit_request(sample_weight=True))
    cascade.set_params(cost=[1, 10], random_state=0)
    cascade.fit(faults.X, faults.Y, sample_weight=weight)
    assert cascade.tuning_.sample_weight is not None
    assert cascade.members_.weighed.total_ is not None


def test_groups_of_a_splitter(faults, routing):
    groups = np.arange(len(faults.Y)) % 5
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    cascade.set_params(cv=GroupKFold(5))
    cascade.fit(faults.X, faults.Y, groups=groups)
    splits = list(GroupKFold(5).split(faults.X, faults.Y, groups))
    given = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    given.set_params(cv=splits).fit(faults.X, faults.Y)
    np.testing.assert_array_equal(cascade.trace_.proba, given.trace_.proba)


def test_groups_without_routing(faults):
    cascade = make_cascade(GaussianNB(), cost=[1.0], cv=GroupKFold(5), random_state=0)
    with pytest.raises(ValueError, match="groups"):
        cascade.fit(faults.X, faults.Y)
    splits = list(GroupKFold(5).split(faults.X, faults.Y, np.arange(len(faults.Y)) % 5))
    assert cascade.set_params(cv=splits).fit(faults.X, faults.Y).trace_.n_samples == len(faults.Y)


def test_a_scaler_before_a_weighted_member_is_not_weighted(faults, weight):
    """Only the last step of a pipeline gets weights, as in scikit-learn's own estimators."""
    cascade = make_cascade(make_pipeline(StandardScaler(), Weighed()), cost=[1.0], random_state=0)
    fitted = cascade.fit(faults.X, faults.Y, sample_weight=weight).members_.pipeline
    again = cascade.fit(faults.X, faults.Y).members_.pipeline
    np.testing.assert_array_equal(fitted[0].mean_, again[0].mean_)
