"""Which rows are held out: one hold-out, folds, splitters, "prefit"."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.naive_bayes import GaussianNB

from skcascade import make_cascade
from skcascade.cascade._splits import split_rows

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
ROWS = np.arange(len(Y))


def split(cv, y=Y, seed=0):
    return split_rows(cv, y, np.unique(y, return_inverse=True)[1], np.random.RandomState(seed))


def same(one, other):
    assert len(one) == len(other)
    return all(np.array_equal(a, b) for pair in zip(one, other) for a, b in zip(*pair))


def test_prefit_holds_out_all_rows():
    [(train, test)] = split("prefit")
    assert np.array_equal(train, ROWS)
    assert np.array_equal(test, ROWS)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_one_stratified_hold_out(share):
    [(train, test)] = split(share)
    assert len(test) == share * 120
    assert np.array_equal(np.sort(np.r_[train, test]), ROWS)
    rates = np.bincount(Y[test]) / len(test)
    assert np.allclose(rates, np.bincount(Y) / 120, atol=1 / len(test))
    seed = np.random.RandomState(0).randint(2**31 - 1)
    splitter = StratifiedShuffleSplit(1, test_size=share, random_state=seed)
    assert same(split(share), list(splitter.split(X, Y)))


@pytest.mark.parametrize(
    ("cv", "splitter"),
    [(3, StratifiedKFold(3)), (None, StratifiedKFold(5)), (KFold(4), KFold(4))],
    ids=str,
)
def test_folds_of_scikit_learn(cv, splitter):
    names = np.array(["ash", "oak", "yew"])[Y]
    assert same(split(cv, names), list(splitter.split(X, names)))


def test_given_folds_are_taken_as_they_are():
    folds = [([0, 1, 2], [3, 4]), (ROWS[50:], ROWS[:5][::-1])]
    with pytest.raises(ValueError, match="more than once"):
        split(folds)
    folds[1] = (ROWS[50:], ROWS[5:9][::-1])
    assert same(split(folds), [tuple(map(np.asarray, fold)) for fold in folds])


@pytest.mark.parametrize("cv", [0.2, KFold(3, shuffle=True), ShuffleSplit(1)], ids=str)
def test_splits_follow_the_seed(cv):
    assert same(split(cv), split(cv))
    assert not same(split(cv), split(cv, seed=1))
    assert getattr(cv, "random_state", None) is None  # the splitter itself is not seeded


def test_a_splitter_with_a_seed_keeps_it():
    cv = KFold(3, shuffle=True, random_state=5)
    assert same(split(cv), split(cv, seed=1))


def test_later_draws_do_not_depend_on_the_kind_of_split():
    draws = set()
    for cv in ("prefit", 0.2, 3, KFold(3, shuffle=True)):
        rng = np.random.RandomState(0)
        split_rows(cv, Y, Y, rng)
        draws.add(rng.randint(2**31 - 1))
    assert len(draws) == 1


def test_splitters_follow_the_random_state_of_the_cascade():
    for cv in (KFold(3, shuffle=True), ShuffleSplit(1)):
        one, two, other = (
            make_cascade(GaussianNB(), cv=cv, random_state=seed).fit(X, Y).trace_.proba
            for seed in (0, 0, 1)
        )
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)
        assert cv.random_state is None


# Splits that are refused ------------------------------------------------------------------


def small_data(n_each):
    y = np.repeat([0, 1, 2], n_each)
    return np.random.default_rng(0).standard_normal((len(y), 2)), y


@pytest.mark.parametrize(
    ("n_each", "cv"),
    [([1, 60, 60], 0.2), ([2, 100, 100], 0.01), ([2, 100, 100], 0.99), ([2, 99, 99], 0.05)],
    ids=str,
)
def test_hold_out_too_small_for_every_class(n_each, cv, refuses):
    message = f"`cv`={cv} cannot hold out rows of all 3 classes.*Give more rows of the rarest class"
    refuses(message, *small_data(n_each), cv=cv)


def test_smallest_hold_out():
    cascade = make_cascade(GaussianNB(), random_state=0).fit(*small_data([4, 4, 4]))
    assert cascade.trace_.n_samples == 3  # a fifth of 12 rows, rounded up


@pytest.mark.parametrize("cv", [0.0, 1.0, -0.5, 1, 0, "loo", None, 1.5], ids=str)
def test_cv_that_cannot_be_used(cv, refuses):
    if cv is None:
        cascade = make_cascade(GaussianNB(), cv=cv).fit(X, Y)
        assert cascade.trace_.n_samples == 120  # scikit-learn's default, 5 folds
    else:
        refuses("The 'cv' parameter of CascadeClassifier must be", cv=cv)


def test_folds_that_overlap(refuses):
    refuses("`cv` holds out some rows more than once.*Use folds that", cv=RepeatedKFold())
    refuses("`cv` holds out rows that members are fitted on.*Use other rows", cv=[(ROWS, ROWS)])


def test_more_folds_than_rows_of_any_class(refuses):
    refuses("n_splits=100 cannot be greater than the number of members in each class", cv=100)


def test_splitters_that_need_groups(refuses):
    refuses("The 'groups' parameter should not be None", cv=GroupKFold(3))
