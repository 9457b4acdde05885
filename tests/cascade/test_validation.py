"""Input that cannot be used: refused with the name of the parameter and what to do about it.

What can be known beforehand is told before any member is fitted.
"""

import copy

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcascade import CascadeClassifier, Trace, fit_policy, make_cascade
from skcascade.costs import FixedCost, LatencyCost
from skcascade.policies import ConfidenceThreshold

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
ROWS = np.arange(len(Y))


class Answers(GaussianNB):
    """Answers what it is told to, whatever it is asked."""

    def __init__(self, answer=None):
        super().__init__()
        self.answer = answer

    def predict_proba(self, X):
        return self.answer(super().predict_proba(X))


class Unpredictable(BaseEstimator):
    def fit(self, X, y):
        return self


# Members ----------------------------------------------------------------------------------


def with_bayes(member):
    return [("bayes", GaussianNB()), ("other", member)]


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([], "`members` is empty: give at least one"),
        ((), "`members` is empty: give at least one"),
        ([GaussianNB(), GaussianNB()], r"`members` must be a list of \(name, estimator\) tuples"),
        ([("a", GaussianNB(), 1)], r"`members` must be a list of \(name, estimator\) tuples"),
        ([(1, GaussianNB())], r"`members` must be a list of \(name, estimator\) tuples"),
        ({"a": GaussianNB()}, "'members' parameter of CascadeClassifier must be an instance of"),
        (
            [("a", GaussianNB()), ("a", GaussianNB())],
            "must have different names, .*Rename",
        ),
        ([("a__b", GaussianNB())], "names must not contain __: got .'a__b'"),
        ([("policy", GaussianNB())], "names conflict with constructor arguments: .'policy'"),
        (with_bayes(LinearSVC()), r"'other' \(LinearSVC\) has no `predict_proba`.*Calibrated"),
        (with_bayes(SGDClassifier()), "'other' .* has no `predict_proba`.*Choose its parameters"),
        (with_bayes(Unpredictable()), "'other' .* has no `predict_proba`"),
        (with_bayes(GaussianNB), "'other' must be an instance of a classifier"),
        (with_bayes("drop"), "'other' must be an instance of a classifier"),
        (with_bayes(None), "'other' must be an instance of a classifier"),
        (with_bayes(FrozenEstimator(GaussianNB())), "'other' is not fitted.*FrozenEstimator need"),
    ],
)
def test_members_that_cannot_be_used(members, match, refuses):
    refuses(match, members=members)


def test_one_member_is_allowed():
    cascade = make_cascade(GaussianNB(), random_state=0).fit(X, Y)
    assert set(cascade.predict_exit(X)) == {0}
    assert cascade.predict_proba(X).shape == (120, 3)


def test_prefit_members_must_be_fitted(refuses):
    members = [("fitted", GaussianNB().fit(X, Y)), ("not", GaussianNB())]
    refuses("'not' is not fitted, as cv='prefit'", members=members, cv="prefit")


def test_frozen_member_that_knows_another_class(refuses):
    frozen = FrozenEstimator(GaussianNB().fit(X, Y))
    refuses(
        r"'other' knows classes that `y` lacks: \[2\]. Fit it on the labels",
        X[Y < 2],
        Y[Y < 2],
        members=with_bayes(frozen),
    )
    refuses("'other' knows classes that `y` lacks", y=Y.astype(str), members=with_bayes(frozen))
    refuses("'other' knows classes that `y` lacks", y=Y + 1, members=with_bayes(frozen))


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (
            lambda proba: proba * np.nan,
            "'other' answered NaN or infinity.*NaN comes from bad input",
        ),
        (
            lambda proba: proba + np.inf,
            "'other' answered NaN or infinity.*NaN comes from bad input",
        ),
        (lambda proba: proba[:, :2], r"'other' answered .*shape \(24, 2\), expected \(24, 3\)"),
        (lambda proba: proba[:5], r"'other' answered .*shape \(5, 3\), expected \(24, 3\)"),
        (lambda proba: proba[:, 0], r"'other' answered .*shape \(24,\), expected \(24, 3\)"),
    ],
    ids=["NaN", "infinity", "columns", "rows", "one column"],
)
def test_answers_that_cannot_be_used(answer, match):
    cascade = CascadeClassifier(with_bayes(Answers(answer)), random_state=0, cost=[1, 2])
    with pytest.raises(ValueError, match=match):
        cascade.fit(X, Y)


def test_nan_that_a_net_answers_later():
    cascade = make_cascade(Answers(np.copy), cost=[1], random_state=0).fit(X, Y)
    cascade.members_.answers.answer = lambda proba: proba * np.nan
    with pytest.raises(ValueError, match="'answers' answered NaN"):
        cascade.predict(X)


# Operating points -------------------------------------------------------------------------

POINTS = [
    ({"alpha": 0.1, "max_cost": 0.5}, "got `alpha` and `max_cost`. Set the others to None"),
    ({"alpha": 0.0, "max_accuracy_drop": 0.0}, "At most one of .*got `alpha` and `max_accuracy"),
    ({"max_accuracy_drop": 0.1, "max_cost": 0.5}, "got `max_accuracy_drop` and `max_cost`"),
    ({"alpha": -0.1}, "`alpha` must be a finite number, 0 or more, got -0.1"),
    ({"alpha": np.nan}, "`alpha` must be a finite number"),
    ({"alpha": np.inf}, "`alpha` must be a finite number"),
    ({"max_accuracy_drop": -0.01}, r"`max_accuracy_drop` must lie in \[0, 1\), got -0.01"),
    ({"max_accuracy_drop": 1}, r"`max_accuracy_drop` must lie in \[0, 1\), got 1"),
    ({"max_accuracy_drop": np.nan}, "`max_accuracy_drop` must lie in"),
    ({"max_cost": 0}, "`max_cost` must be a finite number above 0, got 0"),
    ({"max_cost": -1}, "`max_cost` must be a finite number above 0"),
    ({"max_cost": np.inf}, "`max_cost` must be a finite number above 0"),
]
CERTIFIED = [
    ({"confidence_level": 0.0}, r"`confidence_level` must lie in \(0, 1\), got 0.0"),
    ({"confidence_level": 1.0}, r"`confidence_level` must lie in \(0, 1\)"),
    ({"confidence_level": 90}, r"`confidence_level` must lie in \(0, 1\), got 90"),
    (
        {"confidence_level": 0.9, "alpha": 0.1},
        "`alpha` sets none. Give `max_accuracy_drop` or `max_cost`, or drop `confidence_level`",
    ),
]


@pytest.mark.parametrize(("params", "match"), POINTS + CERTIFIED, ids=str)
def test_operating_points_that_cannot_be_used(params, match, refuses):
    refuses(match, **params)


@pytest.mark.parametrize(("params", "match"), POINTS, ids=str)
def test_operating_points_are_checked_when_they_are_changed(fitted, params, match):
    with pytest.raises(ValueError, match=match):
        fitted.set_operating_point(**params)


@pytest.mark.parametrize(("params", "match"), POINTS + CERTIFIED, ids=str)
def test_operating_points_are_checked_over_recorded_outputs(params, match):
    trace = Trace(np.full((6, 2, 2), 0.5))
    with pytest.raises(ValueError, match=match):
        fit_policy(ConfidenceThreshold(), trace, [0, 1] * 3, cost=[1, 2], **params)


@pytest.fixture(scope="module")
def fitted():
    return make_cascade(LogisticRegression(), GaussianNB(), random_state=0).fit(X, Y)


def test_operating_points_of_the_wrong_type(refuses):
    for name in ("alpha", "max_accuracy_drop", "max_cost", "confidence_level"):
        refuses(f"The '{name}' parameter of CascadeClassifier must be", **{name: "high"})


def test_confidence_level_needs_the_deployed_members(refuses):
    for cv in (3, KFold(3), [(ROWS[:60], ROWS[60:])]):
        refuses("`confidence_level` needs .*: a float `cv`, 'prefit'", cv=cv, confidence_level=0.9)


def test_confidence_level_with_weights(refuses):
    refuses(
        "`confidence_level` .*cannot be combined with `sample_weight`. Drop one",
        confidence_level=0.9,
        fit_params={"sample_weight": np.ones(120)},
    )


def test_epsilon_leaves_nothing_to_tune(refuses):
    policy = ConfidenceThreshold(tuning="per_stage", epsilon=0.1)
    refuses("leaves nothing to tune .*got alpha too. Drop one", policy=policy, alpha=0.1)


def test_max_cost_below_the_cheapest_stage():
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 4], random_state=0)
    message = "`max_cost`=0.2 cannot be reached: .*relative cost of 0.25. Raise `max_cost`, or add"
    with pytest.raises(ValueError, match=message):
        clone(cascade).set_params(max_cost=0.2).fit(X, Y)
    assert cascade.set_params(max_cost=0.25).fit(X, Y).policy_.stages_ == [0]


# Costs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [list, FixedCost])
@pytest.mark.parametrize(
    ("cost", "match"),
    [
        ([1], r"`cost` must give one .* for each of the 2 stages.*got .*\(1,\)"),
        ([1, 2, 3], "`cost` must give one .* for each of the 2 stages"),
        ([[1, 2]], r"or a matrix of edges of shape \(2, 2\), got .*\(1, 2\)"),
        ([], "`cost` must give one .* for each of the 2 stages"),
        ([-1, 2], r"`cost`: every .* must be a finite number, 0 or more, got \[-1.0"),
        ([1, np.nan], "`cost`: every .* must be a finite number"),
        ([1, np.inf], "`cost`: every .* must be a finite number"),
        ([1, 0], "`cost`: the last stage must cost more than 0"),
    ],
    ids=str,
)
def test_costs_that_cannot_be_used(cost, match, wrap, refuses):
    refuses(match, cost=wrap(cost))


def test_costs_of_the_wrong_type(refuses):
    refuses("The 'cost' parameter of CascadeClassifier must be", cost="flops")
    refuses("The 'cost' parameter of CascadeClassifier must be", cost=LatencyCost)


def test_a_free_first_stage_is_allowed():
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[0, 1], random_state=0)
    assert cascade.fit(X, Y).cost_.edge_costs_[0, 0] == 0


# X, y and weights -------------------------------------------------------------------------


def test_one_class_only(refuses):
    refuses("`y` holds one class only; a classifier needs at least 2 classes", y=np.ones(120))
    refuses("`y` holds one class only", y=["yes"] * 120)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (Y[:-1], "inconsistent numbers of samples: 120 in `X`, 119 in `y`"),
        (np.linspace(0, 1, 120), "Unknown label type: continuous"),
        (np.where(ROWS == 3, np.nan, Y), "Input y contains NaN"),
        (np.stack([Y, Y], axis=1), "y should be a 1d array"),
    ],
    ids=["None", "length", "continuous", "NaN", "2-D"],
)
def test_y_that_cannot_be_used(y, match, refuses):
    refuses(match, y=y)


@pytest.mark.parametrize("empty", [X[:0], pd.DataFrame(X[:0]), csr_array(X[:0]), [], {"X": X[:0]}])
def test_empty_x(fitted, empty, refused):
    match = r"Found array with 0 sample\(s\) in `X`, at least 1 is required"
    with pytest.raises(ValueError, match=match):
        fitted.predict_proba(empty)
    refused(make_cascade(GaussianNB()), empty, Y[:0], match)


METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_exit",
    "predict_cost",
    "decision_path",
    "staged_predict_proba",
    "walk",
    "evidence",
    "record",
]


def ask(cascade, method, X):
    answer = getattr(cascade, method)(X)
    return list(answer) if method == "staged_predict_proba" else answer


@pytest.mark.parametrize("method", METHODS)
def test_x_of_another_width(fitted, method, unchanged):
    before = dict(vars(fitted))
    for narrow in (X[:, :5], pd.DataFrame(X[:, :5]), csr_array(X[:, :5])):
        with pytest.raises(
            ValueError, match="X has 5 features, but CascadeClassifier is expecting 6"
        ):
            ask(fitted, method, narrow)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead.*Reshape"):
        ask(fitted, method, X[0])
    unchanged(before, vars(fitted))


@pytest.mark.parametrize("method", METHODS)
def test_before_fit(method):
    with pytest.raises(NotFittedError, match="This CascadeClassifier instance is not fitted yet"):
        ask(make_cascade(GaussianNB()), method, X)


def test_other_methods_before_fit():
    cascade = make_cascade(GaussianNB())
    for method in (cascade.summary, cascade.set_operating_point, lambda: cascade.score(X, Y)):
        with pytest.raises(NotFittedError, match="not fitted yet. Call 'fit'"):
            method()
    with pytest.raises(AttributeError, match="no trace: not fitted"):
        cascade.trace_


def test_nan_in_x():
    # The tree takes NaN and the linear model does not: told whichever way the row goes.
    cascade = make_cascade(DecisionTreeClassifier(), LogisticRegression(), cost=[1, 100], alpha=9.0)
    cascade.fit(X, Y)
    assert set(cascade.predict_exit(X)) == {0}
    holed = copy.copy(X)
    holed[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        cascade.predict(holed)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        clone(cascade).fit(holed, Y)
    tree = make_cascade(DecisionTreeClassifier()).fit(holed, Y)
    assert tree.predict(holed).shape == (120,)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.zeros(120), "`sample_weight` is zero on all rows|at least one non-zero number"),
        (np.where(Y == 0, 1.0, 0.0), "`sample_weight` is zero .*all but those of one class"),
        (np.full(120, -1.0), "[Nn]egative values in data passed to `sample_weight`"),
        (np.ones(119), r"sample_weight.shape == \(119,\), expected \(120,\)"),
        (np.full(120, np.nan), "Input sample_weight contains NaN"),
    ],
    ids=["zero", "one class", "negative", "length", "NaN"],
)
def test_weights_that_cannot_be_used(weight, match, refuses):
    refuses(match, fit_params={"sample_weight": weight})


def test_other_parameters_of_the_wrong_type(refuses):
    for name, value in {
        "policy": "confidence",
        "loss": "hinge",
        "memory": 3,
        "batch_size": 0,
        "n_jobs": 1.5,
        "random_state": "seed",
        "verbose": "loud",
    }.items():
        refuses(f"The '{name}' parameter of CascadeClassifier must be", **{name: value})


def test_memory_needs_an_int_random_state(tmp_path, refuses):
    refuses("`memory` needs an int `random_state`", memory=str(tmp_path), random_state=None)


# Checks change nothing --------------------------------------------------------------------

#: Parameters, the data (None: that of the first fit), and the message.
REFUSED = {
    "y with NaN": ({}, X, np.where(ROWS == 3, np.nan, Y), "Input y contains NaN"),
    "y of another length": ({}, X, Y[:-1], "inconsistent numbers of samples"),
    "no y": ({}, X, None, "requires y to be passed"),
    "continuous y": ({}, X, np.linspace(0, 1, 120), "Unknown label type"),
    "one class": ({}, X, np.ones(120), "`y` holds one class only"),
    "reject_label": ({"reject_cost": 0.1, "reject_label": 2}, X, Y, "`reject_label`, 2, is"),
    "reject_cost": ({"reject_cost": 0.1, "max_error": 0.1}, X, Y, "At most one of `reject_cost`"),
    "reject_cost of 1": ({"reject_cost": 1.0}, X, Y, "'reject_cost' parameter"),
    "max_error": ({"max_error": 0.1, "confidence_level": 0.9, "cv": 3}, X, Y, "needs held-out"),
    "reject_rate": ({"reject_rate": 0.1, "max_error": 0.1}, X, Y, "At most one of `reject_cost`"),
    "no members": ({"members": []}, X, Y, "`members` is empty"),
    "members of one name": ({"members": [("a", GaussianNB())] * 2}, X, Y, "different names"),
    "a member named reject": ({"members": [("reject", GaussianNB())]}, X, Y, "none of them"),
    "members": ({"members": with_bayes(LinearSVC())}, X, Y, "has no `predict_proba`"),
    "members that are not fitted": ({"cv": "prefit"}, X, Y, "is not fitted"),
    "costs": ({"cost": [1, 2, 3]}, X, Y, "`cost` must give one .* for each of the 2 stages"),
    "alpha": ({"alpha": -1.0}, X, Y, "`alpha` must be a finite number"),
    "cv": ({"cv": [(ROWS, ROWS)]}, X, Y, "`cv` holds out rows that members are fitted on"),
    "policy": ({"policy": ConfidenceThreshold(epsilon=0.1)}, X, Y, "`epsilon` needs"),
    "no rows": ({}, X[:0], Y[:0], "0 sample"),
    "another width": ({}, X[:, :5], Y[:-1], "inconsistent numbers of samples"),
    "a frame": ({}, pd.DataFrame(X).add_prefix("x"), np.ones(120), "`y` holds one class only"),
    "names of two types": ({}, pd.DataFrame(X, columns=[0, 1, 2, 3, 4, "a"]), Y, "type|names"),
    "frozen member": (
        {"members": with_bayes(FrozenEstimator(GaussianNB().fit(X, Y)))},
        X,
        Y + 1,
        "'other' knows classes that `y` lacks",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("fitted_on", [None, "array", "frame"])
def test_a_fit_that_is_refused_changes_nothing(case, fitted_on, refused):
    params, new_X, new_y, match = REFUSED[case]
    cascade = make_cascade(GaussianNB(), GaussianNB(), cost=[1, 9], random_state=0)
    samples = pd.DataFrame(X).add_prefix("f") if fitted_on == "frame" else X
    if fitted_on is not None:
        expected = cascade.fit(samples, Y).predict_proba(samples)
    cascade.set_params(**params)
    refused(cascade, new_X, new_y, match, (ValueError, TypeError))
    if fitted_on is not None:
        assert np.array_equal(cascade.predict_proba(samples), expected)
        assert cascade.n_features_in_ == 6


def test_weights_that_are_refused_change_nothing(refused):
    cascade = make_cascade(GaussianNB(), GaussianNB(), cost=[1, 9], random_state=0).fit(X, Y)
    for weight in (np.zeros(120), np.ones(119), np.full(120, -1.0)):
        refused(cascade, X, Y, "[Ss]ample.weight", fit_params={"sample_weight": weight})
    refused(cascade, X, Y, "only supported if", fit_params={"groups": ROWS})
