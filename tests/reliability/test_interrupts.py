"""Ctrl-C stops a fit at once, whatever trains; callbacks may still stop training early."""

import signal

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skcascade import CascadeClassifier, make_cascade
from skcascade.members import TorchClassifier

TABLE = "WORKERS"


@pytest.mark.filterwarnings("ignore:A worker stopped while:UserWarning")
@pytest.mark.filterwarnings("ignore:resource_tracker:UserWarning")
def test_fault(fault_case, check, faults):
    """Faults in worker processes, and the next fit has workers again."""
    faults.CHECKS[check](fault_case)
    cascade = fault_case.cascade().fit(faults.X, faults.Y)
    assert len(cascade.predict(faults.X)) == len(faults.X)


@pytest.fixture
def counted(monkeypatch):
    """The number of fits of a linear model, which comes after the member that is interrupted."""
    fits = []
    fit = LogisticRegression.fit

    def note(self, *args, **params):
        fits.append(self)
        return fit(self, *args, **params)

    monkeypatch.setattr(LogisticRegression, "fit", note)
    return fits


PLACES = [
    "scikit-learn",
    "pipeline",
    "step of a pipeline",
    "raw net",
    "net in a pipeline",
    "TorchClassifier",
    "early exits, joint",
    "early exits, backtrack",
]


def interrupted(faults, place):
    """The row of the table that interrupts a member."""
    return next(case for case in faults.CASES if case.place == place and case.fault == "Ctrl-C")


@pytest.mark.parametrize("place", PLACES)
def test_no_later_member_is_fitted_and_nothing_is_cached(place, faults, counted, tmp_path):
    case = interrupted(faults, place)
    cascade = case.cascade(memory=str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        cascade.fit(case.X, faults.Y)
    assert counted == []
    assert list(tmp_path.rglob("output.pkl")) == []


class StopAt(Callback):
    """Stops training as skorch's own callbacks do."""

    def __init__(self, epoch=1):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


def stopped(faults, kind, stop):
    """A member whose training a callback stops."""
    callbacks = [("stop", stop)]
    if kind == "torch":
        return TorchClassifier(max_epochs=5, callbacks=callbacks, early_stopping=False)
    return NeuralNetClassifier(
        faults.FaultyNet, module__softmax=True, max_epochs=5, callbacks=callbacks,
        train_split=None, verbose=0,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["torch", "raw"])
def test_a_callback_may_stop_training_early(kind, faults, counted):
    member = stopped(faults, kind, StopAt(2))
    cascade = CascadeClassifier(
        [("net", member), ("lr", LogisticRegression())], cost=[1, 10], random_state=0
    ).fit(faults.X, faults.Y)
    net = getattr(cascade.members_.net, "net_", cascade.members_.net)
    assert len(net.history) == 2
    assert len(counted) == 1


def test_the_next_fit_after_an_interrupt_is_whole(faults, tmp_path, monkeypatch):
    """A half-trained net must not come from the cache."""
    X, y = faults.X, faults.Y
    pressed = [True]
    params = {"cost": [1.0], "memory": str(tmp_path), "random_state": 0}

    def member():
        return NeuralNetClassifier(
            faults.FaultyNet, module__softmax=True, max_epochs=30, lr=0.1, train_split=None,
            verbose=0,
        )  # fmt: skip

    whole = make_cascade(member(), cost=[1.0], random_state=0).fit(X, y)

    begin = NeuralNetClassifier.on_epoch_begin

    def press_once(net, *args, **kwargs):
        if pressed:
            pressed.pop()
            faults.act("Ctrl-C")
        return begin(net, *args, **kwargs)

    cascade = make_cascade(member(), **params)
    with monkeypatch.context() as patch:
        patch.setattr(NeuralNetClassifier, "on_epoch_begin", press_once)
        with pytest.raises(KeyboardInterrupt):
            cascade.fit(X, y)
    assert pressed == []
    again = cascade.fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))


def test_the_handler_of_the_user_is_restored(faults):
    before = signal.getsignal(signal.SIGINT)
    case = interrupted(faults, "TorchClassifier")
    with pytest.raises(KeyboardInterrupt):
        case.cascade().fit(case.X, faults.Y)
    assert signal.getsignal(signal.SIGINT) is before
    case.cascade().fit(faults.X, faults.Y)
    assert signal.getsignal(signal.SIGINT) is before
