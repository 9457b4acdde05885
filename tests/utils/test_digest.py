"""Keys of caches: equal for what fits alike, different for what does not."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcascade.utils._digest import digest

X, Y = np.array([[0.0], [1.0], [2.0], [4.0]]), np.array([0, 0, 1, 1])


def pipeline(C=1.0):
    return make_pipeline(StandardScaler(), LogisticRegression(C=C))


def test_clones_and_fitted_estimators_have_the_same_digest():
    assert digest(pipeline()) == digest(clone(pipeline())) == digest(pipeline().fit(X, Y))


def test_parameters_and_types_count():
    digests = {digest(thing) for thing in (pipeline(), pipeline(2.0), GaussianNB(), GaussianNB)}
    assert len(digests) == 4


def test_fitted_state_counts_where_asked_for():
    one, other = GaussianNB().fit(X, Y), GaussianNB().fit(X + 1, Y)
    assert digest(one) == digest(other)
    assert digest(one, fitted=True) == digest(GaussianNB().fit(X, Y), fitted=True)
    assert digest(one, fitted=True) != digest(other, fitted=True)


def test_fitted_state_of_frozen_estimators_counts():
    one, other = (FrozenEstimator(GaussianNB().fit(X + shift, Y)) for shift in (0, 1))
    assert digest(one) != digest(other)
    assert digest(one) == digest(FrozenEstimator(GaussianNB().fit(X, Y)))


def test_data():
    assert digest(X) == digest(X.copy())
    assert digest({"a": X, "b": [Y]}) != digest({"a": X, "b": [Y + 1]})
    masked = np.ma.MaskedArray([1, 2], mask=[False, True])
    assert digest(masked) == digest(masked.copy())
    assert digest(masked) != digest(np.ma.MaskedArray([1, 2], mask=[True, False]))


def test_modules_by_class_and_weights():
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(2, 3)
    same = torch.nn.Linear(2, 3)
    same.load_state_dict(linear.state_dict())
    assert digest(linear) == digest(same)
    with torch.no_grad():
        same.bias += 1
    assert digest(linear) != digest(same)
    assert digest(torch.ones(2)) != digest(torch.zeros(2))


def test_fitted_nets_by_weights():
    pytest.importorskip("torch")
    from skcascade.members import TorchClassifier

    def fitted(seed):
        return TorchClassifier(max_epochs=1, random_state=seed).fit(X, Y)

    first, again, other = fitted(0), fitted(0), fitted(0).set_params(random_state=1)
    assert digest(first.net_, fitted=True) == digest(again.net_, fitted=True)
    assert digest(first, fitted=True) != digest(other, fitted=True)
    assert digest(first.net_, fitted=True) != digest(fitted(1).net_, fitted=True)


class Bayes(GaussianNB):
    """A class whose code is part of the key."""


def test_use_of_a_class_does_not_change_its_digest():
    before = digest(Bayes())
    copy.deepcopy(pickle.loads(pickle.dumps(Bayes().fit(X, Y))))  # Python notes slots in the class
    assert digest(Bayes()) == before
