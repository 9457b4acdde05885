"""Warnings point at the line of the user, however deep in the package they are issued."""

import inspect
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV

from skcascade.exceptions import CascadeWarning
from skcascade.utils._warn import warn

CODE = """
def call(function, *args):
    return function(*args)
"""


def inside(package):
    """A function `call(function, *args)` whose frame belongs to `package`."""
    scope = {"__name__": package}
    exec(CODE, scope)
    return scope["call"]


def line():
    """Number of the line that calls this."""
    return inspect.currentframe().f_back.f_lineno


def test_category_and_message():
    with pytest.warns(CascadeWarning, match=r"^Two stages are enough\.$"):
        warn("Two stages are enough.")
    with pytest.warns(FutureWarning, match="later"):
        warn("later", FutureWarning)


@pytest.mark.parametrize("depth", [0, 1, 5])
@pytest.mark.parametrize("package", ["skcascade.tuning", "sklearn", "joblib.parallel", "torch"])
def test_frames_of_packages_are_skipped(package, depth):
    call = inside(package)
    with pytest.warns(CascadeWarning) as caught:
        call(*[call] * depth, warn, "message")
        here = line() - 1
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, here)}


def test_names_that_only_begin_like_a_package_are_the_users():
    call = inside("torch_models.mine")
    with pytest.warns(CascadeWarning) as caught:
        call(warn, "message")
    assert caught[0].filename == "<string>"


def test_without_a_user_it_points_at_the_outermost_frame(monkeypatch):
    monkeypatch.setattr("skcascade.utils._warn._is_internal", lambda frame: True)
    with pytest.warns(CascadeWarning, match="message"):
        warn("message")


def test_through_a_grid_search():
    torch = pytest.importorskip("torch")
    from skcascade.members import TorchClassifier

    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.tile([0, 1], 20)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(dim=1))
    search = GridSearchCV(TorchClassifier(module, max_epochs=1), {"lr": [0.1]}, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CascadeWarning)
        search.fit(X, y)
        here = line() - 1
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, here)}


def test_estimators_of_users_are_the_users():
    class Mine(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            inside("skcascade.members")(warn, "message")
            return self

        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    with pytest.warns(CascadeWarning) as caught:
        GridSearchCV(Mine(), {}, cv=2).fit(np.zeros((8, 1)), [0, 1] * 4)
    assert {w.filename for w in caught} == {__file__}
