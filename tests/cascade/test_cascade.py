"""The estimator: losses, policies, weights, seeds, and when a parameter takes effect."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcascade import CascadeClassifier, Trace, make_cascade
from skcascade.costs import FixedCost
from skcascade.members import TorchClassifier
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[:200], ROWS[200:])]


# Losses and policies ----------------------------------------------------------------------


def test_loss_changes_the_choice(recorded):
    # The first stage is never wrong on class 0 and often on class 1.
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    first = np.where((y == 1) & (rng.uniform(size=600) < 0.5), 0, y)
    proba = Trace.from_top1(np.stack([first, y], axis=1), np.full((600, 2), 0.8), 2).proba
    uncalibrated = recorded(policy=ConfidenceThreshold(per_class=False))
    assert uncalibrated.fit(proba, y).policy_.stages_ == [1]  # equal confidence for all answers
    plain = recorded().fit(proba, y)
    assert plain.policy_.stages_ == [0, 1]
    np.testing.assert_array_equal(plain.predict_exit(proba) == 0, first == 1)
    cascade = recorded(loss=wrong_on_class_zero).fit(proba, y)
    assert cascade.policy_.stages_ == [0]
    np.testing.assert_allclose(cascade.tradeoff_.stage_accuracy, [1.0, 1.0], atol=0.005)


def wrong_on_class_zero(y, proba):
    return ((y == 0) & (proba.argmax(axis=1) != 0)).astype(float)


class Sure(BaseExitPolicy):
    """The smallest policy there is."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.9


def test_custom_policy_with_only_exit_mask_is_pruned(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_sure=1.0, correct_if_not=0.0)
    hopeless = Trace.from_top1(1 - y[:, np.newaxis], np.full((len(y), 1), 0.6), 2).proba
    three = np.concatenate([proba[:, :1], hopeless, proba[:, 1:]], axis=1)
    cascade = recorded(3, policy=Sure(), alpha=0.001).fit(three, y)
    assert cascade.policy_.stages_ == [0, 2]
    path = cascade.decision_path(three)
    assert not path[:, 1].any()
    assert path[:, 0].all()
    assert 0.3 < path[:, 2].mean() < 0.7
    # Entry and end are pruned alike.
    assert cascade.set_operating_point(alpha=100.0).policy_.stages_ == [0]
    poor, y = sure_or_not(correct_if_sure=0.5)
    assert recorded(policy=Sure(), alpha=0.001).fit(poor, y).policy_.stages_ == [1]


# Weights ----------------------------------------------------------------------------------


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, len(Y))
    train, test = SPLIT[0]
    again = [np.repeat(rows, weight[rows]) for rows in (train, test)]
    rows = np.concatenate(again)
    split = [(np.arange(len(again[0])), np.arange(len(again[0]), len(rows)))]
    members = [
        ("nb", GaussianNB()),
        ("lr", LogisticRegression(solver="newton-cholesky", tol=1e-10)),
    ]
    # Calibration is shrunk by how many rows there are, not by how much they weigh.
    policy = ConfidenceThreshold(per_class=False)
    params = {"policy": policy, "cost": [1, 3], "alpha": 0.02, "random_state": 0}
    weighted = CascadeClassifier(members, cv=SPLIT, **params).fit(X, Y, sample_weight=weight)
    repeated = CascadeClassifier(members, cv=split, **params).fit(X[rows], Y[rows])
    plain = CascadeClassifier(members, cv=SPLIT, **params).fit(X, Y)
    assert np.allclose(weighted.members_.nb.theta_, repeated.members_.nb.theta_)
    assert np.allclose(weighted.members_.lr.coef_, repeated.members_.lr.coef_, atol=1e-7)
    assert not np.allclose(weighted.members_.lr.coef_, plain.members_.lr.coef_, atol=1e-3)
    one, two, three = (
        cascade.tuning_.searches[False].policies for cascade in (weighted, repeated, plain)
    )
    assert [p.stages_ for p in one] == [p.stages_ for p in two]
    thresholds = [np.stack([p.thresholds_ for p in policies]) for policies in (one, two, three)]
    same, other = (np.clip(thresholds[0], 0, 1) - np.clip(them, 0, 1) for them in thresholds[1:])
    assert np.abs(same).mean() < min(0.05, np.abs(other).mean())
    share = weight[test] / weight[test].sum()
    correct = weighted.trace_.proba.argmax(axis=2) == Y[test, np.newaxis]
    for curve in (weighted.tradeoff_, repeated.tradeoff_):
        observed = (share @ correct)[curve.reference]
        assert curve.stage_accuracy[curve.reference] == pytest.approx(observed)


def test_weights_of_one_class_on_held_out_rows_are_refused_before_fitting(
    tmp_path, counted, n_fits
):
    log = tmp_path / "log"
    weight = np.ones(len(Y))
    weight[200:][Y[200:] > 0] = 0
    with pytest.raises(ValueError, match="`sample_weight` is zero on .* one class"):
        make_cascade(counted(log), cv=SPLIT).fit(X, Y, sample_weight=weight)
    assert n_fits(log) == 0


# Seeds ------------------------------------------------------------------------------------


@pytest.fixture
def random_members(raw_net):
    """Members with randomness of every kind."""
    return [
        ("tree", DecisionTreeClassifier(max_depth=3, max_features=1)),
        ("torch", TorchClassifier(max_epochs=3)),
        ("forest", make_pipeline(StandardScaler(), RandomForestClassifier(5))),
        ("net", raw_net()),
    ]


def test_random_state_seeds_everything_and_nothing_else(random_members):
    cascade = CascadeClassifier(random_members, cost=[1, 2, 3, 4], random_state=0)
    before = joblib.hash(np.random.get_state()), torch.random.get_rng_state()
    one = clone(cascade).fit(X, Y)
    assert joblib.hash(np.random.get_state()) == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    np.random.uniform()
    torch.rand(1)
    two, three = clone(cascade).fit(X, Y), clone(cascade).set_params(random_state=1).fit(X, Y)
    assert np.array_equal(one.trace_.proba, two.trace_.proba)
    assert np.array_equal(one.tradeoff_.accuracy, two.tradeoff_.accuracy)
    for a, b, c in zip(*(m.staged_predict_proba(X) for m in (one, two, three))):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_random_state_leaves_seeds_of_members_alone():
    members = [("a", DecisionTreeClassifier(random_state=5)), ("b", DecisionTreeClassifier())]
    cascade = CascadeClassifier(members, random_state=0).fit(X, Y)
    assert cascade.members_.a.random_state == 5
    assert isinstance(cascade.members_.b.random_state, int)
    cascade.set_params(random_state=None).fit(X, Y)
    assert cascade.members_.b.random_state is None
    assert members[1][1].random_state is None


# When a parameter takes effect ------------------------------------------------------------

#: Another value of each parameter that `fit` alone reads.
READ_AT_FIT = {
    "members": [("tree", DecisionTreeClassifier())],
    "policy": ConfidenceThreshold("margin"),
    "cost": [1, 1000],
    "loss": wrong_on_class_zero,
    "alpha": 5.0,
    "max_accuracy_drop": 0.5,
    "max_cost": 0.2,
    "reject_cost": None,
    "max_error": 0.5,
    "reject_rate": 0.5,
    "reject_label": "unsure",
    "confidence_level": 0.5,
    "cv": 3,
    "store_trace": False,
    "n_jobs": 2,
    "random_state": 1,
}


def answers(cascade, samples):
    """All that a cascade tells of `samples`."""
    route, record = cascade.walk(samples), cascade.record(samples)
    codes = np.arange(len(samples)) % 2
    text = cascade.summary(), cascade.stage_names_, str(cascade.classes_)
    return [*route[:5], cascade.predict(samples), record.proba, record.losses(codes)], text


def check_same_answers(cascade, samples, before):
    after = answers(cascade, samples)
    for a, b in zip(before[0], after[0]):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert before[1] == after[1]


@pytest.mark.parametrize("name", READ_AT_FIT)
def test_parameters_that_only_fit_reads_keep_all_answers(name, rejecting):
    cascade, samples, _ = rejecting()
    before = answers(cascade, samples)
    cascade.set_params(**{name: READ_AT_FIT[name]})
    check_same_answers(cascade, samples, before)


def test_parameters_that_change_no_result_take_effect_at_once(rejecting, tmp_path):
    cascade, samples, _ = rejecting()
    before = answers(cascade, samples)
    for params in ({"batch_size": 7}, {"memory": str(tmp_path)}, {"verbose": 1}):
        cascade.set_params(**params)
        check_same_answers(cascade, samples, before)


def test_every_parameter_is_read_at_fit_or_at_once():
    at_once = {"batch_size", "memory", "verbose"}
    assert {*READ_AT_FIT} | at_once == {*CascadeClassifier().get_params()}
    assert at_once.isdisjoint(READ_AT_FIT)


def test_another_reject_label_takes_effect_in_the_next_fit(rejecting):
    cascade, samples, names = rejecting()
    assert cascade.labels_.tolist() == ["no", "yes", "reject"]
    assert set(cascade.predict(samples)) == {"no", "yes", "reject"}
    cascade.set_params(reject_label="unsure")
    assert cascade.labels_.tolist() == ["no", "yes", "reject"]
    assert set(cascade.predict(samples)) == {"no", "yes", "reject"}
    assert set(cascade.walk(samples).label) == {"no", "yes", "reject"}
    cascade.set_operating_point(alpha=0.05)
    assert set(cascade.predict(samples)) == {"no", "yes", "reject"}
    cascade.fit(samples, names)
    assert cascade.labels_.tolist() == ["no", "yes", "unsure"]
    assert set(cascade.predict(samples)) == {"no", "yes", "unsure"}


class Sized(GaussianNB):
    """Notes how many rows it is asked for at a time."""

    def predict_proba(self, X):
        if hasattr(self, "sizes_"):
            self.sizes_.append(len(X))
        return super().predict_proba(X)


def test_another_batch_size_takes_effect_at_once():
    cascade = make_cascade(Sized(), cost=[1], random_state=0).fit(X, Y)
    sized, before = cascade.members_.sized, cascade.predict_proba(X)
    for batch_size, sizes in [(None, [300]), (100, [100] * 3), (200, [200, 100]), (999, [300])]:
        cascade.set_params(batch_size=batch_size)
        for method in (cascade.predict_proba, cascade.walk, cascade.record):
            sized.sizes_ = []
            method(X)
            assert sized.sizes_ == sizes
        assert np.allclose(cascade.predict_proba(X), before)


def test_set_operating_point_reads_the_confidence_level(recorded, sure_or_not):
    proba, y = sure_or_not(n=4000, correct_if_not=0.0)
    cascade = recorded(cv=0.5, max_accuracy_drop=0.02).fit(proba, y)
    assert cascade.tuning_.searches.keys() == {False}
    cascade.set_params(confidence_level=0.9).set_operating_point(max_accuracy_drop=0.02)
    assert cascade.tuning_.searches.keys() == {False, True}
    certified = recorded(cv=0.5, confidence_level=0.9, max_accuracy_drop=0.02).fit(proba, y)
    assert np.array_equal(cascade.predict_exit(proba), certified.predict_exit(proba))


def test_fit_leaves_parameters_as_they_were():
    members, cost = [("nb", GaussianNB()), ("lr", LogisticRegression())], FixedCost([1, 9])
    policy = ConfidenceThreshold()
    cascade = CascadeClassifier(members, cost=cost, policy=policy, random_state=0)
    before = dict(vars(cascade))
    cascade.fit(X, Y).set_operating_point(alpha=0.1)
    assert {name: vars(cascade)[name] for name in before} == {**before, "alpha": 0.1}
    assert not hasattr(members[0][1], "classes_")
    assert not hasattr(cost, "edge_costs_")
    assert vars(policy) == vars(ConfidenceThreshold())


# Fits that fail ---------------------------------------------------------------------------


class Failing(GaussianNB):
    """Raises `error` in `fit`."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error

    def fit(self, X, y):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("on purpose"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("is_fitted", [False, True])
def test_a_fit_that_fails_leaves_the_cascade_as_it_was(is_fitted, error, unchanged):
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 9], random_state=0)
    if is_fitted:
        cascade.fit(X, NAMES)
        expected = cascade.predict(X)
    cascade.set_params(members=[("nb", GaussianNB()), ("failing", Failing(error))])
    before = dict(vars(cascade))
    with pytest.raises(type(error)):
        cascade.fit(X[:, :5], Y)
    unchanged(before, vars(cascade))
    if is_fitted:
        assert np.array_equal(cascade.predict(X), expected)


def test_an_operating_point_that_fit_cannot_reach_leaves_the_cascade_as_it_was(unchanged):
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 4], random_state=0)
    cascade.fit(X, NAMES).set_params(max_cost=0.1)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match="`max_cost`=0.1 cannot be reached"):
        cascade.fit(X[:, :5], Y)
    unchanged(before, vars(cascade))


# What is imported -------------------------------------------------------------------------


LAZY = """
import sys
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.linear_model import LogisticRegression
import skcascade, skcascade.policies, skcascade.costs, skcascade.members
X, y = load_iris(return_X_y=True)
members = LogisticRegression(max_iter=1000), GaussianNB()
cascade = skcascade.make_cascade(*members, random_state=0).fit(X, y)
cascade.predict(X), cascade.walk(X), cascade.summary(), cascade._repr_html_()
print(sorted({"torch", "skorch", "matplotlib"} & set(sys.modules)))
"""


def test_scikit_learn_members_load_neither_torch_nor_matplotlib(run_python):
    assert run_python("-c", LAZY) == ["[]"]
