"""Weighted binary rules: compared with the best of all decision trees, and on known answers."""

import pickle
from itertools import chain, combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skcascade import EXIT, CascadeClassifier, Trace, fit_policy, walk
from skcascade.checks import check_policy
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import WeightedBinary, _reduction, _weighted_binary
from skcascade.policies._base import use_stages
from skcascade.policies._features import stage_features
from skcascade.policies._reduction import INPUT, Reduction, land, ways
from skcascade.policies._weighted_binary import N_PRICES, last_seen

PAPER = {0: [1, 2], 1: [2]}
N_COPIES = 3


class Lookup(ClassifierMixin, BaseEstimator):
    """The weighted majority of each distinct row, label 1 among equals."""

    def fit(self, X, y, sample_weight):
        assert len(np.unique(y)) == 2, "one class is no problem for an estimator"
        assert (sample_weight > 0).all()
        self.classes_ = np.unique(y)
        self.table_ = {}
        for row, label, weight in zip(X, y, sample_weight):
            self.table_[tuple(row)] = self.table_.get(tuple(row), 0) + (2 * label - 1) * weight
        return self

    def predict(self, X):
        return np.array([int(self.table_.get(tuple(row), 0) >= -1e-9) for row in X])


class InOrder(np.random.RandomState):
    """Deals rows to folds in their order, so that copies can be put into different folds."""

    def permutation(self, n):
        return np.arange(n)


def seen_answers(stage, proba):
    """First probability of every stage up to `stage`, -1 where it was skipped."""
    return np.nan_to_num(proba[:, :, 0], nan=-1.0)


class Edges(FixedCost):
    """Relative costs as they come."""

    def __init__(self, edges=()):
        self.edges = edges

    def fit(self, stages, X=None):
        self.edge_costs_ = np.asarray(self.edges, dtype=float)
        return self


@st.composite
def problems(draw):
    """Trace, cost, alpha, weight: few answers, known losses, `N_COPIES` copies of each row."""
    n, n_stages = draw(st.integers(1, 10)), draw(st.integers(1, 4))
    alpha = draw(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    answer = rng.integers(1, 4, size=(n, n_stages)) / 4
    loss = rng.choice([0.0, 0.0, 1.0, 1.0, 0.5], size=(n, n_stages))
    edges = rng.integers(0, 9, size=(n_stages, n_stages)) / 8
    edges[np.tril_indices(n_stages, -1)] = np.nan
    edges[0, -1] = 1.0
    rows = np.repeat(np.arange(n), N_COPIES)
    proba = np.stack([answer, 1 - answer], axis=2)[rows]
    weight = rng.integers(1, 4, size=n).astype(float)[rows]
    return Trace(proba, loss=loss[rows]), Edges(edges).fit(n_stages), alpha, weight


def lookup(**params):
    return WeightedBinary(
        Lookup(), features=seen_answers, cv=N_COPIES, random_state=InOrder(0), **params
    )


def no_labels(trace):
    """The losses are given, so nobody looks at them."""
    return np.zeros(trace.n_samples, dtype=int)


def best_tree(problem, successors, stages):
    """Least objective of any rules whatever, each free for everything that can be seen."""
    trace, cost, alpha, weight = problem
    edges = cost.edge_costs_

    def least(rows, stage):
        total = 0.0
        for seen in np.unique(trace.proba[rows, stage, 0]):
            here = rows[trace.proba[rows, stage, 0] == seen]
            ways_on = [
                weight[here].sum() * alpha * edges[stage + 1, k] + least(here, k)
                for k in successors(stage, stages)
            ]
            total += min([weight[here] @ trace.loss[here, stage], *ways_on])
        return total

    rows = np.arange(trace.n_samples)
    return alpha * edges[0, stages[0]] + least(rows, stages[0]) / weight.sum()


def objective(policy, trace, losses, cost, alpha, weight=None):
    way = walk(trace, policy)
    paid = losses[np.arange(len(losses)), way.exit]
    return np.average(paid + alpha * cost.relative(cost.path_cost(way.visited)), weights=weight)


def subsets(n_stages):
    stages = range(n_stages)
    return chain.from_iterable(combinations(stages, m) for m in range(1, n_stages + 1))


def useful_middle(n=300, seed=0):
    """The first stage knows who needs the second and who needs the third."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    a, b = [0.9, 0.1], [0.1, 0.9]
    rows = [[a, a, a], [[0.7, 0.3], b, b], [[0.55, 0.45], a, b]]
    return Trace(np.array(rows)[kind]), (kind > 0).astype(int)


def recorded(n=300, n_stages=3, seed=0):
    """Stages of growing skill on 3 classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, n_stages, 3))
    logits[np.arange(n), :, y] += np.linspace(1, 3, n_stages)
    proba = np.exp(logits)
    return Trace(proba / proba.sum(axis=2, keepdims=True)), y


@pytest.fixture
def few_prices(monkeypatch):
    """Fewer prices are learnt: what is tested does not depend on it."""
    monkeypatch.setattr(_weighted_binary, "N_PRICES", 4)


# Against brute force ----------------------------------------------------------------------


@pytest.mark.parametrize("skip", [False, True])
@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_lookup_table_reaches_the_optimum(skip, problem):
    trace, cost, alpha, weight = problem
    policy = lookup(skip=skip).fit(trace, no_labels(trace), cost, alpha, weight)
    value = objective(policy, trace, trace.loss, cost, alpha, weight)
    found = {s: best_tree(problem, policy._targets, s) for s in subsets(trace.n_stages)}
    alone = [value for stages, value in found.items() if len(stages) == 1]
    assert value <= min([found[tuple(range(trace.n_stages))], *alone]) + 1e-9
    assert value >= min(found.values()) - 1e-9


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_skipping_is_never_worse_on_the_rows_at_hand(problem):
    trace, cost, alpha, weight = problem
    everything = tuple(range(trace.n_stages))
    in_chain = best_tree(problem, lookup()._targets, everything)
    policy = lookup(skip=True).fit(trace, no_labels(trace), cost, alpha, weight)
    assert objective(policy, trace, trace.loss, cost, alpha, weight) <= in_chain + 1e-9


@given(problem=problems())
@settings(max_examples=40, deadline=None)
def test_value_is_that_of_the_walk(problem):
    """The promise, made by other folds, is kept where all folds are alike."""
    trace, cost, alpha, weight = problem
    policy = lookup(skip=True)
    reduction = Reduction(
        lambda stage, shown: seen_answers(
            stage, _reduction.shown_only(trace.proba[:, : stage + 1], shown)
        ),
        trace.loss,
        cost.edge_costs_,
        weight,
        np.arange(trace.n_samples) % N_COPIES,
        Lookup(),
        policy._targets,
    )
    for stages in subsets(trace.n_stages):
        solution = reduction.fitted(reduction.learn(stages, alpha))
        fitted = policy._at(solution.stages, solution.rules)
        value = objective(fitted, trace, trace.loss, cost, alpha, weight)
        assert solution.value == pytest.approx(value, abs=1e-9)


# Rules that are known ---------------------------------------------------------------------


def test_hand_made_network_selection():
    trace, y = useful_middle()
    kind = np.array([0, 1, 2])[np.unique(trace.proba[:, 0, 1], return_inverse=True)[1]]
    cost = FixedCost([1, 4, 10]).fit(3)
    policy = WeightedBinary(skip=True, random_state=0).fit(trace, y, cost, 0.05)
    way = walk(trace, policy)
    np.testing.assert_array_equal(way.exit, kind)
    np.testing.assert_array_equal(way.visited[:, 1], kind == 1)
    assert policy.stages_ == [0, 1, 2]


def test_skip_beats_the_chain_where_the_middle_is_of_no_use_to_some():
    trace, y = useful_middle()
    cost, losses = FixedCost([1, 4, 10]).fit(3), trace.losses(y)
    paid = [
        objective(
            WeightedBinary(skip=skip, random_state=0).fit(trace, y, cost, 0.05),
            *(trace, losses, cost, 0.05),
        )
        for skip in (False, True)
    ]
    assert paid[1] < paid[0] - 0.05 * 0.4 * 0.15  # of every sample, 20 % skip a price of 4 / 10


def test_useless_stages_are_not_used():
    trace, y = recorded()
    proba = trace.proba.copy()
    proba[:, 1] = 1 / 3
    proba[:, 1, 0] += 0.01
    cost = FixedCost([1, 5, 10]).fit(3)
    for alpha in (0.02, 0.05, 0.1, 0.5):
        policy = WeightedBinary(random_state=0).fit(Trace(proba), y, cost, alpha)
        assert 1 not in policy.stages_
    policy = WeightedBinary(random_state=0).fit(Trace(proba), y, cost, 0.2)
    assert policy.stages_ == [0, 2]
    same = Trace(trace.proba[:, [0, 0, 0]])
    assert WeightedBinary(random_state=0).fit(same, y, cost, 0.05).stages_ == [0]


def test_a_jump_is_priced_by_its_edge():
    """Everybody who goes on must get to the last stage; the way is chosen by price alone."""
    trace, y = useful_middle()
    loss = np.ones((len(y), 3))
    loss[:, 2] = 0
    loss[y == 0, 0] = 0
    trace = Trace(trace.proba, loss=loss)
    nan = np.nan
    policy = WeightedBinary(skip=True, random_state=0)
    through = Edges([[0.1, 0.2, 1], [nan, 0.2, 0.9], [nan, nan, 0.2]]).fit(3)
    around = Edges([[0.1, 0.2, 1], [nan, 0.2, 0.3], [nan, nan, 0.2]]).fit(3)
    for cost, middle in ((through, True), (around, False)):
        way = walk(trace, clone(policy).fit(trace, y, cost, 0.2))
        np.testing.assert_array_equal(way.exit, np.where(y == 0, 0, 2))
        assert (way.visited[:, 1] == ((y == 1) & middle)).all()


def test_excess_loss_forgives_what_the_last_stage_gets_wrong_too():
    """One kind of rows is wrong at both stages, and told from the right ones by confidence."""
    sure, unsure, wrong = [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]
    trace = Trace([[sure, sure]] * 40 + [[unsure, sure]] * 40)
    y = np.repeat([0, 1], 40)  # the unsure ones are wrong, and stay so
    cost = FixedCost([1, 10]).fit(2)
    for excess in (False, True):
        policy = WeightedBinary(excess_loss=excess, random_state=0)
        assert walk(trace, policy.fit(trace, y, cost, 0.1)).exit.max() == 0
    # The last is wrong where the first is right: going on is punished, staying not rewarded.
    trace = Trace([[sure, wrong]] * 40 + [[wrong, sure]] * 40)
    y = np.zeros(80, int)
    loss = np.maximum(trace.losses(y) - trace.losses(y)[:, -1:], 0)
    np.testing.assert_array_equal(loss, np.repeat([[0, 0], [1, 0]], 40, axis=0))
    kept, clipped = (
        WeightedBinary(excess_loss=excess, random_state=0).fit(trace, y, cost, 0.0)
        for excess in (False, True)
    )
    assert kept.stages_ == [0, 1]
    assert clipped.stages_ == [1]  # no excess there, so nothing is left to gain


# Cross-fitting ----------------------------------------------------------------------------


def gamble(n, seed):
    """A middle stage that is right by luck; what it says tells nothing about when."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    right = rng.uniform(size=(n, 3)) < [0.5, 0.5, 1.0]
    top = rng.uniform(0.5, 1, size=(n, 3))
    first = np.where(right == (y == 0)[:, np.newaxis], top, 1 - top)
    return Trace(np.stack([first, 1 - first], axis=2)), y


def overfitted(cv):
    """Value promised and objective on fresh rows, of an unpruned tree over all three stages."""
    trace, y = gamble(600, 0)
    cost, losses = FixedCost([1, 1, 10]).fit(3), trace.losses(y)
    fold = np.arange(600) % cv
    policy = WeightedBinary()
    reduction = Reduction(
        lambda stage, shown: stage_features(stage, trace.proba[:, : stage + 1]),
        *(losses, cost.relative(cost.edge_costs_), np.ones(600), fold),
        *(DecisionTreeClassifier(random_state=0), policy._targets),
    )
    solution = reduction.fitted(reduction.learn((0, 1, 2), 0.3))
    fresh, codes = gamble(4000, 1)
    fitted = policy._at(solution.stages, solution.rules)
    return solution.value, objective(fitted, fresh, fresh.losses(codes), cost, 0.3)


def test_promises_are_kept_although_the_estimator_overfits():
    promised, kept = overfitted(cv=3)
    assert promised == pytest.approx(kept, abs=0.03)
    promised, kept = overfitted(cv=1)  # the same without folds
    assert promised < kept - 0.2


def test_an_overfitting_estimator_falls_back_on_one_stage():
    trace, y = gamble(600, 0)
    cost = FixedCost([1, 1, 10]).fit(3)
    policy = WeightedBinary(DecisionTreeClassifier(), random_state=0).fit(trace, y, cost, 0.3)
    assert policy.stages_ == [2]


def test_skipping_must_earn_its_place():
    """Nothing tells who should take the middle stage, so everybody who goes on jumps."""
    trace, y = gamble(600, 0)
    losses, cost = trace.losses(y), FixedCost([1, 1, 10]).fit(3)
    reduction = Reduction(
        lambda stage, shown: stage_features(stage, trace.proba[:, : stage + 1]),
        *(losses, cost.relative(cost.edge_costs_), np.ones(600), np.arange(600) % 3),
        *(DecisionTreeClassifier(random_state=0), WeightedBinary(skip=True)._targets),
    )
    rule = reduction.fitted(reduction.learn((0, 1, 2), 0.3)).rules[INPUT, 0]
    assert rule.actions == (EXIT, 1, 2)
    ((_, model),) = rule.models[1]
    assert isinstance(model, _reduction.Always) and not model.label


# Nothing to tell apart --------------------------------------------------------------------


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.05, 100.0])
@pytest.mark.parametrize("n", [1, 2, 5, 40])
@pytest.mark.parametrize("losses", [[0, 0, 0], [1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 1, 0]])
def test_one_answer_is_no_problem(skip, alpha, n, losses):
    trace, y = recorded(n)
    trace = Trace(trace.proba, loss=np.tile(losses, (n, 1)))
    cost = FixedCost([1, 3, 9]).fit(3)
    policy = WeightedBinary(Lookup(), skip=skip, random_state=0).fit(trace, y, cost, alpha)
    best = min(losses[k] + alpha * cost.relative(cost.costs[k]) for k in range(3))
    assert objective(policy, trace, trace.loss, cost, alpha) == pytest.approx(best)
    assert len(policy.stages_) == 1


def test_a_class_that_is_in_one_fold_only():
    trace, y = recorded(40)
    loss = np.zeros((40, 3))
    loss[7] = [1, 1, 0]
    trace = Trace(trace.proba, loss=loss)
    for skip in (False, True):
        policy = WeightedBinary(Lookup(), skip=skip, random_state=0)
        policy.fit(trace, y, FixedCost([1, 3, 9]).fit(3), 0.01)


def test_rows_without_weight_do_not_matter():
    trace, y = recorded(200)
    weight = np.r_[np.ones(120), np.zeros(80)]
    cost = FixedCost([1, 3, 9]).fit(3)
    policy = WeightedBinary(random_state=0).fit(trace, y, cost, 0.05, weight)
    other = np.r_[y[:120], (y[120:] + 1) % 3]
    same = WeightedBinary(random_state=0).fit(trace, other, cost, 0.05, weight)
    assert policy.stages_ == same.stages_
    np.testing.assert_array_equal(walk(trace, policy).exit, walk(trace, same).exit)


def test_weight_moves_the_rule():
    trace, y = recorded(400)
    cost, right = FixedCost([1, 3, 9]).fit(3), trace.losses(y)[:, 0] == 0
    cheap = WeightedBinary(random_state=0).fit(trace, y, cost, 0.2, np.where(right, 10.0, 1.0))
    plain = WeightedBinary(random_state=0).fit(trace, y, cost, 0.2)
    paid = [cost.path_cost(walk(trace, p).visited).mean() for p in (cheap, plain)]
    assert paid[0] < paid[1] - 0.5


# Which ways there are ---------------------------------------------------------------------


def test_ways_show_what_all_of_them_have_seen():
    policy = WeightedBinary(skip=True)
    assert ways((0, 1, 2, 3), WeightedBinary()._targets) == {
        (INPUT, 0): (0,),
        (0, 1): (0, 1),
        (1, 2): (0, 1, 2),
        (2, 3): (0, 1, 2, 3),
    }
    shown = ways((0, 2, 3, 5), policy._targets)
    assert shown[2, 3] == (0, 2, 3)
    assert shown[3, 5] == (0, 3, 5)  # some came to 3 over 2, some did not
    policy.successors = {0: [1], 1: [3]}
    assert list(ways((0, 1, 2, 3), policy._targets)) == [(INPUT, 0), (0, 1), (1, 3)]


def test_land():
    to = np.array([EXIT, 1, 2, 3])
    np.testing.assert_array_equal(land(to, [2, 3]), [EXIT, 2, 2, 3])
    np.testing.assert_array_equal(land(to, [1, 2]), [EXIT, 1, 2, 2])
    np.testing.assert_array_equal(land(to, []), [EXIT] * 4)


def test_last_seen():
    proba = np.full((3, 2, 2), np.nan)
    proba[1, 0] = proba[2] = 0.5
    np.testing.assert_array_equal(last_seen(proba), [INPUT, 0, 1])
    np.testing.assert_array_equal(last_seen(proba[:, :0]), [INPUT] * 3)


@pytest.mark.parametrize("alpha", [0.001, 0.02, 0.05, 0.2])
@pytest.mark.parametrize(
    "successors", [PAPER, {0: [1, 2]}, {0: [1], 1: [2]}, {0: (2,)}, {1: [2]}, {}]
)
def test_successors_restrict_routes(successors, alpha):
    trace, y = recorded()
    cost = FixedCost([1, 3, 9]).fit(3)
    policy = WeightedBinary(skip=True, successors=successors, random_state=0)
    way = walk(trace, policy.fit(trace, y, cost, alpha))
    for visited in np.unique(way.visited, axis=0):
        stages = np.flatnonzero(visited)
        assert stages[0] == policy.stages_[0]
        assert all(k in successors.get(j, ()) for j, k in pairwise(stages))


def test_four_stages_skip_by_the_way_they_came():
    trace, y = recorded(600, n_stages=4)
    policy = WeightedBinary(skip=True, random_state=0)
    policy.fit(trace, y, FixedCost([1, 2, 4, 9]).fit(4), 0.05)
    assert {(0, 2), (1, 2)} <= set(policy.rules_)
    assert len(np.unique(walk(trace, policy).visited, axis=0)) > 4


@pytest.mark.parametrize(
    "params",
    [{}, {"skip": True}, {"skip": True, "successors": {0: [1, 2, 3], 1: [3], 2: [3]}}],
    ids=["chain", "skip", "one between"],
)
def test_pruned_from_outside(params):
    trace, y = recorded(n_stages=4)
    cost = FixedCost([1, 2, 4, 9]).fit(4)
    policy = WeightedBinary(random_state=0, **params).fit(trace, y, cost, 0.02)
    for stages in subsets(4):
        way = walk(trace, use_stages(policy, stages))
        assert not way.visited[:, [k for k in range(4) if k not in stages]].any()
        assert way.visited[:, stages[0]].all()


# Features ---------------------------------------------------------------------------------


def test_features():
    proba = np.full((2, 3, 4), np.nan)
    proba[0] = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1]]
    proba[1, 2] = [1.0, 0, 0, 0]
    X = stage_features(2, proba)
    entropy = -(2 * 0.1 * np.log(0.1) + 0.6 * np.log(0.6) + 0.2 * np.log(0.2)) / np.log(4)
    doubt = np.log(0.4) / np.log(1e-6)
    expected = [
        [0.6, 0.2, 0.1, 0.4, entropy, doubt, 0, 1, 0.3, 0.7, 0, 1, 0, 0],
        [1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0],
    ]
    np.testing.assert_allclose(X, expected, atol=1e-12)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 20])
def test_features_of_a_row_are_its_own(n_classes):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(n_classes), size=(30, 3)).astype(np.float32)
    proba[::2, 1] = np.nan
    for stage in range(3):
        columns = 6 + 2 * stage + n_classes
        assert stage_features(stage, proba[:, : stage + 1]).shape == (30, columns)
    X = stage_features(2, proba)
    np.testing.assert_array_equal(X[:, -n_classes:].argmax(axis=1), proba[:, 2].argmax(axis=1))
    np.testing.assert_array_equal(X[:, -n_classes:].sum(axis=1), 1)
    assert np.isfinite(X).all() and X.min() >= 0 and X.max() <= 1 + 1e-6
    np.testing.assert_array_equal(X[5:6], stage_features(2, proba[5:6]))


def test_features_can_be_replaced():
    trace, y = recorded()
    calls = []

    def answers(stage, proba):
        calls.append((stage, proba.shape, np.isnan(proba).any(axis=(0, 2)).tolist()))
        return np.nan_to_num(proba.reshape(len(proba), -1))

    policy = WeightedBinary(skip=True, features=answers, random_state=0)
    policy.fit(trace, y, FixedCost([1, 3, 9]).fit(3), 0.05)
    assert (0, (300, 1, 3), [False]) in calls and (1, (300, 2, 3), [False, False]) in calls
    assert (1, (300, 2, 3), [True, False]) in calls  # without the first stage: is it missed?
    assert len(calls) == len({(stage, *hidden) for stage, _, hidden in calls})
    with pytest.raises(ValueError, match=r"`features` must return .* got \(300,\)"):
        WeightedBinary(features=lambda stage, proba: proba[:, stage, 0]).fit(
            trace, y, FixedCost([1, 3, 9]).fit(3), 0.05
        )


# Prices -----------------------------------------------------------------------------------


def test_fit_is_fit_path_of_one_price():
    trace, y = recorded()
    cost, weight = FixedCost([1, 3, 9]).fit(3), np.random.default_rng(0).uniform(0.5, 2, 300)
    policy = WeightedBinary(skip=True, random_state=0)
    (one,) = policy.fit_path(trace, y, cost, [0.05], weight)
    assert not hasattr(policy, "rules_")
    assert policy.fit(trace, y, cost, 0.05, weight) is policy
    assert policy.stages_ == one.stages_
    np.testing.assert_array_equal(walk(trace, policy).exit, walk(trace, one).exit)


def test_of_many_prices_a_part_is_learnt_and_the_others_lie_between():
    trace, y = recorded(600)
    cost, losses = FixedCost([1, 3, 9]).fit(3), trace.losses(y)
    alphas = np.geomspace(1e-3, 1, 4 * (N_PRICES - 1) + 1)
    policy = WeightedBinary(random_state=0)
    path = policy.fit_path(trace, y, cost, alphas[::-1])[::-1]
    paid = [cost.path_cost(walk(trace, p).visited).mean() for p in path]
    assert len(np.unique(paid)) > 2 * N_PRICES
    for i in range(0, len(alphas), 4):  # on the grid
        alone = clone(policy).fit(trace, y, cost, alphas[i])
        assert paid[i] == cost.path_cost(walk(trace, alone).visited).mean()
    for i in range(2, len(alphas), 8):  # off it
        alone = clone(policy).fit(trace, y, cost, alphas[i])
        values = [objective(p, trace, losses, cost, alphas[i]) for p in (path[i], alone)]
        assert values[0] <= values[1] + 0.01


@pytest.mark.parametrize("alphas", [[0.0], [0.0, 0.0], [0.0] * 20, np.linspace(0, 1, 30)])
def test_any_list_of_prices(alphas):
    trace, y = recorded(60)
    path = WeightedBinary(random_state=0).fit_path(trace, y, FixedCost([1, 3, 9]).fit(3), alphas)
    assert len(path) == len(alphas)
    for policy in path:
        walk(trace, policy)


# As a policy and as an estimator ------------------------------------------------------------


@pytest.mark.usefixtures("few_prices")
@pytest.mark.parametrize(
    "policy",
    [
        WeightedBinary(random_state=0),
        WeightedBinary(skip=True, random_state=0),
        WeightedBinary(DecisionTreeClassifier(max_depth=3), skip=True, random_state=0),
        WeightedBinary(GaussianNB(), excess_loss=True, cv=2, random_state=0),
        WeightedBinary(RidgeClassifier(), features=seen_answers, random_state=0),
    ],
    ids=["chain", "skip", "tree", "excess", "ridge"],
)
def test_contract(policy):
    check_policy(policy)


@pytest.mark.usefixtures("few_prices")
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    "point",
    [{"alpha": 0.05}, {"max_accuracy_drop": 0.02}, {"max_cost": 0.6}, {}],
    ids=lambda point: next(iter(point), "default"),
)
def test_every_dial(skip, point):
    trace, y = recorded(400)
    policy = WeightedBinary(skip=skip, random_state=0)
    fitted = fit_policy(policy, trace, y, cost=[1, 3, 9], random_state=0, **point)
    curve, index = fitted.tradeoff_, fitted.tradeoff_index_
    if "max_cost" in point:
        assert curve.relative_cost[index] <= 0.6
    elif "alpha" not in point:
        floor = curve.stage_accuracy.max() - point.get("max_accuracy_drop", 0)
        assert curve.accuracy[index] >= floor - 1e-12
    assert curve.relative_cost[index] < 1


@pytest.mark.usefixtures("few_prices")
def test_certified():
    trace, y = recorded(3000)
    fitted = fit_policy(
        WeightedBinary(random_state=0),
        *(trace, y),
        cost=[1, 3, 9],
        max_accuracy_drop=0.03,
        confidence_level=0.9,
        random_state=0,
    )
    fresh, codes = recorded(20_000, seed=1)
    losses, way = fresh.losses(codes), walk(fresh, fitted)
    assert len(fitted.stages_) > 1
    assert losses[np.arange(len(codes)), way.exit].mean() - losses.mean(axis=0).min() <= 0.03
    with pytest.warns(CascadeWarning, match="No operating point could be certified"):
        fit_policy(
            *(WeightedBinary(random_state=0), trace.rows(slice(60)), y[:60]),
            cost=[1, 3, 9],
            confidence_level=0.9,
            random_state=0,
        )


def test_same_seed_same_rules():
    trace, y = recorded()
    cost = FixedCost([1, 3, 9]).fit(3)
    policy = WeightedBinary(
        DecisionTreeClassifier(max_features=1, max_depth=4), skip=True, random_state=3
    )
    one, other = (clone(policy).fit(trace, y, cost, 0.03) for _ in range(2))
    np.testing.assert_array_equal(walk(trace, one).exit, walk(trace, other).exit)
    np.testing.assert_array_equal(
        walk(trace, pickle.loads(pickle.dumps(one))).exit, walk(trace, one).exit
    )
    assert policy.estimator.random_state is None


def test_parameters_of_the_estimator_are_reached():
    policy = WeightedBinary(LogisticRegression(), successors=PAPER, skip=True)
    policy.set_params(estimator__C=0.1)
    assert clone(policy).estimator.C == 0.1
    assert clone(policy).successors == PAPER


@pytest.mark.usefixtures("few_prices")
def test_in_a_cascade():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    y = (X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=400) > 0).astype(int)
    members = [("nb", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=6))]
    predicted = []
    for _ in range(2):
        cascade = CascadeClassifier(
            members, policy=WeightedBinary(skip=True), cost=[1, 5], cv=3, random_state=0
        )
        predicted.append(cascade.fit(X, y).predict_proba(X))
        assert cascade.policy_.random_state is not None
    np.testing.assert_array_equal(*predicted)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"estimator": "lr"}, "'estimator' parameter"),
        ({"estimator": KNeighborsClassifier()}, "`sample_weight` in `fit`.*KNeighborsClassifier"),
        ({"skip": "yes"}, "'skip' parameter"),
        ({"cv": 1}, "'cv' parameter"),
        ({"features": "margin"}, "'features' parameter"),
        ({"successors": PAPER}, "`successors` needs skip=True"),
        ({"successors": [[1, 2], [2]], "skip": True}, "'successors' parameter"),
        ({"successors": {0: [3]}, "skip": True}, r"stages from 0 to 2.*got 0: \[3\]"),
        ({"successors": {1: [1]}, "skip": True}, r"later ones, got 1: \[1\]"),
        ({"successors": {2: [0]}, "skip": True}, r"later ones, got 2: \[0\]"),
        ({"successors": {"a": [1]}, "skip": True}, r"got 'a': \[1\]"),
        ({"successors": {0: []}, "skip": True}, "Leave out a stage that ends"),
        ({"successors": {0: ["b"]}, "skip": True}, "later ones, got 0"),
    ],
)
def test_bad_parameters(params, match):
    trace, y = recorded(20)
    with pytest.raises(ValueError, match=match):
        WeightedBinary(**params).fit(trace, y, FixedCost([1, 3, 9]).fit(3), 0.1)
