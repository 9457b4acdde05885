"""Members, recorded answers and checks that several tests of the cascade use."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from skorch import NeuralNetClassifier
from torch import nn

from skcascade import CascadeClassifier, Trace, make_cascade
from skcascade.members import TorchClassifier

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]


# Members ---------------------------------------------------------------------------------


class Perceptron(nn.Module):
    """A hidden layer and a softmax."""

    def __init__(self, n_features=8, n_classes=3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, n_classes)
        )

    def forward(self, X):
        return self.layers(X).softmax(-1)


class Logits(nn.Linear):
    """A linear layer whose parameters have the names that `TorchClassifier` sets."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)


class CountedFits(GaussianNB):
    """Writes a line into the file `log` for every fit, in whatever process it happens."""

    def __init__(self, log="", var_smoothing=1e-9):
        super().__init__(var_smoothing=var_smoothing)
        self.log = log

    def fit(self, X, y, sample_weight=None):
        with Path(self.log).open("a") as file:
            file.write(joblib.hash(X) + "\n")
        return super().fit(X, y, sample_weight)


class RecordedStage(ClassifierMixin, BaseEstimator):
    """Answers `X[:, stage]`, where X is of shape (n_samples, n_stages, n_classes)."""

    def __init__(self, stage=0):
        self.stage = stage

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return X[:, self.stage]


def make_net(module=Perceptron, **params):
    params = {"max_epochs": 4, "lr": 0.1, "iterator_train__shuffle": True, **params}
    return NeuralNetClassifier(module, verbose=0, **params)


def make_torch(module=None, **params):
    return TorchClassifier(module, max_epochs=3, **params)


def fitted_net():
    """A raw net that learned codes, the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net().fit(X.astype(np.float32), Y)


KINDS = {
    "scikit-learn": lambda: GaussianNB(),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "calibrated": lambda: CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
    "frozen": lambda: FrozenEstimator(GaussianNB().fit(X, NAMES)),
    "raw net": lambda: make_net(),
    "raw net at the end of a pipeline": lambda: make_pipeline(
        StandardScaler(), FunctionTransformer(np.float32), make_net()
    ),
    "frozen raw net": lambda: FrozenEstimator(fitted_net()),
    "module": lambda: nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)),
    "module class": lambda: Logits,
    "TorchClassifier": lambda: make_torch(),
    "cascade": lambda: make_cascade(LogisticRegression(), GaussianNB(), cv=2),
}


@pytest.fixture(scope="session")
def raw_net():
    """Function that makes a raw skorch net, of `Perceptron` where no module is given."""
    return make_net


@pytest.fixture(scope="session")
def torch_member():
    """Function that makes a `TorchClassifier` of three epochs."""
    return make_torch


@pytest.fixture(scope="session")
def make_member():
    """Function that makes a member of a given kind, for the data of :func:`fitted`."""
    return lambda kind: KINDS[kind]()


@pytest.fixture(scope="session")
def perceptron():
    return Perceptron


@pytest.fixture(scope="session")
def logits():
    return Logits


@pytest.fixture(scope="session")
def counted():
    """Function that makes a naive Bayes which writes a line into a file for each fit."""
    return lambda log, **params: CountedFits(str(log), **params)


@pytest.fixture(scope="session")
def n_fits():
    """Function that counts the lines of such a file."""
    return lambda log: len(log.read_text().splitlines()) if log.exists() else 0


# Recorded answers ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def recorded():
    """Function that makes a cascade whose samples hold the answers of its stages."""

    def make(n_stages=2, **params):
        members = [(f"stage{k}", RecordedStage(k)) for k in range(n_stages)]
        costs = [10.0**k for k in range(n_stages)]
        return CascadeClassifier(members, **{"cost": costs, "random_state": 0, **params})

    return make


@pytest.fixture(scope="session")
def sure_or_not():
    """Function that draws answers of two stages, and labels.

    The first stage is sure of half of its answers.
    """

    def draw(correct_if_sure=1.0, correct_if_not=0.3, second=1.0, n=1000, seed=0):
        rng = np.random.default_rng(seed)
        y = rng.integers(2, size=n)
        sure = rng.uniform(size=n) < 0.5
        correct = rng.uniform(size=(n, 2)) < np.stack(
            [np.where(sure, correct_if_sure, correct_if_not), np.full(n, second)], axis=1
        )
        confidence = np.stack([np.where(sure, 0.95, 0.6), np.full(n, 0.9)], axis=1)
        pred = np.where(correct, y[:, np.newaxis], 1 - y[:, np.newaxis])
        return Trace.from_top1(pred, confidence, n_classes=2).proba, y

    return draw


@pytest.fixture(scope="session")
def rejecting(recorded, sure_or_not):
    """Function that fits a cascade which rejects samples, and its samples and string labels.

    Where the first stage is not sure, the second one is rarely correct.
    """

    def fit(**params):
        proba, y = sure_or_not(correct_if_not=0.2, second=0.5)
        names = np.array(["no", "yes"])[y]
        params = {"cv": 0.5, "reject_cost": 0.3, "alpha": 0.05, **params}
        return recorded(**params).fit(proba, names), proba, names

    return fit


# Fits that are refused -------------------------------------------------------------------


@pytest.fixture(scope="session")
def refuses():
    """Function that checks that `fit` raises before any member is fitted, and changes nothing.

    Members are naive Bayes unless others are given; only naive Bayes notices that it is fitted.
    """
    data = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)

    def check(match, X=data[0], y=data[1], error=ValueError, fit_params=None, **params):
        members = params.pop("members", [("first", GaussianNB()), ("second", GaussianNB())])
        check_refused(
            CascadeClassifier(members, **{"random_state": 0, **params}),
            X, y, match, error, fit_params or {},
        )  # fmt: skip

    return check


@pytest.fixture(scope="session")
def refused():
    """Function that checks the same of a given cascade, fitted or not."""
    return check_refused


def check_refused(cascade, X, y, match, error=ValueError, fit_params=()):
    before = dict(vars(cascade))
    with (
        patch.object(GaussianNB, "fit", autospec=True, side_effect=AssertionError("Fitted.")),
        pytest.raises(error, match=match),
    ):
        cascade.fit(X, y, **dict(fit_params))
    check_same(before, vars(cascade))


@pytest.fixture(scope="session")
def unchanged():
    """Function that checks that two sets of attributes are of the same objects."""
    return check_same


def check_same(before, after):
    assert before.keys() == after.keys()
    assert [name for name, value in before.items() if after[name] is not value] == []


# Other processes -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def run_python():
    """Function that runs Python from here, with warnings as errors, and gives the lines printed."""

    def run(*args):
        done = subprocess.run(
            [sys.executable, "-W", "error", *args],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run
