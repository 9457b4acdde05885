"""No certificate by a side door: the operating point refuses what `fit` refuses."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import make_cascade

DOORS = {
    "folds": ({"cv": 3}, {}, "the very members that are deployed"),
    "splits": ({"cv": None}, {}, "the very members that are deployed"),
    "weights": ({}, {"sample_weight": 1.0}, "cannot be combined with `sample_weight`"),
    "max_error": ({"max_error": 0.2, "cv": 3}, {}, "the very members that are deployed"),
    "reject_rate": ({"reject_rate": 0.2, "cv": 3}, {}, "the very members that are deployed"),
}


def cascade_for(door, faults):
    params, weights, match = DOORS[door]
    params = dict(params)
    if door == "splits":
        rows = np.arange(len(faults.Y))
        params["cv"] = [(rows[rows % 2 != k], rows[rows % 2 == k]) for k in range(2)]
    weights = {name: value + np.arange(len(faults.Y)) % 2 for name, value in weights.items()}
    members = GaussianNB(), LogisticRegression()
    return make_cascade(*members, cost=[1, 10], random_state=0, **params), weights, match


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("point", [{"max_accuracy_drop": 0.1}, {"max_cost": 0.9}], ids=str)
def test_set_operating_point_gives_the_error_of_fit(door, point, faults):
    cascade, weights, match = cascade_for(door, faults)
    cascade.fit(faults.X, faults.Y, **weights)
    expected = faults.answers(cascade)
    cascade.set_params(confidence_level=0.9)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match=match) as asked:
        cascade.set_operating_point(**point)
    faults.check_same_attributes(cascade, before)
    faults.check_same_answers(expected, faults.answers(cascade))
    with pytest.raises(ValueError, match=match) as fitted:
        clone(cascade).set_params(**point).fit(faults.X, faults.Y, **weights)
    assert str(asked.value) == str(fitted.value)


def test_what_may_be_certified_still_is(faults):
    members = [GaussianNB().fit(faults.X, faults.Y), LogisticRegression().fit(faults.X, faults.Y)]
    frozen = make_cascade(*map(FrozenEstimator, members), cost=[1, 10], random_state=0, cv=3).fit(
        faults.X, faults.Y
    )
    held_out = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    held_out.fit(faults.X, faults.Y)
    for cascade in (frozen, held_out):
        cascade.set_params(confidence_level=0.5).set_operating_point(max_accuracy_drop=0.5)
        assert cascade.walk(faults.X).exit.min() == 0


def test_a_later_parameter_does_not_open_the_door(faults):
    cascade, _, match = cascade_for("folds", faults)
    cascade.fit(faults.X, faults.Y).set_params(confidence_level=0.9, cv=0.2)
    with pytest.raises(ValueError, match=match):
        cascade.set_operating_point(max_accuracy_drop=0.1)
