"""Labels where samples may be rejected: one dtype for all batches, errors before fitting."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import make_cascade

DAYS = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], dtype="datetime64[D]")
LABELS = {
    "int": np.array([0, 1, 2]),
    "int8": np.array([0, 1, 2], dtype=np.int8),
    "unsigned": np.array([0, 1, 2], dtype=np.uint8),
    "float": np.array([0.0, 1.0, 2.0]),
    "short strings": np.array(["a", "b", "c"]),
    "long strings": np.array(["excellent", "unacceptable", "middle"]),
    "objects": np.array(["a", "bb", "ccc"], dtype=object),
    "dates": DAYS,
}


@pytest.fixture
def fitted(faults):
    """Function that fits a cascade which rejects, on labels of a kind."""

    def fit(kind, **params):
        labels = LABELS[kind]
        params = {
            "cost": [1, 10], "random_state": 0, "reject_cost": 0.1, "alpha": 0.001, "cv": 5,
            **params,
        }  # fmt: skip
        cascade = make_cascade(GaussianNB(), LogisticRegression(), **params)
        return cascade.fit(faults.X, labels[faults.Y])

    return fit


@pytest.mark.parametrize("kind", LABELS)
def test_the_dtype_does_not_depend_on_the_batch(kind, fitted, faults):
    cascade = fitted(kind)
    rejected = ~cascade.predict_proba(faults.X).any(axis=1)
    assert rejected.any() and not rejected.all()
    whole = cascade.predict(faults.X)
    for batch in (faults.X[rejected], faults.X[~rejected], faults.X[:1]):
        assert cascade.predict(batch).dtype == whole.dtype
    missing = cascade.labels_[-1]
    same = whole == missing if missing == missing else np.isnat(whole)
    np.testing.assert_array_equal(same, rejected)
    answered = whole[~rejected]
    assert set(answered.tolist()) <= set(LABELS[kind].tolist())


@pytest.mark.parametrize(
    ("kind", "label", "expected"),
    [
        ("int", -7, -7),
        ("int", -7.0, -7),
        ("float", 0.5, 0.5),
        ("short strings", "do not know", "do not know"),
        ("objects", "none", "none"),
    ],
)
def test_labels_that_can_share_the_dtype(kind, label, expected, fitted, faults):
    cascade = fitted(kind, reject_label=label)
    rejected = ~cascade.predict_proba(faults.X).any(axis=1)
    assert set(cascade.predict(faults.X)[rejected].tolist()) == {expected}


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("int", "reject"),
        ("int", 0.5),
        ("int", 1),
        ("float", "reject"),
        ("short strings", -1),
        ("short strings", "a"),
        ("dates", -1),
        ("dates", "reject"),
    ],
)
@pytest.mark.parametrize("how", [{"reject_cost": 0.1}, {"max_error": 0.1}], ids=str)
def test_labels_that_cannot_are_an_error_before_fitting(kind, label, how, faults, monkeypatch):
    def refuse(*args):
        raise AssertionError("Fitted.")

    monkeypatch.setattr(GaussianNB, "fit", refuse)
    cascade = make_cascade(GaussianNB(), cost=[1.0], reject_label=label, **how)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match="`reject_label`, .*Choose"):
        cascade.fit(faults.X, LABELS[kind][faults.Y])
    faults.check_same_attributes(cascade, before)


@pytest.mark.parametrize("kind", LABELS)
def test_without_rejection_labels_are_those_of_y(kind, fitted, faults):
    cascade = fitted(kind, reject_cost=None)
    assert cascade.predict(faults.X[:5]).dtype == LABELS[kind].dtype
    np.testing.assert_array_equal(cascade.labels_, cascade.classes_)


def test_a_refit_that_fails_keeps_the_labels(fitted, faults):
    cascade = fitted("short strings")
    expected = cascade.predict(faults.X)
    cascade.set_params(reject_label=-1)
    with pytest.raises(ValueError, match="`reject_label`"):
        cascade.fit(faults.X, LABELS["short strings"][faults.Y])
    np.testing.assert_array_equal(cascade.predict(faults.X), expected)
