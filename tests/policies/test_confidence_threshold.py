"""Thresholds on the confidence: calibrated per class, uncalibrated, and per stage."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier, Trace, fit_policy, walk
from skcascade.checks import check_policy
from skcascade.costs import FixedCost
from skcascade.policies import ConfidenceThreshold
from skcascade.policies._calibration import calibrate, fit_calibration
from skcascade.policies._confidence import CONFIDENCES
from skcascade.policies._confidence_threshold import per_stage_threshold
from skcascade.policies._threshold import fit_thresholds

COST = FixedCost([1, 10]).fit(2)


def overconfident(n=2000, seed=0, gap=0.25):
    """Two stages; the first is overconfident for class 0."""
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=n)
    confidence = rng.uniform(0.4, 1, n)
    first = rng.integers(4, size=n)
    calibrated = np.clip(np.where(first == 0, confidence - 2 * gap, confidence + gap), 0, 1)
    correct = rng.random(n) < calibrated
    y = np.where(correct, first, (first + rng.integers(1, 4, n)) % 4)
    second = np.where(rng.random(n) < 0.97, y, (y + 1) % 4)
    sure = np.stack([confidence, np.full(n, 0.95)], axis=1)
    return Trace.from_top1(np.stack([first, second], axis=1), sure, 4), y


def accuracy_and_cost(trace, y, policy):
    route = walk(trace, policy)
    correct = 1 - trace.losses(y)[np.arange(len(y)), route.exit].mean()
    return correct, COST.relative(COST.path_cost(route.visited)).mean()


def recorded(n=200, n_stages=3, seed=0):
    """A trace whose later stages are better, and its codes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, n_stages))
    right = rng.random((n, n_stages)) < confidence ** (2.0 / np.arange(1, n_stages + 1))
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


# What calibration is good for -------------------------------------------------------------


def test_an_overconfident_class_is_deferred():
    trace, y = overconfident()
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    route = walk(trace, policy)
    predicted = trace.proba[:, 0].argmax(axis=1)
    assert (route.exit[predicted == 0] == 0).mean() < 0.1
    assert (route.exit[predicted != 0] == 0).mean() > 0.5
    assert policy.intercepts_[0, 0] < policy.intercepts_[0, 1:].min() - 1


@pytest.mark.parametrize("drop", [0.0, 0.01, 0.02])
def test_it_saves_cost_at_the_same_drop(drop):
    (trace, y), new = overconfident(), overconfident(seed=1)
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
        correct = rng.random((n, 2)) < confidence
        pred = np.where(correct, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 4)
        return Trace.from_top1(pred, confidence, 4), y

    (trace, y), new = alike(1000), alike(20_000)
    for alpha in (0.05, 0.2, 0.5):
        value = {}
        for per_class in (False, True):
            policy = ConfidenceThreshold(per_class=per_class).fit(trace, y, COST, alpha)
            correct, cost = accuracy_and_cost(*new, policy)
            value[per_class] = 1 - correct + alpha * cost
        assert value[True] < value[False] + 0.005


def test_the_score_is_the_probability_of_being_correct():
    (trace, y), (new, new_y) = overconfident(), overconfident(20_000, seed=1)
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    score = policy.exit_score(0, new.proba)
    correct = new.losses(new_y)[:, 0] == 0
    predicted = new.proba[:, 0].argmax(axis=1)
    for c in range(4):
        assert score[predicted == c].mean() == pytest.approx(
            correct[predicted == c].mean(), abs=0.04
        )
    for tenth in np.array_split(np.argsort(score), 10):
        assert score[tenth].mean() == pytest.approx(correct[tenth].mean(), abs=0.08)


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
    trace, y = overconfident(400)
    policy = ConfidenceThreshold(confidence, per_class=per_class, tuning=tuning)
    policy.fit(trace, y, COST, 0.1)
    uncalibrated = CONFIDENCES[confidence](trace.proba[:, 0])
    predicted = trace.proba[:, 0].argmax(axis=1)
    if not used:
        assert policy.slopes_ is None and policy.intercepts_ is None
        np.testing.assert_array_equal(policy.exit_score(0, trace.proba), uncalibrated)
        return
    assert policy.slopes_.shape == (2,) and policy.intercepts_.shape == (2, 4)
    correct = 1 - trace.losses(y)[:, 0]
    slope, intercepts = fit_calibration(uncalibrated, predicted, correct, np.ones(400), 4)
    assert policy.slopes_[0] == slope
    np.testing.assert_array_equal(policy.intercepts_[0], intercepts)
    calibrated = calibrate(slope, intercepts[predicted], uncalibrated)
    np.testing.assert_array_equal(policy.exit_score(0, trace.proba), calibrated)
    exits = calibrated >= policy.thresholds_[0]
    np.testing.assert_array_equal(walk(trace, policy).exit == 0, exits)
    assert 0 < exits.sum()


@pytest.mark.parametrize("tuning", ["joint", "per_stage"])
def test_a_refit_forgets(tuning):
    trace, y = overconfident(400)
    policy = ConfidenceThreshold(per_class=True, tuning=tuning).fit(trace, y, COST, 0.1)
    policy.set_params(per_class=False).fit(trace, y, COST, 0.1)
    fresh = ConfidenceThreshold(per_class=False, tuning=tuning).fit(trace, y, COST, 0.1)
    assert policy.slopes_ is None and policy.intercepts_ is None
    np.testing.assert_array_equal(policy.thresholds_, fresh.thresholds_)
    assert ConfidenceThreshold.slopes_ is None
    assert clone(policy).per_class is False


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_given_thresholds_compare_the_confidence(confidence):
    trace, _ = overconfident(300)
    policy = ConfidenceThreshold(confidence).with_thresholds([0.6, np.inf])
    exits = CONFIDENCES[confidence](trace.proba[:, 0]) >= 0.6
    assert 0 < exits.sum() < 300
    np.testing.assert_array_equal(walk(trace, policy).exit == 0, exits)


# Joint thresholds -------------------------------------------------------------------------


@pytest.mark.parametrize("per_class", [False, True])
def test_joint_is_fit_thresholds_of_its_scores(per_class):
    trace, y = recorded()
    cost = FixedCost([1, 3, 9]).fit(3)
    policy = ConfidenceThreshold("margin", per_class=per_class).fit(trace, y, cost, 0.05)
    score = np.stack([CONFIDENCES["margin"](trace.proba[:, k]) for k in range(3)], axis=1)
    if per_class:
        score = np.stack([policy.exit_score(k, trace.proba) for k in range(3)], axis=1)
    edges = np.broadcast_to(np.array([1, 3, 9]) / 9, (3, 3))
    thresholds, stages = fit_thresholds(score, trace.losses(y), edges, [0.05], np.ones(len(y)))
    np.testing.assert_array_equal(policy.thresholds_, thresholds[0])
    assert policy.stages_ == list(stages[0])
    assert len(policy.stages_) > 1


# The rule of the paper --------------------------------------------------------------------


def rule_of_the_paper(score, correct, epsilon, weight):
    """Smallest observed d with a(d) >= a* - epsilon, in exact fractions."""
    accuracy = {}
    for d in np.unique(score):
        above = [i for i in range(len(score)) if score[i] >= d]
        right = sum(Fraction(float(weight[i] * correct[i])) for i in above)
        accuracy[d] = right / sum(Fraction(int(weight[i])) for i in above)
    best = max(accuracy.values())
    return min(d for d, a in accuracy.items() if a >= best - Fraction(epsilon))


@given(
    st.integers(1, 7),
    st.sampled_from([2, 4, 8]),  # few levels: many ties
    st.integers(0, 16).map(lambda i: i / 16),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=300, deadline=None)
def test_per_stage_threshold_is_the_rule_of_the_paper(n, levels, epsilon, seed):
    rng = np.random.default_rng(seed)
    score, weight = rng.integers(0, levels + 1, size=n) / levels, rng.integers(1, 4, size=n)
    correct = rng.choice([0.0, 0.0, 1.0, 1.0, 0.5], size=n)
    threshold = per_stage_threshold(score, correct, epsilon, weight.astype(float))
    literal = rule_of_the_paper(score, correct, epsilon, weight)
    np.testing.assert_array_equal(score >= threshold, score >= literal)


def test_per_stage_threshold_by_hand():
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    correct = np.array([1, 1, 0, 1, 0])  # a(d): 1, 1, .67, .75, .6
    weight = np.ones(5)
    thresholds = [per_stage_threshold(score, correct, e, weight) for e in (0, 0.2, 0.25, 0.3, 0.4)]
    np.testing.assert_allclose(thresholds, [0.75, 0.75, 0.55, 0.55, -np.inf])


def test_per_stage_extremes():
    trace, y = recorded()
    cost = FixedCost([1, 3, 9]).fit(3)
    all_exit = ConfidenceThreshold(tuning="per_stage", epsilon=1).fit(trace, y, cost, 0.1)
    assert all_exit.thresholds_.tolist() == [-np.inf, -np.inf, np.inf]
    assert (walk(trace, all_exit).exit == 0).all()
    best = ConfidenceThreshold(tuning="per_stage", epsilon=0).fit(trace, y, cost, 0.1)
    assert best.stages_ == [0, 1, 2]
    assert best.epsilon_ == 0.0
    right = trace.losses(y)[:, :2] == 0
    for k in (0, 1):
        above = trace.proba[:, k].max(axis=1) >= best.thresholds_[k]
        assert 0 < above.sum() < len(y)
        assert right[above, k].all()  # a* is 1 here


def test_per_stage_epsilon_is_the_best_of_the_grid():
    trace, y = recorded()
    cost = FixedCost([1, 3, 9]).fit(3)
    losses = trace.losses(y)

    def value(policy, alpha):
        route = walk(trace, policy)
        return (
            losses[np.arange(len(y)), route.exit] + alpha * cost.path_cost(route.visited) / 9
        ).mean()

    alphas = [0.001, 0.05, 0.3, 2.0]
    path = ConfidenceThreshold(tuning="per_stage").fit_alphas(trace, y, cost, alphas)
    given = [
        ConfidenceThreshold(tuning="per_stage", epsilon=e).fit(trace, y, cost, 0.0)
        for e in (0.0, 0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
    ]
    for alpha, policy in zip(alphas, path):
        assert value(policy, alpha) <= min(value(one, alpha) for one in given) + 0.01
    assert path[0].epsilon_ < path[-1].epsilon_


def test_nothing_to_tune_with_an_epsilon():
    trace, y = recorded()
    fixed = ConfidenceThreshold(tuning="per_stage", epsilon=0.05)
    assert not fixed.tunable
    assert ConfidenceThreshold(tuning="per_stage").tunable
    for parameter, value in {"alpha": 0.1, "max_accuracy_drop": 0.0, "max_cost": 0.5}.items():
        with pytest.raises(ValueError, match=f"leaves nothing to tune .* got {parameter} too"):
            fit_policy(fixed, trace, y, cost=[1, 3, 9], **{parameter: value})
    with pytest.raises(ValueError, match="leaves nothing to tune .* got confidence_level too"):
        fit_policy(fixed, trace, y, cost=[1, 3, 9], confidence_level=0.9)
    policy = fit_policy(fixed, trace, y, cost=[1, 3, 9], random_state=0)
    direct = ConfidenceThreshold(tuning="per_stage", epsilon=0.05).fit(
        trace, y, FixedCost([1, 3, 9]).fit(3), 0.5
    )
    np.testing.assert_array_equal(policy.thresholds_, direct.thresholds_)
    assert policy.epsilon_ == 0.05


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
def test_another_operating_point_equals_a_fresh_fit(per_class):
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
    trace, y = overconfident(500)
    weight = np.random.default_rng(0).integers(0, 3, 500) / 2
    rows = np.flatnonzero(weight)
    one = ConfidenceThreshold().fit(trace, y, COST, 0.1, weight)
    other = ConfidenceThreshold().fit(trace.rows(rows), y[rows], COST, 0.1, 8 * weight[rows])
    np.testing.assert_allclose(one.intercepts_, other.intercepts_, atol=1e-9)
    np.testing.assert_array_equal(walk(trace, one).exit, walk(trace, other).exit)


def test_a_class_unknown_so_far_is_no_problem():
    trace, y = overconfident(500)
    rows = trace.proba[:, 0].argmax(axis=1) != 3
    policy = ConfidenceThreshold().fit(trace.rows(np.flatnonzero(rows)), y[rows], COST, 0.1)
    score = policy.exit_score(0, trace.proba)
    assert ((score > 0) & (score < 1)).all()
    known = policy.intercepts_[0, :3]
    assert known.min() < policy.intercepts_[0, 3] < known.max()


# Other losses -----------------------------------------------------------------------------


def test_reject_stage():
    trace, y = overconfident()
    rejecting = trace.with_reject(0.2)
    policy = fit_policy(
        ConfidenceThreshold(), rejecting, y, cost=[1, 10], alpha=0.05, random_state=0
    )
    plain = ConfidenceThreshold().fit(trace, y, COST, 0.05)
    assert policy.slopes_.shape == (3,) and np.isfinite(policy.intercepts_).all()
    np.testing.assert_allclose(policy.slopes_[:2], plain.slopes_, atol=0.05)  # of answers
    route, predicted = walk(rejecting, policy), trace.proba[:, 0].argmax(axis=1)
    assert (route.exit[predicted == 0] == 0).mean() < (route.exit[predicted != 0] == 0).mean() - 0.4


@pytest.mark.parametrize("times", [1.0, 7.0])
@pytest.mark.parametrize("plus", [0.0, -2.0])
def test_any_loss_is_read_as_a_share_of_its_range(times, plus):
    trace, y = overconfident(400)
    losses = trace.losses(y)
    other = Trace(trace.proba, loss=times * losses + plus)
    policy = ConfidenceThreshold().fit(other, y, COST, 0.1)
    plain = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    np.testing.assert_allclose(policy.slopes_, plain.slopes_)
    np.testing.assert_allclose(policy.intercepts_, plain.intercepts_)


def test_errors_that_lose_more_are_rarer():
    trace, y = overconfident()

    def weighted(y, proba):
        """To miss class 1 loses ten times as much."""
        return (proba.argmax(axis=1) != y) * np.where(y == 1, 1.0, 0.1)

    policy = ConfidenceThreshold().fit(Trace(trace.proba, loss=weighted), y, COST, 0.05)
    route = walk(trace, policy)
    wrong = trace.losses(y)[np.arange(len(y)), route.exit]
    assert np.isfinite(policy.intercepts_).all()
    assert wrong[y == 1].mean() <= wrong[y != 1].mean() + 0.02


@pytest.mark.parametrize("correct", [True, False])
def test_stages_that_are_all_correct_or_all_wrong(correct):
    n = 60
    y = np.repeat([0, 1], n // 2)
    trace = Trace.from_top1(
        np.stack([y if correct else 1 - y] * 2, axis=1), np.full((n, 2), 0.9), 2
    )
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    score = policy.exit_score(0, trace.proba)
    assert (score > 0.9).all() if correct else (score < 0.5).all()
    assert (walk(trace, policy).exit == 0).all()


@pytest.mark.parametrize("n", [1, 2])
def test_a_row_or_two(n):
    trace, y = overconfident(n)
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.1)
    assert np.isfinite(policy.slopes_).all() and np.isfinite(policy.intercepts_).all()


def test_two_classes():
    rng = np.random.default_rng(0)
    confidence, first = rng.uniform(0.5, 1, (1000, 2)), rng.integers(2, size=1000)
    correct = rng.random(1000) < np.where(first == 1, 0.98, confidence[:, 0])
    y = np.where(correct, first, 1 - first)
    trace = Trace.from_top1(np.stack([first, y], axis=1), confidence, 2)
    policy = ConfidenceThreshold().fit(trace, y, COST, 0.2)
    assert policy.intercepts_.shape == (2, 2)
    route = walk(trace, policy)
    assert (route.exit[first == 1] == 0).mean() > 0.95 > (route.exit[first == 0] == 0).mean()


# Bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize("per_class", [None, "yes", 2])
def test_bad_parameter(per_class):
    trace, y = overconfident(20)
    with pytest.raises(ValueError, match="'per_class' parameter"):
        ConfidenceThreshold(per_class=per_class).fit(trace, y, COST, 0.1)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"confidence": "sure"}, "'confidence' parameter"),
        ({"per_class": "always"}, "'per_class' parameter"),
        ({"tuning": "both"}, "'tuning' parameter"),
        ({"tuning": "per_stage", "epsilon": 1.5}, "'epsilon' parameter"),
        ({"tuning": "per_stage", "epsilon": -0.1}, "'epsilon' parameter"),
        ({"tuning": "per_stage", "epsilon": "x"}, "'epsilon' parameter"),
        ({"epsilon": 0.1}, "`epsilon` needs tuning='per_stage'"),
    ],
)
def test_bad_parameters(params, match):
    trace, y = recorded(20)
    with pytest.raises(ValueError, match=match):
        ConfidenceThreshold(**params).fit(trace, y, FixedCost([1, 3, 9]).fit(3), 0.1)
