"""Malformed arguments of everything that works on recorded answers: a clear error, or a result."""

import asyncio
import re
import traceback
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.linear_model import LogisticRegression

from skcascade import (
    ExitMonitor,
    Trace,
    awalk,
    fit_policy,
    sample_size,
    select_members,
    steps,
    tradeoff_curve,
    walk,
)
from skcascade.costs import FixedCost, LatencyCost, MacsCost
from skcascade.exceptions import CascadeWarning
from skcascade.inspection import ExitDisplay, TradeoffDisplay
from skcascade.metrics import accuracy_cost_scorer, best_within, cheapest_within, make_cost_scorer
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary

RNG = np.random.default_rng(0)
Y = np.arange(24) % 2
PROBA = RNG.dirichlet([1, 1], (24, 2)).astype(np.float32)
TRACE = Trace(PROBA)
PRED = PROBA.argmax(axis=2)
COST = FixedCost([1.0, 4.0]).fit(2)
THRESHOLDS = ConfidenceThreshold().with_thresholds([0.7, np.inf])
CURVE = tradeoff_curve(TRACE, None, Y, cost=COST, points=3, cv=2, random_state=0)
RESULTS = {
    "params": [{"alpha": 0.1}, {"alpha": 0.2}],
    "mean_test_accuracy": [0.9, 0.8],
    "mean_test_neg_relative_cost": [-0.5, -0.2],
}


async def observe(stage, rows):
    return PROBA[rows, stage]


def awaited(**given):
    return asyncio.run(awalk(**given))


def fit_latency(**given):
    return LatencyCost(**given)._check_parameters()


def fitted(policy):
    """Check and fit a policy, as a cascade does."""

    def fit(**given):
        made = policy(**given)
        made.check_params(2)
        return made.fit(TRACE, Y, COST, 0.1)

    return fit


#: name -> function and valid arguments, one of which is replaced.
CASES = {
    "Trace": (Trace, {"proba": PROBA, "classes": [0, 1], "loss": None}),
    "Trace.from_top1": (
        Trace.from_top1,
        {"pred": PRED, "confidence": PROBA.max(axis=2), "n_classes": 2, "classes": [0, 1]},
    ),
    "Trace.with_reject": (TRACE.with_reject, {"reject_cost": 0.2}),
    "Trace.codes": (TRACE.codes, {"y": Y}),
    "walk": (walk, {"evidence": TRACE, "policy": THRESHOLDS, "batch_size": 5}),
    "steps": (
        lambda **given: next(steps(**given)),
        {"policy": THRESHOLDS, "n_samples": 24, "n_stages": 2, "n_classes": 2},
    ),
    "awalk": (
        awaited,
        {"observe": observe, "policy": THRESHOLDS, "n_samples": 24, "n_stages": 2, "n_classes": 2},
    ),
    "fit_policy": (
        fit_policy,
        {
            "policy": ConfidenceThreshold(), "trace": TRACE, "y": Y, "cost": COST, "alpha": 0.1,
            "sample_weight": None, "random_state": 0,
        },
    ),
    "fit_policy, drop": (
        fit_policy,
        {
            "policy": ConfidenceThreshold(), "trace": TRACE, "y": Y, "cost": [1, 4],
            "max_accuracy_drop": 0.1, "confidence_level": 0.9, "random_state": 0,
        },
    ),
    "fit_policy, cost": (
        fit_policy,
        {"policy": ConfidenceThreshold(), "trace": TRACE, "y": Y, "cost": [1, 4], "max_cost": 0.9},
    ),
    "select_members": (
        select_members,
        {
            "trace": TRACE, "y": Y, "cost": [1, 4], "names": ["a", "b"], "policy": None,
            "alpha": None, "max_accuracy_drop": 0.1, "sample_weight": None, "random_state": 0,
        },
    ),
    "sample_size": (
        sample_size,
        {
            "cascade_or_trace": TRACE, "y": Y, "cost": [1, 4], "max_accuracy_drop": 0.1,
            "confidence_level": 0.9, "power": 0.8, "policy": None, "random_state": 0,
        },
    ),
    "tradeoff_curve": (
        tradeoff_curve,
        {
            "cascade_or_trace": TRACE, "X": None, "y": Y, "cost": [1, 4], "points": 2,
            "by": "max_accuracy_drop", "cv": 2, "scoring": None, "n_bootstrap": 2,
            "band_level": 0.9, "policy": None, "sample_weight": None, "random_state": 0,
        },
    ),
    "TradeoffCurve.at": (CURVE.at, {"alpha": 0.1}),
    "TradeoffCurve.at, drop": (CURVE.at, {"max_accuracy_drop": 0.5}),
    "TradeoffCurve.at, cost": (CURVE.at, {"max_cost": 0.99}),
    "TradeoffCurve.answered_by": (CURVE.answered_by, {"stages": [0, 1]}),
    "ExitMonitor": (
        ExitMonitor,
        {
            "policy": THRESHOLDS, "reference": TRACE, "stage_names": ["a", "b"],
            "false_alarm_rate": 0.01,
        },
    ),
    "ExitMonitor.walk": (ExitMonitor(THRESHOLDS, TRACE).walk, {"evidence": TRACE}),
    "ExitMonitor.update": (
        ExitMonitor(THRESHOLDS, TRACE).update,
        {"exits": [0, 1], "visited": [[True, False], [True, True]]},
    ),
    "FixedCost": (lambda **given: FixedCost(**given).fit(2), {"costs": [1, 4], "unit": "cents"}),
    "FixedCost.fit": (FixedCost([1, 4]).fit, {"stages": 2}),
    "FixedCost.path_cost": (COST.path_cost, {"visited": [[True, False], [True, True]]}),
    "FixedCost.relative": (COST.relative, {"cost": 2.0}),
    "LatencyCost": (fit_latency, {"batch_size": 1, "n_repeats": 5, "sizes": (1, 8)}),
    "MacsCost.count": (
        MacsCost.count,
        {"estimator": LogisticRegression().fit(PROBA[:, 0], Y), "X": PROBA[:, 0]},
    ),
    "MacsCost.register": (lambda cls: MacsCost.register(cls) and None, {"cls": int}),
    "ConfidenceThreshold": (
        fitted(ConfidenceThreshold),
        {"confidence": "margin", "per_class": False, "tuning": "per_stage", "epsilon": 0.1},
    ),
    "ConfidenceThreshold.with_thresholds": (
        ConfidenceThreshold().with_thresholds,
        {"thresholds": [0.5, 0.9], "stages": [0, 1]},
    ),
    "WeightedBinary": (
        fitted(WeightedBinary),
        {
            "estimator": None, "skip": True, "successors": {0: [1]}, "features": None,
            "excess_loss": False, "cv": 2, "random_state": 0,
        },
    ),
    "Reinforce": (
        lambda **given: Reinforce(**given).check_params(2),
        {**Reinforce().get_params(), "n_draws": 2},
    ),
    "accuracy_cost_scorer": (accuracy_cost_scorer, {"alpha": 0.1}),
    "make_cost_scorer": (
        make_cost_scorer,
        {"scoring": "accuracy", "alpha": 0.1, "statistic": np.average, "relative": True},
    ),
    "cheapest_within": (
        lambda cv_results=RESULTS, **given: cheapest_within(**given)(cv_results),
        {"tol": 0.2, "score": "accuracy", "cost": "neg_relative_cost", "cv_results": RESULTS},
    ),
    "best_within": (
        lambda cv_results=RESULTS, **given: best_within(**given)(cv_results),
        {"max_cost": 1.0, "score": "accuracy", "cost": "neg_relative_cost", "cv_results": RESULTS},
    ),
    "ExitDisplay": (
        ExitDisplay,
        {
            "exit_rates": [0.5, 0.5], "exit_accuracy": [0.9, 0.8], "stage_accuracy": [0.7, 0.8],
            "exit_cost": [1, 2], "in_use": [0, 1], "stage_names": ["a", "b"],
        },
    ),
    "TradeoffDisplay": (TradeoffDisplay, {"curves": [CURVE], "names": ["a"]}),
}  # fmt: skip

SCALARS = [
    None, True, False, -1, 0, 1, 2, 7, -0.5, 0.5, 1.5, np.nan, np.inf, -np.inf, 1e300, 2 + 1j,
    np.float32(0.5), np.int8(1), "x", "", b"x", Ellipsis, object(), int, len,
]  # fmt: skip
CONTAINERS = [
    [], (), {}, set(), [None], ["a", "b"], [[1, 4]], [1, 4, 9], [[1], [2, 3]], [1, "a"], [-1, 4],
    [np.nan, 1], [1, np.inf], [1 + 1j, 2], {0: 1}, {"a": 1, "b": 4}, {5: [6]}, {0: "x"}, range(2),
    [0.5, 0.5], Y.astype(str), Y.astype(object), Y.astype(complex), Y.astype(float), Y + 5, -Y,
    Y[:0], Y[:5], Y[:, None], PROBA[:, 0], PROBA[:, :0], PROBA[:0], PROBA - 2, PROBA * np.nan,
    PROBA.astype(object), PROBA.astype(str), PROBA.astype(complex), PROBA > 0.5, PRED + 9,
    PRED * 1.0, np.array(0.5), np.array("x"), np.array(None), np.array("2020-01-01", "M8[D]"),
    np.zeros((2, 2)),    np.array([np.nan] * 24), np.array([-1.0] * 24), np.zeros(24), Y + np.inf,
]  # fmt: skip
#: Arguments that contradict one another: an error may name the other one.
PARTNERS = {
    "classes": "pred",
    "cls": "MacsCost.register",
    "costs": "cost",
    "estimator": "MacsCost.register",
    "exit_rates": "in_use",
    "exits": "visited",
    "n_classes": "classes",
    "n_stages": "stages_",
    "points": "max_accuracy_drop",
    "random_state": "Seed",
}
DTYPES = [bool, np.int8, np.uint64, np.float16, np.float64, np.complex64, "U2", "M8[D]", object]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(
        dtype,
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        **({"elements": st.sampled_from([None, "x", 1, np.nan])} if dtype is object else {}),
    )
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
        known = callable(given[name]) or "/sklearn/" in beneath
        assert known or re.search(names, str(error)), repr(error)


@pytest.mark.parametrize("case", CASES)
@given(st.data())
@settings(max_examples=25, deadline=5000, derandomize=True)
def test_malformed_arguments(case, data):
    function, valid = CASES[case]
    name = data.draw(st.sampled_from(list(valid)))
    value = data.draw(st.sampled_from(SCALARS) | st.sampled_from(CONTAINERS) | ARRAYS)
    is_kept(function, {**valid, name: value}, name)


@pytest.mark.filterwarnings("ignore::skcascade.exceptions.CascadeWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_valid_arguments_are_valid(case):
    function, valid = CASES[case]
    if "classes" in valid and case == "Trace.from_top1":
        valid = {**valid, "classes": None}
    function(**valid)
