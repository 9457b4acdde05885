"""Training by skorch: schedules, early stopping, callbacks, precision."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.datasets import make_blobs, make_classification
from skorch.callbacks import Callback
from torch import nn

from skcascade.members import TorchClassifier
from skcascade.members._training import hold_out

X, Y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)


def quick(module=None, **params):
    return TorchClassifier(module, **{"max_epochs": 3, "random_state": 0, **params})


class Recorder(Callback):
    """Notes the learning rate of every step."""

    def initialize(self):
        self.rates_ = []
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.rates_.append(net.optimizer_.param_groups[0]["lr"])


def test_it_learns():
    blobs, y = make_blobs(300, centers=4, n_features=5, random_state=0)
    assert TorchClassifier(random_state=0).fit(blobs, y).score(blobs, y) > 0.95


def test_early_stopping_keeps_the_best_epoch():
    noise = np.random.default_rng(0).integers(0, 3, 200)
    clf = quick(max_epochs=60, patience=2, lr=0.05).fit(X, noise)
    losses = [epoch["valid_loss"] for epoch in clf.history_]
    assert clf.n_iter_ == len(losses) < 60
    assert np.argmin(losses) == clf.n_iter_ - 3
    rest = clf.net_.get_params()["callbacks__early_stopping"]
    assert rest.best_epoch_ == np.argmin(losses) + 1


@pytest.mark.parametrize(("early_stopping", "stops"), [("auto", True), (False, False)])
def test_early_stopping_with_enough_rows(early_stopping, stops):
    clf = quick(early_stopping=early_stopping).fit(X, Y)
    assert ("valid_loss" in clf.history_[-1]) is stops


def test_early_stopping_with_too_few_rows():
    y = Y.copy()
    y[y == 2] = 1
    y[:5] = 2
    assert "valid_loss" not in quick().fit(X, y).history_[-1]
    y[1:5] = 1
    with pytest.raises(ValueError, match="`early_stopping=True` cannot hold out"):
        quick(early_stopping=True).fit(X, y)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", None])
def test_schedule_and_callbacks(schedule):
    recorder = Recorder()
    params = {"callbacks": [("rates", recorder)], "batch_size": 40, "early_stopping": False}
    clf = quick(schedule=schedule, lr=0.01, max_epochs=4, **params).fit(X, Y)
    assert not hasattr(recorder, "rates_")  # cloned, as scikit-learn does
    rates = dict(clf.net_.callbacks_)["rates"].rates_
    assert len(rates) == 4 * 5
    expected = {"one_cycle": [4e-4, 0.01], "cosine": [0.0, 0.01], None: [0.01, 0.01]}[schedule]
    assert max(rates) == pytest.approx(expected[1], rel=0.02)
    assert min(rates[0], rates[-1]) <= expected[0]


def test_batch_norm_never_sees_a_single_row():
    def build(n_features, n_classes):
        return nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, n_classes))

    quick(build, batch_size=16, early_stopping=False).fit(X[:33], Y[:33])


def test_verbose_prints_the_epochs(capsys):
    quick(verbose=1).fit(X, Y)
    assert "valid_loss" in capsys.readouterr().out
    quick().fit(X, Y)
    assert not capsys.readouterr().out


def test_held_out_rows_are_stratified_and_disjoint():
    X, codes = np.arange(40.0)[:, None], np.repeat([0, 1], 20)
    settings = SimpleNamespace(early_stopping=True, validation_fraction=0.25)
    train, valid = hold_out(X, codes, settings, np.random.RandomState(0))
    assert sorted([*train.X[:, 0].tolist(), *valid.X[:, 0].tolist()]) == list(range(40))
    assert valid.y.bincount().tolist() == [5, 5]
    assert train.y.bincount().tolist() == [15, 15]


def test_training_that_diverges_is_an_error():
    with pytest.raises(ValueError, match="Training diverged.*Lower `lr`"):
        quick(lr=1e30, early_stopping=False).fit(X, Y)
