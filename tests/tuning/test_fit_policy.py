"""A policy fitted on recorded outputs: costs, labels, losses, weights, and what is chosen."""

import numpy as np
import pytest

from skcascade import Trace, fit_policy, walk
from skcascade.costs import FixedCost, MacsCost
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold
from skcascade.tuning import _search

COSTS = [1, 3, 9]


COST = FixedCost(COSTS).fit(3)


class Sure(BaseExitPolicy):
    """The smallest policy: a rule, and nothing to fit."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.8


def recorded(n=200, seed=0, skill=(2.0, 1.0, 0.5), n_classes=3):
    """A trace, and its codes. Stages know how sure they are; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def fitted(trace, y, policy=None, cost=COSTS, random_state=0, **kwargs):
    policy = ConfidenceThreshold() if policy is None else policy
    return fit_policy(policy, trace, y, cost=cost, random_state=random_state, **kwargs)


def same(one, other):
    """Whether two fitted ConfidenceThreshold are the same rule."""
    return one.stages_ == other.stages_ and np.array_equal(one.thresholds_, other.thresholds_)


# The policy -------------------------------------------------------------------------------


def test_returns_a_fitted_clone():
    trace, y = recorded()
    policy = ConfidenceThreshold("margin")
    before = dict(vars(policy))
    result = fitted(trace, y, policy, max_accuracy_drop=0.05)
    assert result is not policy
    assert vars(policy) == before
    assert result.confidence == "margin"
    assert result.thresholds_.shape == (3,)
    assert result.stages_ == sorted(result.stages_)
    points, at = result.tradeoff_, result.tradeoff_index_
    assert len(points) == len(_search.ALPHAS) + 3
    assert points.accuracy[at] >= points.stage_accuracy[points.reference] - 0.05 - 1e-9
    assert points.relative_cost[at] < 1


def test_random_state():
    trace, y = recorded()
    one, two, other = (fitted(trace, y, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.tradeoff_.accuracy, two.tradeoff_.accuracy)
    assert same(one, two)
    assert (one.tradeoff_.accuracy != other.tradeoff_.accuracy).any()


def test_one_stage_where_the_expensive_ones_are_no_better():
    trace, y = recorded(300, skill=(0.5, 0.5, 0.5))
    trace.proba[:, 1:] = trace.proba[:, :1]
    for policy in (ConfidenceThreshold(), Sure()):
        result = fitted(trace, y, policy)
        assert result.stages_ == [0]
        assert result.tradeoff_.reference == 0


def test_max_cost_out_of_reach():
    trace, y = recorded(50)
    with pytest.raises(ValueError, match="`max_cost`=0.1 cannot be reached: .* cost of 0.1111"):
        fitted(trace, y, max_cost=0.1)
    assert fitted(trace, y, max_cost=0.1112).stages_ == [0]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_very_few_rows(n):
    trace = Trace(np.tile([[0.9, 0.1], [0.2, 0.8]], (n, 1, 1)))
    policy = fitted(trace, [0] + [1] * (n - 1), cost=[1, 4])
    assert walk(trace, policy).exit.shape == (n,)


# Costs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cost", [COSTS, np.array(COSTS), np.tile(COSTS, (3, 1)), FixedCost(COSTS), COST]
)
def test_cost_in_every_form(cost):
    trace, y = recorded()
    assert same(fitted(trace, y, cost=cost, alpha=0.1), fitted(trace, y, alpha=0.1))


def test_unfitted_cost_model_is_left_alone():
    cost = FixedCost(COSTS)
    fitted(*recorded(40), cost=cost)
    assert not hasattr(cost, "edge_costs_")


@pytest.mark.parametrize(
    ("cost", "match"),
    [
        (MacsCost(), "`cost` must be fitted"),
        ([1, 2], "`cost` must .* each of the 3 stages"),
        ([1, -2, 3], "`cost`: every .* must be a finite number, 0 or more"),
        ([1, 2, 0], "`cost`: the last stage must cost more than 0"),
        (FixedCost([1, 2]).fit(2), "`cost` was fitted on 2 stages, the trace has 3"),
        (FixedCost([1, 2, 3, 4]).fit(4), "`cost` was fitted on 4 stages, the trace has 3"),
    ],
)
def test_bad_cost(cost, match):
    with pytest.raises(ValueError, match=match):
        fitted(*recorded(40), cost=cost)


# Labels and losses ------------------------------------------------------------------------


def test_y_that_does_not_fit():
    trace, y = recorded(40)
    with pytest.raises(ValueError, match="`y` must have the shape"):
        fitted(trace, y[:-1])
    with pytest.raises(ValueError, match="labels without a column"):
        fitted(trace, y + 1)


def test_string_classes():
    trace, y = recorded()
    names = np.array(["owl", "ant", "eel"])  # columns in no order
    labeled = Trace(trace.proba, classes=names)
    assert same(fitted(labeled, names[y], alpha=0.05), fitted(trace, y, alpha=0.05))


def test_loss_callable_and_default_agree():
    """An array is another thing: it has no expectation, and is minimized as it is."""
    trace, y = recorded()

    def wrong(y, proba):
        return (proba.argmax(axis=1) != y).astype(float)

    by_callable = Trace(trace.proba, loss=wrong)
    assert same(fitted(by_callable, y, alpha=0.05), fitted(trace, y, alpha=0.05))
    by_array = fitted(Trace(trace.proba, loss=trace.losses(y)), y, alpha=0.05)
    np.testing.assert_allclose(by_array.tradeoff_.stage_accuracy, 1 - trace.losses(y).mean(axis=0))


def test_loss_moves_the_choice():
    """Where errors on class 0 alone matter, and the first stage makes none, it is enough."""
    trace, y = recorded(300, skill=(1.0, 0.5, 0.3))
    trace.proba[y == 0, 0] = [0.99, 0.005, 0.005]

    def missed(y, proba):
        return ((y == 0) & (proba.argmax(axis=1) != 0)).astype(float)

    assert fitted(Trace(trace.proba, loss=missed), y).stages_ == [0]
    assert fitted(trace, y).stages_ != [0]


# The reference ----------------------------------------------------------------------------


def test_reference_is_the_most_accurate_stage_and_may_be_inside():
    trace, y = recorded(300, skill=(2.0, 0.1, 4.0))
    points = fitted(trace, y, max_accuracy_drop=0.01).tradeoff_
    assert points.reference == 1
    observed = 1 - trace.losses(y).mean(axis=0)
    assert points.stage_accuracy[1] == pytest.approx(observed[1])
    np.testing.assert_allclose(points.stage_accuracy, observed, atol=0.02)  # expected
    np.testing.assert_allclose(points.stage_cost, [1 / 9, 3 / 9, 1])


def test_reference_is_the_cheaper_of_equals():
    trace, y = recorded(100, skill=(2.0, 0.1, 0.1))
    trace.proba[:, 2] = trace.proba[:, 1]
    assert fitted(trace, y).tradeoff_.reference == 1
    assert fitted(trace, y, cost=[1, 9, 3]).tradeoff_.reference == 2


# Weights ----------------------------------------------------------------------------------


def test_weights_of_one_change_nothing():
    trace, y = recorded()
    assert same(fitted(trace, y, sample_weight=np.ones(200)), fitted(trace, y))


@pytest.mark.parametrize("point", [{}, {"alpha": 0.1}, {"max_cost": 0.4}])
@pytest.mark.parametrize("search_rows", [20_000, 60])
def test_weight_zero_is_a_row_removed(point, search_rows, monkeypatch):
    """Exactly: the folds are those of the rows left. Also where the choice is fitted again."""
    monkeypatch.setattr(_search, "SEARCH_ROWS", search_rows)
    trace, y = recorded()
    weight = np.random.default_rng(1).integers(0, 3, size=200).astype(float)
    kept = weight > 0
    assert 60 < kept.sum() < 200
    weighted = fitted(trace, y, sample_weight=weight, **point)
    removed = fitted(trace.rows(kept), y[kept], sample_weight=weight[kept], **point)
    np.testing.assert_array_equal(weighted.tradeoff_.accuracy, removed.tradeoff_.accuracy)
    assert same(weighted, removed)


def test_weights_matter():
    trace, y = recorded(300)
    wrong = trace.losses(y)[:, 0] == 1
    heavy = fitted(trace, y, sample_weight=np.where(wrong, 10.0, 1.0), alpha=0.2).tradeoff_
    assert heavy.stage_accuracy[0] < fitted(trace, y, alpha=0.2).tradeoff_.stage_accuracy[0] - 0.2


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.ones(49), "sample_weight.shape"),
        (-np.ones(50), "[Nn]egative"),
        (np.zeros(50), "zero"),
        (np.full(50, np.nan), "NaN"),
    ],
)
def test_bad_weights(weight, match):
    with pytest.raises(ValueError, match=match):
        fitted(*recorded(50), sample_weight=weight)


def test_weight_of_one_class_alone():
    trace, y = recorded(50)
    with pytest.raises(ValueError, match="all but those of one class"):
        fitted(trace, y, sample_weight=(y == 1).astype(float))
