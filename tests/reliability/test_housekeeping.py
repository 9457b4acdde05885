"""Global state as found, memory freed, pickles that know their version, bounded time."""

import json
import os
import pickle
import random
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from skorch import NeuralNetClassifier
from torch import nn

import skcascade
from skcascade import CascadeClassifier, Trace, fit_policy, make_cascade, walk
from skcascade.exceptions import CascadeWarning
from skcascade.members import EarlyExitNetClassifier, TorchClassifier
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary

# Gradients -----------------------------------------------------------------------------------


def members(faults):
    raw = NeuralNetClassifier(
        faults.FaultyNet, module__softmax=True, max_epochs=2, train_split=None, verbose=0
    )
    return [
        ("torch", TorchClassifier(max_epochs=2)),
        ("raw", raw),
        ("exits", EarlyExitNetClassifier(faults.FaultyExits, max_epochs=2, train_split=None)),
    ]


@pytest.mark.parametrize("policy", [None, Reinforce(max_epochs=1)], ids=["plain", "joint"])
def test_gradients_are_freed(policy, faults):
    cascade = CascadeClassifier(
        members(faults), cost=[1, 2, 3, 4], policy=policy, random_state=0
    ).fit(faults.X, faults.Y)
    for name, member in cascade.members_.items():
        module = getattr(member, "net_", member).module_
        assert all(weight.grad is None for weight in module.parameters()), name


# Global state --------------------------------------------------------------------------------


def state():
    """What a fit or a prediction must not change."""
    return {
        "numpy": joblib.hash(np.random.get_state()),
        "python": joblib.hash(random.getstate()),
        "torch": joblib.hash(torch.get_rng_state().numpy()),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "environment": dict(os.environ),
        "errors": np.geterr(),
        "warnings": list(warnings.filters),
        "folder": os.getcwd(),
        "config": skcascade.CascadeClassifier.__module__ and joblib.hash(sklearn_config()),
    }


def sklearn_config():
    from sklearn import get_config

    return sorted(map(str, get_config().items()))


@pytest.mark.parametrize("policy", [None, Reinforce(max_epochs=1), WeightedBinary()], ids=str)
def test_global_state_is_as_found(policy, faults):
    cascade = CascadeClassifier(
        [*members(faults), ("lr", LogisticRegression())],
        cost=[1, 2, 3, 4, 5], policy=policy, random_state=0,
    )  # fmt: skip
    before = state()
    cascade.fit(faults.X, faults.Y)
    cascade.predict(faults.X)
    cascade.set_operating_point(alpha=0.1).summary()
    after = state()
    assert [name for name in before if after[name] != before[name]] == []


@pytest.mark.parametrize("place", ["raw net", "TorchClassifier", "policy.fit", "cost"])
@pytest.mark.parametrize("fault", ["raise", "Ctrl-C"])
def test_global_state_is_as_found_after_a_failure(place, fault, faults):
    case = next(c for c in faults.CASES if (c.place, c.fault) == (place, fault))
    cascade = case.cascade(**case.change)
    before = state()
    with pytest.raises(case.error):
        cascade.fit(case.X, faults.Y)
    after = state()
    assert [name for name in before if after[name] != before[name]] == []


# Pickles -------------------------------------------------------------------------------------


@pytest.fixture
def cascade(faults):
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    return cascade.fit(faults.X, faults.Y)


def test_a_pickle_holds_the_version(cascade, faults):
    data = pickle.dumps(cascade)
    assert skcascade.__version__.encode() in data
    again = pickle.loads(data)  # no warning
    faults.check_same_answers(faults.answers(cascade), faults.answers(again))
    assert vars(again).keys() == vars(cascade).keys()


def test_a_pickle_of_another_version_warns_once(cascade, faults, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("skcascade.utils._version.__version__", "0.0.7")
        data = pickle.dumps(cascade)
    with pytest.warns(CascadeWarning, match=r"pickled by skcascade 0\.0\.7") as caught:
        again = pickle.loads(data)
    assert len(caught) == 1
    faults.check_same_answers(faults.answers(cascade), faults.answers(again))


def keys_in(thing, seen):
    """All keys of the dicts in `thing`, at any depth."""
    if id(thing) in seen or isinstance(thing, (str, bytes, int, float, np.ndarray, type)):
        return
    seen.add(id(thing))
    if isinstance(thing, dict):
        yield from thing
        parts = list(thing.values())
    elif isinstance(thing, (list, tuple, set)):
        parts = list(thing)
    else:
        parts = [getattr(thing, "__dict__", {})]
    for part in parts:
        yield from keys_in(part, seen)


@pytest.mark.parametrize("skip", [False, True])
def test_weighted_binary_has_no_tuples_as_keys(skip, faults):
    trace, y = simulated(4, 200)
    policy = fit_policy(WeightedBinary(skip=skip, random_state=0), trace, y, cost=[1, 2, 4, 8])
    found = set(keys_in(vars(policy), set()))
    assert all(isinstance(key, (str, int)) for key in found)
    assert {type(key) for key in policy.rules_} == {int}
    json.dumps({str(stage): sorted(rules) for stage, rules in policy.rules_.items()})
    again = pickle.loads(pickle.dumps(policy))
    np.testing.assert_array_equal(walk(trace, again).exit, walk(trace, policy).exit)


# Time ----------------------------------------------------------------------------------------


def simulated(n_stages, n_rows, n_classes=3):
    """Answers of stages of growing skill, and codes."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=n_rows)
    logits = rng.normal(size=(n_rows, n_stages, n_classes))
    logits[np.arange(n_rows), :, y] += np.linspace(0.5, 3, n_stages)
    return Trace(np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)), y


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("policy", "n_stages"),
    [(WeightedBinary(skip=True, random_state=0), 10), (ConfidenceThreshold(), 14)],
    ids=["network selection, 10 stages", "thresholds, 14 stages"],
)
def test_many_stages_are_searched(policy, n_stages):
    trace, y = simulated(n_stages, 120)
    cost = (1.5 ** np.arange(n_stages)).tolist()
    fitted = fit_policy(policy, trace, y, cost=cost, random_state=0)
    route = walk(trace, fitted)
    assert route.visited.any(axis=0).sum() >= 1
    assert np.isfinite(fitted.tradeoff_.accuracy).all()


class Linear(nn.Module):
    """A small net, for a test of memory."""

    def __init__(self, n_features=4, n_classes=3):
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)

    def forward(self, X):
        return self.layer(X)


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Needs /proc.")
def test_200_fits_do_not_grow(faults):
    cascade = CascadeClassifier(
        [("net", TorchClassifier(Linear, max_epochs=1)), ("lr", LogisticRegression())],
        cost=[1, 10], random_state=0,
    )  # fmt: skip
    sizes = []
    for i in range(220):
        cascade.fit(faults.X, faults.Y).predict(faults.X)
        if i in (20, 219):
            sizes.append(resident_mb())
    assert sizes[1] - sizes[0] < 40  # a fit holds about 0.1 MB; a leak of each would be 20 MB


def test_100_fits_keep_no_objects(faults):
    import gc

    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    counts = []
    for i in range(100):
        cascade.fit(faults.X, faults.Y).predict(faults.X)
        if i in (20, 99):
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert counts[1] - counts[0] < 2000
