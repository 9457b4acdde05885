"""Members with a decision rule of their own, and members in the wrong order."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcascade import CascadeClassifier
from skcascade.exceptions import CascadeWarning

RARE = make_classification(
    1500, 8, n_informative=4, weights=[0.92], flip_y=0.05, class_sep=0.7, random_state=0
)


def tuned(inner):
    return TunedThresholdClassifierCV(inner, scoring="f1", cv=3)


def frozen(estimator):
    return FrozenEstimator(estimator.fit(*RARE))


OWN_RULE = {
    "tuned": lambda: tuned(GaussianNB()),
    "fixed": lambda: FixedThresholdClassifier(GaussianNB(), threshold=0.2),
    "in a pipeline": lambda: make_pipeline(StandardScaler(), tuned(GaussianNB())),
    "frozen": lambda: frozen(FixedThresholdClassifier(GaussianNB(), threshold=0.2)),
}


@pytest.mark.parametrize("kind", OWN_RULE)
def test_a_threshold_that_is_not_used_is_named(kind):
    members = [("ruled", OWN_RULE[kind]()), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cost=[1, 10], random_state=0)
    match = r"Member 'ruled' has a decision threshold.*TunedThresholdClassifierCV\(cascade\)"
    with pytest.warns(CascadeWarning, match=match):
        cascade.fit(*RARE)


def test_the_remedy_works():
    """A threshold tuned around the cascade raises F1 as one around a member does."""
    X, y = RARE
    X_fit, y_fit, X_test, y_test = X[:1000], y[:1000], X[1000:], y[1000:]
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cost=[1, 10], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = f1_score(y_test, cascade.fit(X_fit, y_fit).predict(X_test))
        around = tuned(cascade).fit(X_fit, y_fit)
    better = f1_score(y_test, around.predict(X_test))
    assert better > plain
    assert around.best_threshold_ < 0.5
    np.testing.assert_array_equal(
        around.predict(X_test),
        around.estimator_.predict_proba(X_test)[:, 1] >= around.best_threshold_,
    )


# Order ---------------------------------------------------------------------------------------


def cascade_of(*costs):
    members = [("lr", LogisticRegression()), ("dummy", DummyClassifier()), ("nb", GaussianNB())]
    return CascadeClassifier(members[: len(costs)], cost=list(costs), random_state=0)


def test_a_later_member_that_costs_less(faults):
    match = "Stage 'dummy' costs 2 and comes after 'lr', which costs 10"
    with pytest.warns(CascadeWarning, match=match) as caught:
        cascade_of(10, 2, 20).fit(faults.X, faults.Y)
    assert len(caught) == 1


def test_it_is_compared_with_the_most_expensive_before_it(faults):
    match = "Stage 'nb' costs 5 and comes after 'dummy', which costs 9"
    with pytest.warns(CascadeWarning, match=match):
        cascade_of(1, 9, 5).fit(faults.X, faults.Y)


@pytest.mark.parametrize("costs", [(1, 2, 3), (2, 2, 2)], ids=str)
def test_no_warning_for_the_right_order(costs, faults):
    cascade = cascade_of(*costs).fit(faults.X, faults.Y)  # warnings are errors
    assert "costs less than" not in cascade.summary()


def test_the_summary_names_a_dominated_member(faults):
    members = [("dummy", DummyClassifier()), ("nb", GaussianNB()), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cost=[5, 2, 10], random_state=0)
    with pytest.warns(CascadeWarning, match="Stage 'nb' costs 2"):
        cascade.fit(faults.X, faults.Y)
    text = cascade.summary()
    assert "'nb' costs less than 'dummy' and is at least as accurate" in text
    assert text.count("costs less than") == 1
