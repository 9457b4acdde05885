"""A cache never answers for something else, and what cannot be keyed is an error."""

import sys
import types
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from torch import nn

from skcascade import CascadeClassifier, make_cascade
from skcascade.members import TorchClassifier


class Activated(nn.Module):
    """A hidden layer, with an activation that is a plain attribute."""

    def __init__(self, act=torch.relu, n_features=4, n_classes=3):
        super().__init__()
        self.hidden, self.out = nn.Linear(n_features, 8), nn.Linear(8, n_classes)
        self.act = act

    def forward(self, X):
        return self.out(self.act(self.hidden(X)))


class Inner(nn.Module):
    """Scales by a plain attribute."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, X):
        return self.scale * X


class Tempered(LogisticRegression):
    """Has a temperature that is set after its fit."""

    def predict_proba(self, X):
        return softmax(self.decision_function(X) / getattr(self, "temperature_", 1.0), axis=1)


def softmax_net(faults, **params):
    return NeuralNetClassifier(
        faults.FaultyNet, module__softmax=True, max_epochs=2, train_split=None, verbose=0, **params
    )


@pytest.fixture
def told_apart(faults, tmp_path):
    """Function that checks that a second member does not get the answers of the first.

    It is given functions that make them, so that the code of the second can be a later one.
    """

    def check(make_first, make_second):
        X, y = faults.X, faults.Y
        params = {"cost": [1.0], "random_state": 0}
        cached = {**params, "memory": str(tmp_path)}
        one = make_cascade(make_first(), **cached).fit(X, y).trace_.proba
        second = make_second()
        other = make_cascade(second, **cached).fit(X, y).trace_.proba
        fresh = make_cascade(second, **params).fit(X, y).trace_.proba
        np.testing.assert_array_equal(other, fresh)
        assert not np.array_equal(one, other)

    return check


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def module_with(act):
    return seeded(lambda: Activated(act))


def nested(scale):
    return seeded(lambda: nn.Sequential(nn.Linear(4, 8), Inner(scale), nn.Linear(8, 3)))


MADE = {
    "activation": module_with,
    "in a TorchClassifier": lambda act: TorchClassifier(module_with(act), max_epochs=2),
    "in parameters": lambda act: TorchClassifier(
        Activated, module_params={"act": act}, max_epochs=2
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_modules_that_differ_in_a_plain_attribute(kind, told_apart):
    told_apart(lambda: MADE[kind](torch.relu), lambda: MADE[kind](torch.sin))


def test_submodules_that_differ_in_a_plain_attribute(told_apart):
    told_apart(lambda: nested(1.0), lambda: nested(3.0))


def test_frozen_nets_that_differ_in_a_plain_attribute(faults, told_apart):
    def frozen(act):
        member = TorchClassifier(
            module_with(torch.relu), max_epochs=2, standardize=False, random_state=0
        ).fit(faults.X, faults.Y)
        member.module_.act = act
        return FrozenEstimator(member)

    told_apart(lambda: frozen(torch.relu), lambda: frozen(torch.sin))


def test_frozen_raw_nets_that_differ_in_a_plain_attribute(faults, told_apart):
    def frozen(scale):
        y = faults.Y.astype(np.int64)
        net = seeded(lambda: softmax_net(faults, lr=0.1).fit(faults.X, y))
        net.module_.layer = nn.Sequential(net.module_.layer, Inner(scale))
        return FrozenEstimator(net)

    told_apart(lambda: frozen(1.0), lambda: frozen(4.0))


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_frozen_estimators_with_a_further_fitted_attribute(in_pipeline, faults, told_apart):
    def frozen(temperature):
        member = Tempered().fit(faults.X, faults.Y)
        member.temperature_ = temperature
        if in_pipeline:
            member = make_pipeline(FunctionTransformer().fit(faults.X), member)
        return FrozenEstimator(member)

    told_apart(lambda: frozen(1.0), lambda: frozen(5.0))


# Changed code ------------------------------------------------------------------------------


@pytest.fixture
def user_code(tmp_path):
    """Function that (re)defines a module of the user from its text, as an edit would."""

    def define(text, name="user_code"):
        module = types.ModuleType(name)
        module.__file__ = str(Path(tmp_path) / f"{name}.py")
        sys.modules[name] = module
        exec(compile(text, module.__file__, "exec"), vars(module))
        return module

    yield define
    for name in ("user_code", "user_helpers"):
        sys.modules.pop(name, None)


CLASS = """
import numpy as np
from sklearn.naive_bayes import GaussianNB
POWER = {power}
def sharpen(proba):
    return proba ** {helper}
class Base(GaussianNB):
    def raised(self, proba):
        return proba ** {base}
class Member(Base):
    share = {attribute}
    def predict_proba(self, X):
        proba = sharpen(self.raised(super().predict_proba(X))) ** ({own} * POWER * self.share)
        return proba / proba.sum(axis=1, keepdims=True)
"""
SAME = {"helper": 1.0, "base": 1.0, "own": 0.5, "power": 1.0, "attribute": 1.0}


@pytest.mark.parametrize("where", SAME)
def test_changed_code_of_a_class(where, user_code, told_apart):
    told_apart(
        lambda: user_code(CLASS.format(**SAME)).Member(),
        lambda: user_code(CLASS.format(**{**SAME, where: 0.3})).Member(),
    )


FUNCTION = """
import numpy as np
import user_helpers
OFFSET = {constant}
def moved(X):
    return X + OFFSET
def transform(X):
    return np.abs(moved(X)) ** {own} + user_helpers.shifted(X)
"""
HELPERS = "def shifted(X):\n    return X + X[:, :1] * {imported}\n"
AS_IT_WAS = {"constant": 0.0, "own": 1.0, "imported": 0.0}


@pytest.mark.parametrize("where", AS_IT_WAS)
def test_changed_code_of_a_function_transformer(where, user_code, told_apart):
    def member(numbers):
        user_code(HELPERS.format(**numbers), "user_helpers")
        transform = user_code(FUNCTION.format(**numbers)).transform
        return make_pipeline(FunctionTransformer(transform), GaussianNB())

    told_apart(lambda: member(AS_IT_WAS), lambda: member({**AS_IT_WAS, where: 2.0}))


MODULE = """
from torch import nn
class Net(nn.Module):
    def __init__(self, n_features=4, n_classes=3):
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)
    def forward(self, X):
        return self.layer({scale} * X)
"""


def test_changed_code_of_a_module(user_code, told_apart):
    def member(scale):
        return TorchClassifier(
            user_code(MODULE.format(scale=scale)).Net, max_epochs=2, standardize=False
        )

    told_apart(lambda: member(1), lambda: member(9))


def test_code_that_did_not_change_is_found_again(user_code, faults, tmp_path):
    params = {"cost": [1.0], "random_state": 0, "memory": str(tmp_path)}
    for _ in range(2):
        member = user_code(CLASS.format(**SAME)).Member()
        make_cascade(member, **params).fit(faults.X, faults.Y)
    assert len(list(tmp_path.rglob("_fit/*/output.pkl"))) == 1


# What cannot be keyed ------------------------------------------------------------------------


def closure(power):
    def transform(X):
        return X**power

    return transform


class LocalState(GaussianNB):
    """Has a function without a name as a parameter."""

    def __init__(self, function=None):
        super().__init__()
        self.function = function


class Unpicklable:
    """Can be copied, and not pickled."""

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        raise TypeError("This object is for one process.")


def lambda_module():
    module = module_with(torch.relu)
    module.act = lambda X: X
    return module


UNKEYABLE = {
    "lambda": lambda: make_pipeline(FunctionTransformer(lambda X: X), GaussianNB()),
    "closure": lambda: make_pipeline(FunctionTransformer(closure(1)), GaussianNB()),
    "parameter": lambda: LocalState(lambda X: X),
    "attribute of a module": lambda_module,
    "no pickle": lambda: LocalState(Unpicklable()),
}


@pytest.mark.parametrize("kind", UNKEYABLE)
def test_what_cannot_be_keyed_is_an_error_that_names_the_member(kind, faults, tmp_path):
    members = [("plain", GaussianNB()), ("odd", UNKEYABLE[kind]())]
    cascade = CascadeClassifier(members, cost=[1, 2], memory=str(tmp_path), random_state=0)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match=r"Member 'odd' cannot be cached.*memory=None"):
        cascade.fit(faults.X, faults.Y)
    faults.check_same_attributes(cascade, before)
    assert list(tmp_path.rglob("output.pkl")) == []


@pytest.mark.parametrize("kind", ["lambda", "closure"])
def test_it_works_without_memory(kind, faults):
    cascade = make_cascade(UNKEYABLE[kind](), cost=[1.0], random_state=0)
    assert cascade.fit(faults.X, faults.Y).score(faults.X, faults.Y) > 0.5


class OnlyCaches:
    """Has the method `cache` of joblib.Memory, and nothing else."""

    def cache(self, function, **params):
        return function


@pytest.mark.parametrize(
    "memory", [3, True, OnlyCaches(), ["cache"]], ids=["int", "bool", "no location", "list"]
)
def test_unsuitable_memory(memory, faults):
    cascade = make_cascade(GaussianNB(), memory=memory, random_state=0)
    with pytest.raises((ValueError, TypeError), match="memory"):
        cascade.fit(faults.X, faults.Y)
    assert not hasattr(cascade, "policy_")


# Broken files --------------------------------------------------------------------------------

SPOILS = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "noise": lambda data: bytes(range(256)) * 4,
}


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("fitted", [False, True])
def test_corrupt_files_are_replaced(spoil, fitted, faults, tmp_path):
    params = {"cost": [1, 10], "random_state": 0, "memory": str(tmp_path)}
    cascade = make_cascade(GaussianNB(), LogisticRegression(), **params).fit(faults.X, faults.Y)
    expected = faults.answers(cascade)
    files = list(tmp_path.rglob("output.pkl"))
    assert len(files) >= 3
    for file in files:
        file.write_bytes(SPOILS[spoil](file.read_bytes()))
    again = cascade if fitted else clone(cascade)
    again.fit(faults.X, faults.Y)
    faults.check_same_answers(expected, faults.answers(again))
    for file in files:
        joblib.load(file)  # raises if the file is still broken


def test_a_folder_that_cannot_be_written(faults, tmp_path):
    file = tmp_path / "file"
    file.write_text("This is no folder.")
    cascade = make_cascade(GaussianNB(), memory=str(file), cost=[1.0], random_state=0)
    with pytest.raises(OSError, match="file"):
        cascade.fit(faults.X, faults.Y)
    assert not hasattr(cascade, "policy_")
