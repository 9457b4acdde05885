"""Learned rules of edges: where rows are routed."""

import pickle

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from skcascade import EXIT, Trace
from skcascade.costs import FixedCost
from skcascade.policies import EdgeRule, Edges, WeightedBinary
from skcascade.policies._edges import INPUT, Always, fit_weighted, nearest_stage, score
from skcascade.policies._features import stage_features


class Level:
    """A model that predicts 1 where the first feature reaches `level`."""

    def __init__(self, level):
        self.level = level

    def predict(self, X):
        return (X[:, 0] >= self.level).astype(int)


class Sure:
    """A model with probabilities: the first feature is the probability of label 1."""

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def edge(shown, actions, *models):
    """An edge whose features are used as they are."""
    models = tuple([(1.0, model)] for model in models)
    return EdgeRule(shown, actions, models, np.zeros(1), np.ones(1))


def recorded(n=300, n_stages=3, seed=0):
    """Stages of growing skill on 3 classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    logits = rng.normal(size=(n, n_stages, 3))
    logits[np.arange(n), :, y] += np.linspace(1, 3, n_stages)
    proba = np.exp(logits)
    return Trace(proba / proba.sum(axis=2, keepdims=True)), y


# The stage that can be reached ------------------------------------------------------------


def test_nearest_stage():
    to = np.array([EXIT, 1, 2, 3])
    np.testing.assert_array_equal(nearest_stage(to, [2, 3]), [EXIT, 2, 2, 3])
    np.testing.assert_array_equal(nearest_stage(to, [1, 2]), [EXIT, 1, 2, 2])
    np.testing.assert_array_equal(nearest_stage(to, []), [EXIT] * 4)


# One edge ---------------------------------------------------------------------------------


def test_an_action_wins_where_it_beats_the_best_of_those_after_it():
    X = np.array([[0.1], [0.4], [0.6], [0.9]])
    rule = edge((0,), (EXIT, 1, 2), Level(0.8), Level(0.5))
    assert rule.decide(X).tolist() == [2, 2, 1, EXIT]
    assert edge((0,), (EXIT,)).decide(X).tolist() == [EXIT] * 4


def test_features_are_standardized():
    rule = edge((0,), (EXIT, 1), Level(0.5))
    rule = rule._replace(center=np.array([10.0]), scale=np.array([4.0]))
    assert rule.decide(np.array([[11.9], [12.0]])).tolist() == [1, EXIT]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_blended_rules_average_their_scores(share):
    """Scores are 0.2 and -0.3 at the row, so that they cancel at a share of 0.4."""
    low, high = edge((0,), (EXIT, 1), Sure()), edge((0,), (EXIT, 1), Always(False))
    X = np.array([[0.95], [0.7]])
    expected = (1 - share) * (X[:, 0] - 0.5) + share * -0.5
    to = low.blend(high, share).decide(X)
    np.testing.assert_array_equal(to == EXIT, expected >= 0)
    assert low.models == ([(1.0, low.models[0][0][1])],)  # not changed


# Models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [True, False])
def test_one_label_is_a_constant(label):
    X, labels = np.zeros((4, 1)), np.array([label, label, label, not label])
    model = fit_weighted(LogisticRegression(), X, labels, np.array([1.0, 2.0, 1.0, 0.0]))
    assert isinstance(model, Always)
    assert (score(model, X) >= 0).tolist() == [label] * 4


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_scale_of_the_weights_does_not_matter(scale):
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(50, 2)), rng.uniform(size=50)
    labels = X[:, 0] + rng.normal(size=50) > 0
    model = LogisticRegression()
    one = fit_weighted(model, X, labels, weight)
    other = fit_weighted(model, X, labels, scale * weight)
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-6)
    assert not hasattr(model, "coef_")  # a clone is fitted


def test_score_of_models_with_and_without_probabilities():
    X, y = np.arange(6.0)[:, np.newaxis], np.array([0, 0, 0, 1, 1, 1])
    with_proba = DummyClassifier(strategy="prior").fit(X, [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(score(with_proba, X), 0.0)
    without = RidgeClassifier().fit(X, y)
    np.testing.assert_array_equal(score(without, X), y - 0.5)


# All edges to a stage ---------------------------------------------------------------------


def test_rows_are_routed_by_the_edge_they_came_over():
    proba = np.full((4, 3, 2), np.nan)
    proba[:, 2] = 0.5
    proba[1, 0] = proba[2, 1] = proba[3, 0] = proba[3, 1] = 0.5
    rules = {INPUT: edge((2,), (3, EXIT), Level(0)), 1: edge((1, 2), (4, EXIT), Level(0))}
    read = {}

    def features(stage, proba):
        assert stage == 2
        read[len(read)] = np.isnan(proba[:, :, 0]).tolist()
        return np.ones((len(proba), 1))

    edges = Edges(rules, [3, 4], features)
    # No rule for rows that came from stage 0: they exit.
    assert edges.route(2, proba).tolist() == [3, EXIT, 4, 4]
    assert read == {0: [[True, True, False]], 1: [[True, False, False]] * 2}
    assert Edges(rules, [4], features).route(2, proba).tolist() == [4, EXIT, 4, 4]
    assert Edges(rules, [], features).route(2, proba).tolist() == [EXIT] * 4


@pytest.mark.parametrize("skip", [False, True])
def test_rules_of_a_fitted_policy_decide_as_its_classifiers(skip):
    """Written out: features, standardized; each classifier, from the last action to the first."""
    trace, y = recorded(400, n_stages=4)
    cost = FixedCost([1, 2, 4, 9]).fit(4)
    policy = WeightedBinary(skip=skip, random_state=0).fit(trace, y, cost, 0.05)
    first = policy.stages_[0]
    for stage in policy.stages_[:-1]:
        source = INPUT if stage == first else first
        proba = trace.proba[:, : stage + 1].copy()
        proba[:, [k for k in range(stage) if k != source]] = np.nan
        edges = policy.rule(stage)
        rule = edges.rules[source]
        seen = proba.copy()
        seen[:, [k for k in range(stage + 1) if k not in rule.shown]] = np.nan
        X = (stage_features(stage, seen) - rule.center) / rule.scale
        to = np.full(len(X), rule.actions[-1])
        for action, ((_, model),) in zip(rule.actions[-2::-1], rule.models[::-1]):
            to[score(model, X) >= 0] = action
        np.testing.assert_array_equal(policy.route(stage, proba), to)
        again = pickle.loads(pickle.dumps(edges))
        np.testing.assert_array_equal(again.route(stage, proba), to)
        assert edges.targets == [k for k in policy.stages_ if k > stage][: None if skip else 1]
