"""Errors that are knowable before fitting come before, name the parameter, and say what to do."""

import matplotlib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from torch import nn

from skcascade import (
    CascadeClassifier,
    Trace,
    fit_policy,
    make_cascade,
    sample_size,
    select_members,
    tradeoff_curve,
    walk,
)
from skcascade.costs import FixedCost, LatencyCost, MacsCost
from skcascade.inspection import ConfidenceDisplay, ExitDisplay, TradeoffDisplay
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, Reinforce, WeightedBinary

matplotlib.use("Agg")

TRACE = Trace(np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], size=(60, 2)))
CODES = np.arange(60) % 3


@pytest.fixture
def unfitted(monkeypatch):
    """Members are not to be fitted in this test."""

    def refuse(*args, **params):
        raise AssertionError("Fitted.")

    monkeypatch.setattr(GaussianNB, "fit", refuse)


class Numbers(BaseExitPolicy):
    """Gives numbers instead of booleans."""

    def __init__(self, value=1.0):
        self.value = value

    def exit_mask(self, stage, proba):
        return np.full(len(proba), self.value)


def vector(y, proba):
    return proba


def scalar(y, proba):
    return 0.5


def text(y, proba):
    return np.array(["loss"] * len(y))


BEFORE = {
    "successors that do not exist": (
        {"policy": WeightedBinary(skip=True, successors={0: [5]})},
        "`successors` must give",
    ),
    "successors that lead back": (
        {"policy": WeightedBinary(skip=True, successors={1: [0]})},
        "`successors` must give",
    ),
    "max_cost out of reach": ({"max_cost": 0.01}, "`max_cost`=0.01 cannot be reached"),
    "too few costs": ({"cost": [1.0]}, "`cost` must give one cost for each of the 2 stages"),
    "cost of an unknown member": (
        {"cost": {"nb": 1, "other": 2}},
        r"`cost` must give a cost .*lacks \['lr'\] and has \['other'\]",
    ),
    "negative cost": ({"cost": [-1, 2]}, "`cost`: every cost must be a finite number"),
    "infinite cost": ({"cost": {"nb": 1, "lr": np.inf}}, "`cost`: every cost must be a finite"),
    "cost by an unknown name": ({"cost": "joules"}, "'cost' parameter .* must be"),
    "loss of a matrix": ({"loss": vector}, "`loss` must return one number per sample"),
    "loss of one number": ({"loss": scalar}, "`loss` must return one number per sample"),
    "loss of text": ({"loss": text}, "`loss` must return finite numbers"),
    "draws for a baseline": (
        {"policy": Reinforce(n_draws=1)},
        "`baseline`='leave_one_out'",
    ),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_errors_before_members_are_fitted(kind, faults, unfitted):
    params, match = BEFORE[kind]
    params = {"cost": [1, 10], "random_state": 0, **params}
    cascade = CascadeClassifier([("nb", GaussianNB()), ("lr", LogisticRegression())], **params)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match=match):
        cascade.fit(faults.X, faults.Y)
    faults.check_same_attributes(cascade, before)


def test_successors_of_a_refit_keep_the_model(faults):
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    expected = faults.answers(cascade.fit(faults.X, faults.Y))
    cascade.set_params(max_cost=0.001)
    with pytest.raises(ValueError, match="`max_cost`=0.001 cannot be reached"):
        cascade.fit(faults.X, faults.Y)
    faults.check_same_answers(expected, faults.answers(cascade))


# Arguments of the wrong kind -------------------------------------------------------------------

WRONG = {
    "no policy": lambda: fit_policy(None, TRACE, CODES, cost=[1, 2]),
    "policy as text": lambda: fit_policy("confidence", TRACE, CODES, cost=[1, 2]),
    "policy as a class": lambda: fit_policy(ConfidenceThreshold, TRACE, CODES, cost=[1, 2]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_policies_of_the_wrong_kind(kind):
    with pytest.raises(TypeError, match=r"`policy` must be an exit policy such as Confidence"):
        WRONG[kind]()


def test_an_array_for_a_trace():
    with pytest.raises(TypeError, match=r"`trace` must be a Trace, such as Trace\(proba\)"):
        fit_policy(ConfidenceThreshold(), TRACE.proba, CODES, cost=[1, 2])


@pytest.mark.parametrize("other", [LogisticRegression(), None, "cascade", TRACE.proba], ids=type)
def test_another_estimator(other, faults):
    match = "`cascade_or_trace` must be a fitted CascadeClassifier or a Trace"
    with pytest.raises(TypeError, match=match):
        tradeoff_curve(other, faults.X, faults.Y)
    with pytest.raises(TypeError, match=match):
        sample_size(other)


@pytest.mark.parametrize(
    "policy", [ConfidenceThreshold(), WeightedBinary(), Reinforce(fine_tune_members=False)], ids=str
)
def test_walk_with_an_unfitted_policy(policy):
    with pytest.raises(NotFittedError, match=f"{type(policy).__name__}.* not fitted"):
        walk(TRACE, policy)


@pytest.mark.parametrize("value", [1.0, 0, np.nan])
def test_exit_masks_that_are_no_booleans(value, faults):
    with pytest.raises(ValueError, match="`exit_mask` of Numbers must return an array of booleans"):
        walk(TRACE, Numbers(value))
    cascade = make_cascade(
        GaussianNB(), LogisticRegression(), policy=Numbers(value), cost=[1, 10], random_state=0
    )
    with pytest.raises(ValueError, match="`exit_mask` of Numbers must return an array of booleans"):
        cascade.fit(faults.X, faults.Y)


def test_top1_with_labels():
    pred, confidence = [["cat", "dog"], ["dog", "dog"]], [[0.9, 0.6], [0.7, 0.8]]
    with pytest.raises(ValueError, match="`pred` must hold codes.*Give `classes`"):
        Trace.from_top1(pred, confidence, n_classes=3)
    trace = Trace.from_top1(pred, confidence, classes=["cat", "dog", "owl"])
    assert trace.classes[trace.proba.argmax(axis=2)].tolist() == pred
    with pytest.raises(ValueError, match="`pred` contains labels without a column"):
        Trace.from_top1([["cow", "dog"]], [[0.9, 0.6]], classes=["cat", "dog"])


def test_an_empty_cv(faults):
    with pytest.raises(ValueError, match="`cv` is empty: give one or more pairs"):
        make_cascade(GaussianNB(), cv=[]).fit(faults.X, faults.Y)


def test_dicts_for_a_bare_module(faults):
    cascade = CascadeClassifier([("net", nn.Linear(4, 3))], cost=[1.0])
    with pytest.raises(ValueError, match="Member 'net' is a bare torch module.*`X` is a dict"):
        cascade.fit({"X": faults.X}, faults.Y)


@pytest.mark.parametrize("n_bootstrap", [-1, 2.5, "many"])
def test_n_bootstrap(n_bootstrap, faults):
    cascade = make_cascade(GaussianNB(), cost=[1.0], random_state=0).fit(faults.X, faults.Y)
    with pytest.raises((TypeError, ValueError), match="`n_bootstrap` must be"):
        tradeoff_curve(cascade, faults.X, faults.Y, n_bootstrap=n_bootstrap)


def test_select_members_names_its_parameters():
    with pytest.raises(TypeError, match="`trace` must be a Trace"):
        select_members(TRACE.proba, CODES, cost=[1, 2])


# What simply works -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost", "kind"),
    [({"lr": 10, "nb": 1}, FixedCost), ("macs", MacsCost), ("latency", LatencyCost)],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Stage 'lr' costs:skcascade.exceptions.CascadeWarning")
def test_costs_by_name(cost, kind, faults):
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cost=cost, random_state=0).fit(faults.X, faults.Y)
    assert isinstance(cascade.cost_, kind)
    if isinstance(cost, dict):
        assert cascade.cost_.edge_costs_[0].tolist() == [1, 10]


def test_grid_search_over_the_default_policy(faults):
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    grid = {"policy__confidence": ["max_proba", "margin"]}
    search = GridSearchCV(cascade, grid, cv=2, error_score="raise").fit(faults.X, faults.Y)
    assert search.best_estimator_.policy.confidence in grid["policy__confidence"]
    assert cascade.policy is None and clone(cascade).policy is None


def test_displays_have_a_repr(faults):
    import matplotlib.pyplot as plt

    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10], random_state=0)
    cascade.fit(faults.X, faults.Y)
    for display in (ConfidenceDisplay, ExitDisplay, TradeoffDisplay):
        text = repr(display.from_estimator(cascade))
        assert text.startswith(f"{display.__name__}(") and " at 0x" not in text
    plt.close("all")
