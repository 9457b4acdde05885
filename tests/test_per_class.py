"""Thresholds on the chance to be right: who they serve, and where they stay out of the way."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier, Trace, fit_policy, walk
from skcascade.checks import check_policy
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold
from skcascade.policies._chances import chance_right, fit_chances
from skcascade.policies._confidence import CONFIDENCES

COST = FixedCost([1, 10]).fit(2)


def bold(n=2000, seed=0, gap=0.25):
    """Two stages; the first is bolder than it should be when it names class 0."""
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=n)
    confidence = rng.uniform(0.4, 1, n)
    first = rng.integers(4, size=n)
    chance = np.clip(np.where(first == 0, confidence - 2 * gap, confidence + gap), 0, 1)
    right = rng.random(n) < chance
    y = np.where(right, first, (first + rng.integers(1, 4, n)) % 4)
    second = np.where(rng.random(n) < 0.97, y, (y + 1) % 4)
    sure = np.stack([confidence, np.full(n, 0.95)], axis=1)
    return Trace.from_top1(np.stack([first, second], axis=1), sure, 4), y


def accuracy_and_cost(trace, y, policy):
    way = walk(trace, policy)
    right = 1 - trace.losses(y)[np.arange(len(y)), way.exit].mean()
    return right, COST.relative(COST.path_cost(way.visited)).mean()


# What it is good for ----------------------------------------------------------------------


def test_a_class_announced_too_boldly_is_looked_at_again():
    trace, y = bold()
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    way = walk(trace, policy)
    named = trace.proba[:, 0].argmax(axis=1)
    assert (way.exit[named == 0] == 0).mean() < 0.1
    assert (way.exit[named != 0] == 0).mean() > 0.5
    assert policy.intercepts_[0, 0] < policy.intercepts_[0, 1:].min() - 1


@pytest.mark.parametrize("drop", [0.0, 0.01, 0.02])
def test_it_saves_cost_at_the_same_drop(drop):
    (trace, y), new = bold(), bold(seed=1)
    reference, at = 1 - new[0].losses(new[1])[:, 1].mean(), {}
    for per_class in (False, True):
        policy = ConfidenceThreshold(per_class=per_class)
        policy = fit_policy(policy, trace, y, cost=COST, max_accuracy_drop=drop, random_state=0)
        at[per_class] = accuracy_and_cost(*new, policy)
    assert at[True][1] < 0.8 * at[False][1]
    assert at[True][0] > reference - drop - 0.01


def test_where_all_classes_are_alike_it_loses_next_to_nothing():
    rng = np.random.default_rng(0)

    def alike(n):
        confidence, y = rng.uniform(0.4, 1, (n, 2)) ** (1, 0.3), rng.integers(4, size=n)
        right = rng.random((n, 2)) < confidence
        pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 4)
        return Trace.from_top1(pred, confidence, 4), y

    (trace, y), new = alike(1000), alike(20_000)
    for alpha in (0.05, 0.2, 0.5):
        value = {}
        for per_class in (False, True):
            policy = ConfidenceThreshold(per_class=per_class).fit(trace, y, COST, alpha)
            right, price = accuracy_and_cost(*new, policy)
            value[per_class] = 1 - right + alpha * price
        assert value[True] < value[False] + 0.005


def test_the_score_is_the_chance_to_be_right():
    (trace, y), (new, new_y) = bold(), bold(20_000, seed=1)
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    score = policy.exit_score(0, new.proba)
    right = new.losses(new_y)[:, 0] == 0
    named = new.proba[:, 0].argmax(axis=1)
    for c in range(4):
        assert score[named == c].mean() == pytest.approx(right[named == c].mean(), abs=0.04)
    for tenth in np.array_split(np.argsort(score), 10):
        assert score[tenth].mean() == pytest.approx(right[tenth].mean(), abs=0.08)


# When it is on ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_class", "tuning", "used"),
    [
        ("auto", "joint", True),
        (True, "joint", True),
        (False, "joint", False),
        ("auto", "per_stage", False),
        (True, "per_stage", True),
        (False, "per_stage", False),
    ],
)
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_when_it_is_on(per_class, tuning, used, confidence):
    trace, y = bold(400)
    policy = ConfidenceThreshold(confidence, per_class=per_class, tuning=tuning)
    policy.fit(trace, y, COST, 0.1)
    bare = CONFIDENCES[confidence](trace.proba[:, 0])
    named = trace.proba[:, 0].argmax(axis=1)
    if not used:
        assert policy.slopes_ is None and policy.intercepts_ is None
        np.testing.assert_array_equal(policy.exit_score(0, trace.proba), bare)
        return
    assert policy.slopes_.shape == (2,) and policy.intercepts_.shape == (2, 4)
    right = 1 - trace.losses(y)[:, 0]
    slope, intercepts = fit_chances(bare, named, right, np.ones(400), 4)
    assert policy.slopes_[0] == slope
    np.testing.assert_array_equal(policy.intercepts_[0], intercepts)
    chance = chance_right(slope, intercepts, bare, named)
    np.testing.assert_array_equal(policy.exit_score(0, trace.proba), chance)
    leaves = chance >= policy.thresholds_[0]
    np.testing.assert_array_equal(walk(trace, policy).exit == 0, leaves)
    assert 0 < leaves.sum()


@pytest.mark.parametrize("tuning", ["joint", "per_stage"])
def test_a_refit_forgets(tuning):
    trace, y = bold(400)
    policy = ConfidenceThreshold(per_class=True, tuning=tuning).fit(trace, y, COST, 0.1)
    policy.set_params(per_class=False).fit(trace, y, COST, 0.1)
    fresh = ConfidenceThreshold(per_class=False, tuning=tuning).fit(trace, y, COST, 0.1)
    assert policy.slopes_ is None and policy.intercepts_ is None
    np.testing.assert_array_equal(policy.thresholds_, fresh.thresholds_)
    assert ConfidenceThreshold.slopes_ is None
    assert clone(policy).per_class is False


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_hand_made_policies_compare_the_confidence(confidence):
    trace, _ = bold(300)
    policy = ConfidenceThreshold(confidence)
    policy.thresholds_ = np.array([0.6, np.inf])
    leaves = CONFIDENCES[confidence](trace.proba[:, 0]) >= 0.6
    assert 0 < leaves.sum() < 300
    np.testing.assert_array_equal(walk(trace, policy).exit == 0, leaves)


@pytest.mark.parametrize("per_class", [None, "yes", 2])
def test_bad_parameter(per_class):
    trace, y = bold(20)
    with pytest.raises(ValueError, match="'per_class' parameter"):
        ConfidenceThreshold(per_class=per_class).fit(trace, y, COST, 0.1)


# Contracts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold("entropy", per_class=True, tuning="per_stage"),
        ConfidenceThreshold(per_class=True, tuning="per_stage", epsilon=0.02),
        ConfidenceThreshold("margin", per_class=False),
    ],
    ids=repr,
)
def test_contract(policy):
    check_policy(policy)  # test_checks.py has the others


@pytest.mark.parametrize("per_class", [False, True])
def test_moving_the_dial_equals_a_fresh_fit(per_class):
    X, y = load_digits(return_X_y=True)
    members = [("nb", GaussianNB()), ("lr", LogisticRegression(C=0.01, max_iter=2000))]

    def make(**point):
        policy = ConfidenceThreshold(per_class=per_class)
        return CascadeClassifier(members, policy=policy, cost=[1, 5], random_state=0, **point)

    moved = make().fit(X, y)
    for point in ({"max_accuracy_drop": 0.02}, {"alpha": 0.1}, {"max_cost": 0.6}):
        fresh = make(**point).fit(X, y).policy_
        moved.set_operating_point(**point)
        for policy in (moved.policy_, pickle.loads(pickle.dumps(moved)).policy_):
            for name in ("thresholds_", "slopes_", "intercepts_"):
                np.testing.assert_array_equal(getattr(policy, name), getattr(fresh, name))
            assert policy.stages_ == fresh.stages_
    assert (fresh.slopes_ is None) is (not per_class)


def test_zero_weights_and_the_scale_of_weights_do_not_matter():
    trace, y = bold(500)
    weight = np.random.default_rng(0).integers(0, 3, 500) / 2
    rows = np.flatnonzero(weight)
    one = ConfidenceThreshold().fit(trace, y, COST, 0.1, weight)
    other = ConfidenceThreshold().fit(trace.rows(rows), y[rows], COST, 0.1, 8 * weight[rows])
    np.testing.assert_allclose(one.intercepts_, other.intercepts_, atol=1e-9)
    np.testing.assert_array_equal(walk(trace, one).exit, walk(trace, other).exit)


def test_a_class_unknown_so_far_is_no_problem():
    trace, y = bold(500)
    rows = trace.proba[:, 0].argmax(axis=1) != 3
    policy = ConfidenceThreshold().fit(trace.rows(np.flatnonzero(rows)), y[rows], COST, 0.1)
    score = policy.exit_score(0, trace.proba)
    assert ((score > 0) & (score < 1)).all()
    known = policy.intercepts_[0, :3]
    assert known.min() < policy.intercepts_[0, 3] < known.max()


# Other losses -----------------------------------------------------------------------------


def test_no_answer():
    trace, y = bold()
    silent = trace.with_no_answer(0.2)
    policy = fit_policy(ConfidenceThreshold(), silent, y, cost=[1, 10], alpha=0.05, random_state=0)
    plain = ConfidenceThreshold().fit(trace, y, COST, 0.05)
    assert policy.slopes_.shape == (3,) and np.isfinite(policy.intercepts_).all()
    np.testing.assert_allclose(policy.slopes_[:2], plain.slopes_)  # answers mean the same
    way, named = walk(silent, policy), trace.proba[:, 0].argmax(axis=1)
    assert (way.exit[named == 0] == 0).mean() < (way.exit[named != 0] == 0).mean() - 0.4


@pytest.mark.parametrize("times", [1.0, 7.0])
@pytest.mark.parametrize("plus", [0.0, -2.0])
def test_any_loss_is_read_as_a_share_of_its_range(times, plus):
    trace, y = bold(400)
    losses = trace.losses(y)
    other = Trace(trace.proba, loss=times * losses + plus)
    policy = ConfidenceThreshold().fit(other, y, COST, 0.1)
    plain = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    np.testing.assert_allclose(policy.slopes_, plain.slopes_)
    np.testing.assert_allclose(policy.intercepts_, plain.intercepts_)


def test_errors_that_lose_more_are_rarer():
    trace, y = bold()

    def dear(y, proba):
        """To miss class 1 loses ten times as much."""
        return (proba.argmax(axis=1) != y) * np.where(y == 1, 1.0, 0.1)

    policy = ConfidenceThreshold().fit(Trace(trace.proba, loss=dear), y, COST, 0.05)
    way = walk(trace, policy)
    wrong = trace.losses(y)[np.arange(len(y)), way.exit]
    assert np.isfinite(policy.intercepts_).all()
    assert wrong[y == 1].mean() <= wrong[y != 1].mean() + 0.02


@pytest.mark.parametrize("right", [True, False])
def test_stages_that_are_all_right_or_all_wrong(right):
    n = 60
    y = np.repeat([0, 1], n // 2)
    trace = Trace.from_top1(np.stack([y if right else 1 - y] * 2, axis=1), np.full((n, 2), 0.9), 2)
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    score = policy.exit_score(0, trace.proba)
    assert (score > 0.9).all() if right else (score < 0.5).all()
    assert (walk(trace, policy).exit == 0).all()


@pytest.mark.parametrize("n", [1, 2])
def test_a_row_or_two(n):
    trace, y = bold(n)
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    assert np.isfinite(policy.slopes_).all() and np.isfinite(policy.intercepts_).all()


def test_two_classes():
    rng = np.random.default_rng(0)
    confidence, first = rng.uniform(0.5, 1, (1000, 2)), rng.integers(2, size=1000)
    right = rng.random(1000) < np.where(first == 1, 0.98, confidence[:, 0])
    y = np.where(right, first, 1 - first)
    trace = Trace.from_top1(np.stack([first, y], axis=1), confidence, 2)
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.2)
    assert policy.intercepts_.shape == (2, 2)
    way = walk(trace, policy)
    assert (way.exit[first == 1] == 0).mean() > 0.95 > (way.exit[first == 0] == 0).mean()
