"""Malformed arguments of a cascade, its plots and scorers: a clear error, or a result."""

import contextlib
import re
import traceback
import warnings
from copy import copy

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import (
    CascadeClassifier,
    ExitMonitor,
    make_cascade,
    sample_size,
    tradeoff_curve,
    walk,
)
from skcascade.exceptions import CascadeWarning
from skcascade.inspection import (
    ConfidenceDisplay,
    ExitDisplay,
    TradeoffDisplay,
    plot_exit_examples,
)
from skcascade.members import TorchClassifier
from skcascade.metrics import accuracy_cost_scorer, relative_cost_scorer, tradeoff_scorer

RNG = np.random.default_rng(1)
Y = np.arange(40) % 2
X = RNG.normal(size=(40, 4)) + Y[:, np.newaxis]
MEMBERS = [("nb", GaussianNB()), ("linear", LogisticRegression())]
COSTS = [1.0, 4.0]
CASCADE = CascadeClassifier(MEMBERS, cost=COSTS, cv=2, alpha=0.0, random_state=0).fit(X, Y)
DATA = {"X": X, "y": Y}
PANELS = ConfidenceDisplay.from_estimator(CASCADE).stages
plt.close("all")


def make(**given):
    """Fit a cascade."""
    return CascadeClassifier(**given).fit(X, Y)


def method(name):
    """A method of the fitted cascade, generators run to their end."""

    def call(**given):
        result = getattr(CASCADE, name)(**given)
        return list(result) if name.startswith("staged") else result

    return call


def operating_point(**given):
    """Move the operating point of a copy of the cascade."""
    return copy(CASCADE).set_operating_point(**given)


def drawn(function):
    """The plot, closed again."""

    def draw(**given):
        try:
            return function(**given)
        finally:
            plt.close("all")

    return draw


#: name -> function and valid arguments, one of which is replaced.
CASES = {
    "CascadeClassifier": (
        make,
        {
            "members": MEMBERS, "policy": None, "cost": COSTS, "loss": None, "alpha": None,
            "max_accuracy_drop": 0.1, "max_cost": None, "confidence_level": None, "cv": 0.4,
            "memory": None, "store_trace": True, "batch_size": 7,
            "random_state": 0, "verbose": 0,
        },
    ),
    "CascadeClassifier, reject": (
        make,
        {
            "members": MEMBERS, "cost": COSTS, "reject_cost": 0.3, "reject_label": -1,
            "max_error": None, "reject_rate": None, "cv": 2, "random_state": 0,
        },
    ),
    "CascadeClassifier, reject, certified": (
        make,
        {
            "members": MEMBERS, "cost": COSTS, "reject_rate": 0.3, "max_error": None,
            "max_cost": 0.9, "confidence_level": 0.9, "random_state": 0,
        },
    ),
    "CascadeClassifier.fit, subgroups": (
        CascadeClassifier(
            MEMBERS, cost=COSTS, max_cost=0.9, confidence_level=0.9, random_state=0
        ).fit,
        {"X": X, "y": Y, "subgroups": Y},
    ),
    "rejudge": (
        lambda **given: copy(CASCADE).rejudge(**given),
        {"X": X, "y": Y, "sample_weight": None, "subgroups": None, "extend": True},
    ),
    "CascadeClassifier, certified": (
        make,
        {"members": MEMBERS, "cost": COSTS, "max_cost": 0.9, "confidence_level": 0.9},
    ),
    "CascadeClassifier.fit": (
        CascadeClassifier(MEMBERS, cost=COSTS, cv=2, random_state=0).fit,
        {"X": X, "y": Y, "sample_weight": None},
    ),
    "make_cascade": (
        lambda member, **given: make_cascade(GaussianNB(), member, **given).fit(X, Y),
        {"member": LogisticRegression(), "cost": COSTS},
    ),
    "set_operating_point": (operating_point, {"alpha": 0.1}),
    "set_operating_point, drop": (operating_point, {"max_accuracy_drop": 0.1}),
    "set_operating_point, cost": (operating_point, {"max_cost": 0.9}),
    **{
        name: (method(name), {"X": X})
        for name in [
            "predict", "predict_proba", "predict_log_proba", "predict_exit", "predict_cost",
            "decision_path", "staged_predict_proba", "evidence", "record", "walk",
        ]
    },
    "score": (CASCADE.score, {**DATA, "sample_weight": None}),
    "monitor": (CASCADE.monitor, {"X": X, "false_alarm_rate": 0.01}),
    "monitor().predict": (CASCADE.monitor(X).predict, {"X": X}),
    "ExitMonitor": (
        ExitMonitor,
        {"policy": CASCADE.policy_, "reference": CASCADE.evidence(X), "cascade": CASCADE},
    ),
    "walk": (walk, {"evidence": CASCADE.evidence(X), "policy": CASCADE.policy_}),
    "sample_size": (
        sample_size,
        {"cascade_or_trace": CASCADE, "y": None, "policy": None, "cost": None, "max_cost": 0.9},
    ),
    "tradeoff_curve": (
        tradeoff_curve,
        {
            "cascade_or_trace": CASCADE, **DATA, "points": 2, "by": "max_cost", "cv": 2,
            "scoring": None, "n_bootstrap": 2, "band_level": 0.9, "sample_weight": None,
        },
    ),
    "TradeoffDisplay.from_estimator": (
        drawn(TradeoffDisplay.from_estimator),
        {
            "cascade": CASCADE, **DATA, "by": "alpha", "points": 2, "cv": 2, "scoring": None,
            "n_bootstrap": 0, "name": "a", "ax": None, "xscale": "log",
        },
    ),
    "ExitDisplay.from_estimator": (
        drawn(ExitDisplay.from_estimator), {"cascade": CASCADE, **DATA, "ax": None},
    ),
    "ConfidenceDisplay.from_estimator": (
        drawn(ConfidenceDisplay.from_estimator),
        {"cascade": CASCADE, **DATA, "n_bins": 3, "ax": None},
    ),
    "ConfidenceDisplay": (ConfidenceDisplay, {"stages": PANELS}),
    "plot_exit_examples": (
        drawn(plot_exit_examples),
        {
            "cascade": CASCADE, "X": X, "y": Y, "n_examples": 2, "images": X.reshape(40, 2, 2),
            "class_names": ["a", "b"], "ax": None, "random_state": 0,
        },
    ),
    "tradeoff_scorer": (
        tradeoff_scorer, {"estimator": CASCADE, **DATA, "sample_weight": None},
    ),
    "relative_cost_scorer": (
        relative_cost_scorer, {"estimator": CASCADE, "X": X, "sample_weight": None},
    ),
    "accuracy_cost_scorer(0.1)": (
        accuracy_cost_scorer(0.1), {"estimator": CASCADE, **DATA, "sample_weight": None},
    ),
    "TorchClassifier": (
        lambda **given: TorchClassifier(**given)._validate_params(), TorchClassifier().get_params(),
    ),
}  # fmt: skip

#: Arguments that contradict one another, or go by another name: an error may name the other one.
PARTNERS = {
    "X": "y|samples?|features?|array|dict|data|input|NaN|infinity|real numbers",
    "cascade": "not fitted|Cascade",
    "cascade_or_trace": "not fitted",
    "estimator": "Only a cascade|not fitted",
    "images": "X",
    "member": "Member|members",
    "members": "Member|cost",
    "points": "alpha|max_cost",
    "random_state": "Seed",
    "y": "X|labels?|classes|class|target",
}
SCALARS = [
    None, True, False, -1, 0, 1, 2, 7, -0.5, 0.5, 1.5, np.nan, np.inf, -np.inf, 1e300, 2 + 1j,
    np.float32(0.5), np.int8(1), "x", "", b"x", Ellipsis, object(), int, len, GaussianNB(),
    CascadeClassifier(MEMBERS), LogisticRegression().fit(X, Y),
]  # fmt: skip
CONTAINERS = [
    [], (), {}, set(), [None], ["a", "b"], [[1, 4]], [1, 4, 9], [[1], [2, 3]], [1, "a"], [-1, 4],
    [np.nan, 1], [1, np.inf], [1 + 1j, 2], {0: 1}, {"nb": 1, "linear": 4}, {"nb": 1}, {5: [6]},
    [("a", None)], [("a", GaussianNB()), ("a", GaussianNB())], [("a", GaussianNB)], [(0, len)],
    [("nb", LogisticRegression())], [(np.arange(30), np.arange(30, 40))], [(Y == 0, Y == 1)],
    Y.astype(str), Y.astype(object), Y.astype(complex), Y.astype(float), Y + 0.5, Y * 0, -Y, Y[:5],
    Y[:, None], X[:, :2], X[:, 0], X[:0], X[:, :0], X[:1], X * np.nan, X + np.inf, -X,
    X.astype(str), X.astype(object), X.astype(complex), X > 0, X[:, :, None], X.tolist(), {"a": X},
    np.array(0.5), np.array("x"), np.array(None), np.array(["2020-01-01"] * 40, "M8[D]"),
    np.array([None] * 40),
    np.array([np.nan] * 40), np.array([-1.0] * 40), np.zeros(40), np.full((40, 4), "x"),
]  # fmt: skip
DTYPES = [bool, np.int8, np.float16, np.float64, np.complex64, "U2", "M8[D]"]
SHAPES = [(), (0,), (2,), (40,), (3, 4), (40, 4), (40, 2), (40, 4, 1)]
ARRAYS = st.builds(npst.arrays, st.sampled_from(DTYPES), st.sampled_from(SHAPES)).flatmap(
    lambda arrays: arrays
)


def is_kept(function, given, name):
    """A result, or an error of the right type that names the argument `name`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", module="skcascade|numpy|scipy")
            warnings.simplefilter("ignore", CascadeWarning)
            function(**given)
    except (ValueError, TypeError) as error:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        beneath = "".join(files).rpartition("/skcascade/")[2]
        names = rf"\b({name}|{PARTNERS.get(name, name)})\b"
        known = callable(given[name]) or "/sklearn/" in beneath or "/matplotlib/" in beneath
        assert known or re.search(names, str(error)), repr(error)


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory):
    """A folder of its own to work in: some values of `memory` are names of folders."""
    with contextlib.chdir(tmp_path_factory.mktemp("malformed")):
        yield


@pytest.mark.parametrize("case", CASES)
@given(st.data())
@settings(max_examples=20, deadline=5000, derandomize=True)
def test_malformed_arguments(case, data):
    function, valid = CASES[case]
    name = data.draw(st.sampled_from(list(valid)))
    value = data.draw(st.sampled_from(SCALARS) | st.sampled_from(CONTAINERS) | ARRAYS)
    is_kept(function, {**valid, name: value}, name)


@pytest.mark.filterwarnings("ignore::skcascade.exceptions.CascadeWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_valid_arguments_are_valid(case):
    function, valid = CASES[case]
    function(**valid)
