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

from skcascade import CascadeClassifier, Trace, fit_policy, walk
from skcascade.checks import check_policy
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import WeightedBinary, _weighted_binary
from skcascade.policies._weighted_binary import N_ALPHAS

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


class EdgeCosts(FixedCost):
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
    return Trace(proba, loss=loss[rows]), EdgeCosts(edges).fit(n_stages), alpha, weight


def lookup(**params):
    return WeightedBinary(
        Lookup(), features=seen_answers, cv=N_COPIES, random_state=InOrder(0), **params
    )


def all_later(stage, in_use):
    """Successors where stages may be skipped."""
    return [k for k in in_use if k > stage]


def the_next(stage, in_use):
    """Successors in a chain."""
    return all_later(stage, in_use)[:1]


def no_labels(trace):
    """The losses are given, so that labels do not matter."""
    return np.zeros(trace.n_samples, dtype=int)


def best_tree(problem, successors, stages):
    """Least objective of any rules whatever, each free for everything that can be seen."""
    trace, cost, alpha, weight = problem
    edges = cost.edge_costs_

    def least(rows, stage):
        total = 0.0
        for seen in np.unique(trace.proba[rows, stage, 0]):
            here = rows[trace.proba[rows, stage, 0] == seen]
            deferred = [
                weight[here].sum() * alpha * edges[stage + 1, k] + least(here, k)
                for k in successors(stage, stages)
            ]
            total += min([weight[here] @ trace.loss[here, stage], *deferred])
        return total

    rows = np.arange(trace.n_samples)
    return alpha * edges[0, stages[0]] + least(rows, stages[0]) / weight.sum()


def objective(policy, trace, losses, cost, alpha, weight=None):
    route = walk(trace, policy)
    incurred = losses[np.arange(len(losses)), route.exit]
    return np.average(
        incurred + alpha * cost.relative(cost.path_cost(route.visited)), weights=weight
    )


def subsets(n_stages):
    stages = range(n_stages)
    return chain.from_iterable(combinations(stages, m) for m in range(1, n_stages + 1))


def useful_middle(n=300, seed=0):
    """The first stage shows which samples need the second stage and which the third."""
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
def few_alphas(monkeypatch):
    """Fewer alphas are learned: what is tested does not depend on it."""
    monkeypatch.setattr(_weighted_binary, "N_ALPHAS", 4)


# Against brute force ----------------------------------------------------------------------


@pytest.mark.parametrize("skip", [False, True])
@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_lookup_table_reaches_the_optimum(skip, problem):
    trace, cost, alpha, weight = problem
    policy = lookup(skip=skip).fit(trace, no_labels(trace), cost, alpha, weight)
    value = objective(policy, trace, trace.loss, cost, alpha, weight)
    found = {
        s: best_tree(problem, all_later if skip else the_next, s) for s in subsets(trace.n_stages)
    }
    alone = [value for stages, value in found.items() if len(stages) == 1]
    assert value <= min([found[tuple(range(trace.n_stages))], *alone]) + 1e-9
    assert value >= min(found.values()) - 1e-9


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_skipping_is_never_worse_on_the_rows_at_hand(problem):
    trace, cost, alpha, weight = problem
    everything = tuple(range(trace.n_stages))
    in_chain = best_tree(problem, the_next, everything)
    policy = lookup(skip=True).fit(trace, no_labels(trace), cost, alpha, weight)
    assert objective(policy, trace, trace.loss, cost, alpha, weight) <= in_chain + 1e-9


# Rules that are known ---------------------------------------------------------------------


def test_hand_made_network_selection():
    trace, y = useful_middle()
    kind = np.array([0, 1, 2])[np.unique(trace.proba[:, 0, 1], return_inverse=True)[1]]
    cost = FixedCost([1, 4, 10]).fit(3)
    policy = WeightedBinary(skip=True, random_state=0).fit(trace, y, cost, 0.05)
    route = walk(trace, policy)
    np.testing.assert_array_equal(route.exit, kind)
    np.testing.assert_array_equal(route.visited[:, 1], kind == 1)
    assert policy.stages_ == [0, 1, 2]


def test_skip_beats_the_chain_where_the_middle_is_of_no_use_to_some():
    trace, y = useful_middle()
    cost, losses = FixedCost([1, 4, 10]).fit(3), trace.losses(y)
    spent = [
        objective(
            WeightedBinary(skip=skip, random_state=0).fit(trace, y, cost, 0.05),
            *(trace, losses, cost, 0.05),
        )
        for skip in (False, True)
    ]
    assert spent[1] < spent[0] - 0.05 * 0.4 * 0.15  # of every sample, 20 % skip a cost of 4 / 10


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


def test_a_skip_has_the_cost_of_its_edge():
    """All deferred samples must get to the last stage; their route depends on the cost alone."""
    trace, y = useful_middle()
    loss = np.ones((len(y), 3))
    loss[:, 2] = 0
    loss[y == 0, 0] = 0
    trace = Trace(trace.proba, loss=loss)
    nan = np.nan
    policy = WeightedBinary(skip=True, random_state=0)
    through = EdgeCosts([[0.1, 0.2, 1], [nan, 0.2, 0.9], [nan, nan, 0.2]]).fit(3)
    around = EdgeCosts([[0.1, 0.2, 1], [nan, 0.2, 0.3], [nan, nan, 0.2]]).fit(3)
    for cost, middle in ((through, True), (around, False)):
        route = walk(trace, clone(policy).fit(trace, y, cost, 0.2))
        np.testing.assert_array_equal(route.exit, np.where(y == 0, 0, 2))
        assert (route.visited[:, 1] == ((y == 1) & middle)).all()


def test_excess_loss_forgives_what_the_last_stage_gets_wrong_too():
    """Some rows are wrong at both stages, with another confidence than the correct ones."""
    sure, unsure, wrong = [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]
    trace = Trace([[sure, sure]] * 40 + [[unsure, sure]] * 40)
    y = np.repeat([0, 1], 40)  # the unsure ones are wrong, and stay so
    cost = FixedCost([1, 10]).fit(2)
    for excess in (False, True):
        policy = WeightedBinary(excess_loss=excess, random_state=0)
        assert walk(trace, policy.fit(trace, y, cost, 0.1)).exit.max() == 0
    # The last is wrong where the first is right: deferring counts as a loss, exiting not as a gain.
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
    spent = [cost.path_cost(walk(trace, p).visited).mean() for p in (cheap, plain)]
    assert spent[0] < spent[1] - 0.5


# Routes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.001, 0.02, 0.05, 0.2])
@pytest.mark.parametrize(
    "successors", [PAPER, {0: [1, 2]}, {0: [1], 1: [2]}, {0: (2,)}, {1: [2]}, {}]
)
def test_successors_restrict_routes(successors, alpha):
    trace, y = recorded()
    cost = FixedCost([1, 3, 9]).fit(3)
    policy = WeightedBinary(skip=True, successors=successors, random_state=0)
    route = walk(trace, policy.fit(trace, y, cost, alpha))
    for visited in np.unique(route.visited, axis=0):
        stages = np.flatnonzero(visited)
        assert stages[0] == policy.stages_[0]
        assert all(k in successors.get(j, ()) for j, k in pairwise(stages))


def test_four_stages_skip_by_the_route_before():
    trace, y = recorded(600, n_stages=4)
    policy = WeightedBinary(skip=True, random_state=0)
    policy.fit(trace, y, FixedCost([1, 2, 4, 9]).fit(4), 0.05)
    assert {0, 1} <= set(policy.rules_[2])
    assert len(np.unique(walk(trace, policy).visited, axis=0)) > 4


# Alphas -----------------------------------------------------------------------------------


def test_of_many_alphas_a_part_is_learned_and_the_others_lie_between():
    trace, y = recorded(600)
    cost, losses = FixedCost([1, 3, 9]).fit(3), trace.losses(y)
    alphas = np.geomspace(1e-3, 1, 4 * (N_ALPHAS - 1) + 1)
    policy = WeightedBinary(random_state=0)
    path = policy.fit_alphas(trace, y, cost, alphas[::-1])[::-1]
    spent = [cost.path_cost(walk(trace, p).visited).mean() for p in path]
    assert len(np.unique(spent)) > 2 * N_ALPHAS
    for i in range(0, len(alphas), 4):  # on the grid
        alone = clone(policy).fit(trace, y, cost, alphas[i])
        assert spent[i] == cost.path_cost(walk(trace, alone).visited).mean()
    for i in range(2, len(alphas), 8):  # off it
        alone = clone(policy).fit(trace, y, cost, alphas[i])
        values = [objective(p, trace, losses, cost, alphas[i]) for p in (path[i], alone)]
        assert values[0] <= values[1] + 0.01


# As a policy and as an estimator ----------------------------------------------------------


@pytest.mark.usefixtures("few_alphas")
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


@pytest.mark.usefixtures("few_alphas")
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    "point",
    [{"alpha": 0.05}, {"max_accuracy_drop": 0.02}, {"max_cost": 0.6}, {}],
    ids=lambda point: next(iter(point), "default"),
)
def test_every_operating_point(skip, point):
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


@pytest.mark.usefixtures("few_alphas")
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
    new, codes = recorded(20_000, seed=1)
    losses, route = new.losses(codes), walk(new, fitted)
    assert len(fitted.stages_) > 1
    assert losses[np.arange(len(codes)), route.exit].mean() - losses.mean(axis=0).min() <= 0.03
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


@pytest.mark.usefixtures("few_alphas")
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
        ({"successors": {0: []}, "skip": True}, "Omit a stage that sends"),
        ({"successors": {0: ["b"]}, "skip": True}, "later ones, got 0"),
    ],
)
def test_bad_parameters(params, match):
    trace, y = recorded(20)
    with pytest.raises(ValueError, match=match):
        WeightedBinary(**params).fit(trace, y, FixedCost([1, 3, 9]).fit(3), 0.1)
