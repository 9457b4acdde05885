"""Splits of every form work or are a clear error; rows that members know are noticed."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcascade import make_cascade
from skcascade.exceptions import CascadeWarning

N = 150
ROWS = np.arange(N)
EVEN, ODD = ROWS[ROWS % 2 == 0], ROWS[ROWS % 2 == 1]


@pytest.fixture
def fit(faults):
    """Function that fits two members with a `cv`."""

    def run(cv):
        members = GaussianNB(), LogisticRegression()
        cascade = make_cascade(*members, cost=[1, 10], cv=cv, random_state=0)
        return cascade.fit(faults.X, faults.Y)

    return run


SAME = {
    "masks": [(ROWS % 2 == 0, ROWS % 2 == 1)],
    "lists": [(EVEN.tolist(), ODD.tolist())],
    "negative numbers": [(EVEN - N, ODD - N)],
    "unsigned": [(EVEN.astype(np.uint16), ODD.astype(np.uint16))],
    "generator": None,
}


@pytest.mark.parametrize("form", SAME)
def test_forms_of_the_same_split(form, fit):
    cv = SAME[form] or (pair for pair in [(EVEN, ODD)])
    expected = fit([(EVEN, ODD)])
    np.testing.assert_array_equal(fit(cv).trace_.proba, expected.trace_.proba)


BROKEN = {
    "no folds": ([], "`cv` is empty"),
    "nothing to fit": ([([], ODD)], "`cv` selects no rows in fold 0"),
    "nothing held out": ([(EVEN, ODD[:50]), (EVEN, [])], "`cv` selects no rows in fold 1"),
    "an empty mask": ([(EVEN, np.zeros(N, bool))], "`cv` selects no rows in fold 0"),
    "too large": ([(EVEN, [N])], "`cv` must select rows by numbers below n_samples=150"),
    "too negative": ([(EVEN, [-N - 1])], "`cv` must select rows by numbers below n_samples=150"),
    "a short mask": ([(EVEN, np.ones(9, bool))], "`cv` must select rows by .*masks of that length"),
    "fractions": ([(EVEN, ODD / 2)], "`cv` must select rows by numbers"),
    "twice held out": ([(EVEN, ODD), (EVEN, ODD)], "`cv` holds out some rows more than once"),
    "negative twice": ([(EVEN, [1, 1 - N])], "`cv` holds out some rows more than once"),
    "held out and fitted": ([(ROWS, ODD)], "`cv` holds out rows that members are fitted on"),
    "masks that overlap": (
        [(ROWS < 100, ROWS > 90)],
        "`cv` holds out rows that members are fitted on",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_splits(kind, faults, monkeypatch):
    cv, match = BROKEN[kind]
    cascade = make_cascade(GaussianNB(), cost=[1.0], cv=cv, random_state=0)
    before = dict(vars(cascade))

    def refuse(*args):
        raise AssertionError("Fitted.")

    monkeypatch.setattr(GaussianNB, "fit", refuse)
    with pytest.raises(ValueError, match=match):
        cascade.fit(faults.X, faults.Y)
    faults.check_same_attributes(cascade, before)


@pytest.mark.parametrize("splitter", [GroupKFold(3), LeaveOneGroupOut()], ids=str)
def test_group_splits_as_a_list(splitter, fit, faults):
    splits = list(splitter.split(faults.X, faults.Y, ROWS % 3))
    assert fit(splits).trace_.n_samples == N


# Rows that members were fitted on --------------------------------------------------------------


def prefit(X, y):
    members = [DecisionTreeClassifier(random_state=k).fit(X, y) for k in range(2)]
    return make_cascade(*members, cost=[1, 10], cv="prefit", random_state=0)


def test_prefit_on_the_rows_of_the_members(faults):
    with pytest.warns(CascadeWarning, match="look like the rows that the members were fitted on"):
        prefit(faults.X, faults.Y).fit(faults.X, faults.Y)


def test_prefit_on_other_rows(faults):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prefit(faults.X[EVEN], faults.Y[EVEN]).fit(faults.X[ODD], faults.Y[ODD])
