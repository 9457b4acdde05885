"""The table of faults: what can break, in which place, and how a cascade must take it.

Parts of a cascade break on purpose where samples are marked, and work elsewhere. The tests of this
folder and `python -m benchmarks faults` use this table.
"""

import os
import re
import signal
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skcascade import CascadeClassifier
from skcascade.costs import BaseCostModel
from skcascade.members import EarlyExitNetClassifier, TorchClassifier
from skcascade.nets import EarlyExitNet
from skcascade.policies import BaseExitPolicy, Reinforce

X, Y = make_classification(
    150, 4, n_informative=4, n_redundant=0, n_classes=3, n_clusters_per_class=1, random_state=0
)
X = X.astype(np.float32)
#: Samples with this value in the first column break what has a fault.
MARK = 1e4
MARKED = np.column_stack([np.full(len(X), MARK, dtype=np.float32), X[:, 1:]])
#: The process that must survive.
HOME = os.getpid()


def is_marked(X):
    return bool((X[:, 0] > MARK / 2).any())


# Faults --------------------------------------------------------------------------------------


def act(fault):
    """Break as the name of the fault says; other faults do nothing here."""
    if fault == "raise":
        raise RuntimeError("Broken on purpose.")
    if fault == "Ctrl-C":
        signal.raise_signal(signal.SIGINT)
    if fault == "kill" and os.getpid() != HOME:
        os._exit(1)


#: Answers that are no probabilities, made of probabilities.
ANSWERS = {
    "NaN": lambda proba: proba * np.nan,
    "wrong shape": lambda proba: proba[:, :-1],
    "wrong rows": lambda proba: proba[1:],
    "logits": lambda proba: proba * 12 - 6,
    "log-probabilities": lambda proba: np.log(np.clip(proba, 1e-6, 1)),
    "zeros": lambda proba: proba * 0,
    "negative": lambda proba: 3 * proba - 2 / proba.shape[1],
    "complex": lambda proba: proba + 0j,
    "boolean": lambda proba: proba > 0.5,
    "text": lambda proba: proba.astype(str),
}
#: What the error says of each.
SAID = {
    "NaN": "answered NaN or infinity",
    "wrong shape": "answered probabilities of shape",
    "wrong rows": "answered probabilities of shape",
    "complex": "answered values of type complex",
    "boolean": "answered values of type bool",
    "text": "answered values of type <U",
}
NUMBERS = "answered (numbers from|rows that add up to) .*Logits and log-probabilities"
#: The same for tensors, where nets can give them.
TENSORS = {
    **{name: ANSWERS[name] for name in ("NaN", "wrong shape", "wrong rows", "logits", "zeros")},
    "log-probabilities": lambda proba: proba.clamp(1e-6, 1).log(),
    "negative": ANSWERS["negative"],
    "complex": ANSWERS["complex"],
    "boolean": ANSWERS["boolean"],
}
#: Faults of a net whose answers a softmax turns into probabilities.
LOGIT_FAULTS = ("NaN", "wrong shape", "wrong rows")


class FaultyNB(GaussianNB):
    """Naive Bayes that breaks on marked samples."""

    def __init__(self, fault=None, priors=None, var_smoothing=1e-9):
        super().__init__(priors=priors, var_smoothing=var_smoothing)
        self.fault = fault

    def fit(self, X, y, sample_weight=None):
        if is_marked(X):
            act(self.fault)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        if not is_marked(X):
            return proba
        if self.fault == "raise while answering":
            act("raise")
        return ANSWERS[self.fault](proba) if self.fault in ANSWERS else proba


class FaultyStep(TransformerMixin, BaseEstimator):
    """A transformer that breaks on marked samples."""

    def __init__(self, fault=None):
        self.fault = fault

    def fit(self, X, y=None):
        if is_marked(X):
            act(self.fault)
        return self

    def transform(self, X):
        return X[1:] if self.fault == "wrong rows" and is_marked(X) else X


class FaultyNet(nn.Module):
    """A linear layer that breaks on marked samples: in training, or in its answers."""

    def __init__(self, n_features=4, n_classes=3, fault=None, softmax=False):
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)
        self.fault, self.softmax = fault, softmax

    def forward(self, X):
        out = self.layer(X.clamp(-5, 5))
        if self.softmax:
            out = (4 * out).softmax(-1)
        if is_marked(X):
            if self.training:
                act(self.fault)
            elif self.fault in TENSORS:
                out = TENSORS[self.fault](out)
        return out


class Clamp(nn.Module):
    """Keeps the first column, so that exits see the mark."""

    def forward(self, X):
        return X + 0


class FaultyExits(EarlyExitNet):
    """Two exits, of which the first breaks on marked samples."""

    def __init__(self, n_features=4, n_classes=3, fault=None):
        heads = [FaultyNet(n_features, n_classes, fault), FaultyNet(n_features, n_classes)]
        super().__init__([Clamp(), Clamp()], heads)


class FaultyPolicy(BaseExitPolicy):
    """Breaks in one of its methods."""

    def __init__(self, fault=None, where="fit", threshold=0.8):
        self.fault = fault
        self.where = where
        self.threshold = threshold

    def _act(self, where):
        if self.where == where:
            act(self.fault)

    def fit(self, trace, y, cost, alpha, sample_weight=None):
        self._act("fit")
        return self

    def fine_tune(self, stages, *args):
        self._act("fine_tune")
        return stages

    def exit_mask(self, stage, proba):
        self._act("exit_mask")
        exits = proba[:, stage].max(axis=1) > self.threshold
        return self._spoil("exit_mask", exits, {"NaN": np.nan, "numbers": 1.0})

    def route(self, stage, proba):
        self._act("route")
        to = super().route(stage, proba)
        return self._spoil("route", to, {"NaN": np.nan, "back": stage, "too far": 99})

    def _spoil(self, where, values, instead):
        if self.where == where and self.fault in instead:
            return np.full(len(values), instead[self.fault])
        if self.where == where and self.fault == "wrong rows":
            return np.append(values, values[:1])
        return values


class FaultyCallback(Callback):
    """Breaks in joint training."""

    def __init__(self, fault=None):
        self.fault = fault

    def on_batch_begin(self, net, **kwargs):
        act(self.fault)


class FaultyCost(BaseCostModel):
    """Breaks while it measures."""

    unit = "units"

    def __init__(self, fault=None):
        self.fault = fault

    def measure(self, call):
        act(self.fault)
        wrong = {"NaN": np.nan, "negative": -1.0, "infinite": np.inf, "zeros": 0.0}
        return wrong.get(self.fault, 10.0**call.stage)


class FaultyLoss:
    """A loss that breaks on more rows than a check before fitting would try."""

    def __init__(self, fault=None):
        self.fault = fault

    def __call__(self, y, proba):
        loss = (proba.argmax(axis=1) != y).astype(float)
        if len(y) <= 3:
            return loss
        act(self.fault)
        wrong = {
            "NaN": loss * np.nan,
            "infinite": loss + np.inf,
            "wrong rows": loss[1:],
            "wrong shape": np.column_stack([loss, loss]),
        }
        return wrong.get(self.fault, loss)


# The table -----------------------------------------------------------------------------------


class Case(NamedTuple):
    """One fault in one place.

    Attributes
    ----------
    place, fault : str
    error, match : type and str
        The error that it must raise, and a regular expression for its message.
    member : callable, default=FaultyNB
        Makes the first of two members.
    change : dict, default={}
        Parameters of the cascade that bring the fault; none if marked samples do.
    live : bool, default=False
        Whether the fault also shows in predictions.
    n_jobs : int, default=None
        As in the cascade.
    """

    place: str
    fault: str
    error: Any
    match: str
    member: Any = FaultyNB
    change: dict = {}
    live: bool = False
    n_jobs: int | None = None

    def __repr__(self):
        return f"{self.place}-{self.fault}".replace(" ", "_")

    @property
    def X(self):
        """Samples that bring the fault."""
        return X if self.change else MARKED

    def cascade(self, **params):
        """A cascade that works on unmarked samples."""
        members = [("faulty", self.member()), ("other", LogisticRegression())]
        params = {"cost": FaultyCost(), "alpha": 0.3, "random_state": 0, "cv": 0.3, **params}
        return CascadeClassifier(members, n_jobs=self.n_jobs, **params)


OWN = {"raise": (RuntimeError, "Broken on purpose"), "Ctrl-C": (KeyboardInterrupt, "")}


def sklearn_member(fault):
    return lambda: FaultyNB(fault)


def pipeline(fault):
    return lambda: make_pipeline(FunctionTransformer(), FaultyNB(fault))


def pipeline_step(fault):
    return lambda: make_pipeline(FaultyStep(fault), GaussianNB())


def torch_member(fault):
    params = {"max_epochs": 9, "lr": 0.1, "standardize": False, "early_stopping": False}
    return lambda: TorchClassifier(FaultyNet, module_params={"fault": fault}, **params)


def raw_net(fault):
    return lambda: NeuralNetClassifier(
        FaultyNet, module__fault=fault, module__softmax=True, max_epochs=5, lr=0.1,
        train_split=None, verbose=0,
    )  # fmt: skip


def net_in_pipeline(fault):
    return lambda: make_pipeline(FunctionTransformer(np.float32), raw_net(fault)())


def early_exit(training):
    return lambda fault: (
        lambda: EarlyExitNetClassifier(
            FaultyExits, module__fault=fault, training=training, max_epochs=9, train_split=None
        )
    )


def member_cases(place, make, answers):
    """Faults of one kind of member."""
    for fault, (error, match) in OWN.items():
        match = match and f"{match}.*While fitting member 'faulty'"
        yield Case(place, fault, error, match, make(fault))
    for fault in answers:
        match = f"Member 'faulty' {SAID.get(fault, NUMBERS)}"
        if answers is LOGIT_FAULTS:  # these nets try their module on two rows before they train
            match += "|`module` must return.* logits of shape.*While fitting member 'faulty'"
        yield Case(place, fault, ValueError, match, make(fault), live=True)


def all_cases():
    """All rows of the table."""
    yield from member_cases("scikit-learn", sklearn_member, ANSWERS)
    answering = "raise while answering"
    yield Case("scikit-learn", answering, *OWN["raise"], sklearn_member(answering), live=True)
    yield from member_cases("pipeline", pipeline, ANSWERS)
    for fault, expected in OWN.items():
        yield Case("step of a pipeline", fault, *expected, pipeline_step(fault))
    yield from member_cases("raw net", raw_net, TENSORS)
    yield from member_cases("net in a pipeline", net_in_pipeline, TENSORS)
    yield from member_cases("TorchClassifier", torch_member, LOGIT_FAULTS)
    for training in ("joint", "backtrack"):
        place = f"early exits, {training}"
        yield from member_cases(place, early_exit(training), LOGIT_FAULTS)
    yield from policy_cases()
    yield from cost_and_loss_cases()


def policy_cases():
    for where in ("fit", "fine_tune", "exit_mask", "route"):
        for fault, expected in OWN.items():
            change = {"policy": FaultyPolicy(fault, where)}
            yield Case(f"policy.{where}", fault, *expected, change=change)
    for fault, expected in OWN.items():
        change = {"policy": Reinforce(callbacks=[FaultyCallback(fault)], max_epochs=1)}
        yield Case("Reinforce", fault, *expected, raw_net(None), change)
    wrong = {
        "exit_mask": ["NaN", "numbers", "wrong rows"],
        "route": ["NaN", "back", "too far", "wrong rows"],
    }
    for where, faults in wrong.items():
        for fault in faults:
            match = "`(exit_mask|route)` of FaultyPolicy must return"
            change = {"policy": FaultyPolicy(fault, where)}
            yield Case(f"policy.{where}", fault, ValueError, match, change=change)


def cost_and_loss_cases():
    for fault, expected in OWN.items():
        yield Case("cost", fault, *expected, change={"cost": FaultyCost(fault)})
        yield Case("loss", fault, *expected, change={"loss": FaultyLoss(fault)})
    for fault in ("NaN", "negative", "infinite", "zeros"):
        yield Case("cost", fault, ValueError, "`cost`.* must", change={"cost": FaultyCost(fault)})
    for fault in ("NaN", "infinite", "wrong rows", "wrong shape"):
        match = "`loss` must return (finite numbers|one number per sample)"
        yield Case("loss", fault, ValueError, match, change={"loss": FaultyLoss(fault)})


CASES = tuple(all_cases())

#: Faults in worker processes, which take seconds to start.
KILLED = (RuntimeError, "worker process managed by the executor was unexpectedly terminated")
WORKERS = (
    Case("worker, scikit-learn", "raise", *OWN["raise"], sklearn_member("raise"), n_jobs=2),
    Case("worker, scikit-learn", "kill", *KILLED, sklearn_member("kill"), n_jobs=2),
    Case("worker, pipeline", "kill", *KILLED, pipeline("kill"), n_jobs=2),
)


# What must hold ------------------------------------------------------------------------------


def check_unfitted(case):
    """AssertionError unless a fit that fails gives the clear error and no fitted cascade."""
    cascade = case.cascade(**case.change)
    before = dict(vars(cascade))
    expect(case, lambda: cascade.fit(case.X, Y))
    check_same_attributes(cascade, before)
    assert not hasattr(cascade, "policy_"), "The cascade looks fitted."


def check_refit(case):
    """AssertionError unless a refit that fails gives the clear error and keeps the old model."""
    cascade = case.cascade().fit(X, Y)
    expected = answers(cascade)
    cascade.set_params(**case.change)
    before = dict(vars(cascade))
    expect(case, lambda: cascade.fit(case.X, Y))
    check_same_attributes(cascade, before)
    check_same_answers(expected, answers(cascade))


def check_live(case):
    """AssertionError unless a prediction that fails gives the clear error and keeps the model."""
    cascade = case.cascade().fit(X, Y)
    expected, before = answers(cascade), dict(vars(cascade))
    assert expected[4][:, 0].any(), "The cascade does not use its first stage."
    expect(case, lambda: cascade.predict(case.X))
    check_same_attributes(cascade, before)
    check_same_answers(expected, answers(cascade))


CHECKS = {"fit": check_unfitted, "refit": check_refit, "predict": check_live}


def checks_of(case):
    """The names of the checks of a case."""
    return [name for name in CHECKS if case.live or name != "predict"]


def expect(case, run):
    """AssertionError unless `run()` raises the error of `case`."""
    try:
        run()
    except case.error as error:
        said = "\n".join([str(error), *getattr(error, "__notes__", ())])
        assert re.search(case.match, said, re.DOTALL), f"The error says: {said}"
    except Exception as error:
        raise AssertionError(f"It raised {type(error).__name__}: {error}") from error
    else:
        raise AssertionError("It raised nothing.")


def answers(cascade):
    """All that a cascade answers for samples without a mark."""
    route = cascade.walk(X)
    return [cascade.classes_, route.label, route.proba, route.exit, route.visited, route.cost]


def check_same_attributes(cascade, before):
    after = vars(cascade)
    assert after.keys() == before.keys(), f"Attributes: {after.keys() ^ before.keys()}"
    changed = [name for name, value in before.items() if after[name] is not value]
    assert not changed, f"Other attributes: {changed}"


def check_same_answers(before, after):
    for old, new in zip(before, after):
        assert np.array_equal(old, new), "The old model answers otherwise."
