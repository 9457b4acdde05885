"""Which of many models belong in a cascade."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, fit_policy, select_members, walk
from skcascade.policies import ConfidenceThreshold, WeightedBinary


def models(n=1500, seed=0, skill=(2.0, 1.0, 0.5, 0.3)):
    """Answers of models that know how sure they are; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence ** np.array(skill)
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


def test_of_ten_models_the_useful_ones_are_taken():
    """A cheap good one and an expensive better one, among eight that cost more or are worse."""
    skill = [9, 1.2, 9, 9, 5, 9, 9, 0.2, 9, 9]
    cost = [0.5, 1, 2, 3, 4, 5, 6, 20, 7, 8]
    trace, y = models(skill=skill)
    found = select_members(
        trace, y, cost=cost, names=list("abcdefghij"), max_accuracy_drop=0.02, random_state=0
    )
    assert found.members[-2:] == ["b", "h"]
    assert set(found.members) <= set("abh")  # the cheapest may serve some samples
    assert found.order == np.argsort(cost).tolist()
    assert [found.tradeoff.stage_names[k] for k in found.policy.stages_] == found.members
    assert "not used" in found.summary()
    assert found.tradeoff.stage_names[-1] == "h"
    assert found.tradeoff.relative_cost[found.index] < 0.95


@given(st.permutations(range(4)), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_order_in_which_models_come_does_not_matter(order, seed):
    trace, y = models(400, seed)
    cost, names = np.array([1.0, 2.0, 5.0, 20.0]), np.array(list("abcd"))
    sorted_ = select_members(trace, y, cost=cost, names=names, alpha=0.1, random_state=0)
    order = np.array(order)
    shuffled = select_members(
        Trace(trace.proba[:, order]), y, cost=cost[order], names=names[order], alpha=0.1,
        random_state=0,
    )  # fmt: skip
    assert shuffled.members == sorted_.members
    np.testing.assert_array_equal(shuffled.policy.thresholds_, sorted_.policy.thresholds_)
    np.testing.assert_array_equal(order[shuffled.order], sorted_.order)


@pytest.mark.parametrize(
    "policy", [None, ConfidenceThreshold("margin"), WeightedBinary(cv=2, random_state=0)]
)
def test_it_is_what_fit_policy_does_in_order_of_cost(policy):
    trace, y = models(500)
    order, cost = [2, 0, 3, 1], np.array([5.0, 1.0, 20.0, 2.0])
    mixed = Trace(trace.proba[:, order], loss=trace.losses(y)[:, order])
    found = select_members(
        mixed, y, cost=cost[[0, 1, 2, 3]], policy=policy, alpha=0.1, random_state=0
    )
    by_cost = np.argsort(cost)
    direct = fit_policy(
        policy or ConfidenceThreshold(), mixed.select_stages(by_cost), y, cost=cost[by_cost],
        alpha=0.1, random_state=0,
    )  # fmt: skip
    assert found.policy.stages_ == direct.stages_
    np.testing.assert_array_equal(
        walk(found.trace, found.policy).exit, walk(found.trace, direct).exit
    )
    assert found.members == [str(by_cost[k]) for k in direct.stages_]


def test_weights():
    trace, y = models(600)
    only = np.arange(600) < 300
    weighted = select_members(
        trace, y, cost=[1, 2, 5, 20], sample_weight=only.astype(float), random_state=0
    )
    alone = 1 - trace.losses(y)[only].mean(axis=0)
    found = weighted.tradeoff.stage_accuracy  # expected, but for that of the reference
    np.testing.assert_allclose(found, alone, atol=0.02)
    assert found[-1] == pytest.approx(alone[-1])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"cost": [1, 2]}, "`cost` must hold one number for each of the 4 models"),
        ({"cost": [0, 0, 0, 0]}, "the last stage must cost more than 0"),
        ({"names": ["a"]}, "`names` must hold 4 names"),
        ({"alpha": 0.1, "max_cost": 0.5}, "At most one of"),
        ({"y": [0, 1]}, "`y` must have the shape"),
    ],
)
def test_bad_input(given, match):
    trace, y = models(60)
    given = {"y": y, "cost": [1, 2, 5, 20]} | given
    with pytest.raises(ValueError, match=match):
        select_members(trace, given.pop("y"), **given)
