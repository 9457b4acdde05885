"""Certified operating points: the order of the candidates, their tests, and what is certified."""

import re
import warnings

import numpy as np
import pytest

from skcascade import Trace, fit_policy, walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.tuning._bound_tests import bound_test
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._risk_control import certify
from skcascade.tuning._tuning import Tuning

COSTS = [1.0, 3.0, 9.0]
COST = FixedCost(COSTS).fit(3)
#: Skill of three stages further apart.
WEAK = (2.0, 1.0, 0.5)


def recorded(n, seed=0, skill=(1.0, 0.3, 0.25), n_classes=3):
    """Stages that know how sure they are, and codes; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % n_classes)
    return Trace.from_top1(pred, confidence, n_classes), y


def fitted(trace, y, policy=None, cost=COSTS, random_state=0, **kwargs):
    policy = ConfidenceThreshold() if policy is None else policy
    return fit_policy(policy, trace, y, cost=cost, random_state=random_state, **kwargs)


# The sequence -----------------------------------------------------------------------------


@pytest.mark.parametrize("point", [{"max_accuracy_drop": 0.03}, {"max_cost": 0.5}])
@pytest.mark.parametrize("n_passed", [0, 1, 3])
def test_the_sequence_stops_at_its_first_failure(point, n_passed, monkeypatch):
    """Candidates after it are not tested, so one that passes there is not certified either."""
    trace, y = recorded(3000)
    tuning = Tuning(ConfidenceThreshold(), trace, y, COST, random_state=0)
    target = OperatingPoint(**point)
    search = tuning.search(certified=True)
    test = bound_test(search, target, trace, y, COST)
    assert len(test.order) > n_passed + 2
    asked = []

    def p_value(self, index, level):
        asked.append(index)
        return 0.9 if len(asked) == n_passed + 1 else 0.0

    monkeypatch.setattr(type(test), "p_value", p_value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if n_passed == 0 else "error", CascadeWarning)
        index, certified = certify(search, target, 0.9, trace, y, COST)
    assert asked == test.order[: n_passed + 1].tolist()
    assert certified == (n_passed > 0)
    assert index in (test.order[:n_passed] if certified else [test.fallback])


# Certified points -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold("entropy"),
        WeightedBinary(random_state=0),
        WeightedBinary(skip=True, random_state=0),
        Reinforce(random_state=0),
    ],
    ids=str,
)
def test_every_policy_can_be_certified(policy):
    trace, y = recorded(1500)
    new, labels = recorded(20_000, seed=1)
    losses = new.losses(labels)
    tuning = Tuning(policy, trace, y, COST, random_state=0)
    by_drop, *_ = tuning.fit(OperatingPoint(max_accuracy_drop=0.05), 0.9)
    by_cost, *_ = tuning.fit(OperatingPoint(max_cost=0.6), 0.9)
    assert min(len(by_drop.stages_), len(by_cost.stages_)) > 1
    exits = walk(new, by_drop).exit
    assert losses[np.arange(20_000), exits].mean() - losses.mean(axis=0).min() < 0.06
    assert COST.relative(COST.path_cost(walk(new, by_cost).visited)).mean() < 0.62


def test_certified_drop():
    trace, y = recorded(2000, skill=(1.0, 0.3, 0.25))
    policy = fitted(trace, y, max_accuracy_drop=0.05, confidence_level=0.9)
    points, at = policy.tradeoff_, policy.tradeoff_index_
    assert points.relative_cost[at] < 0.8 * points.stage_cost[points.reference]
    plain = fitted(trace, y, max_accuracy_drop=0.05)
    cost = [np.mean(COST.path_cost(walk(trace, p).visited)) for p in (policy, plain)]
    assert cost[0] > cost[1]  # a certified policy is safer than an estimated one


def test_more_confidence_is_more_expensive():
    trace, y = recorded(2000, skill=(1.0, 0.3, 0.25))
    spent = []
    for level in (0.5, 0.9, 0.999):
        policy = fitted(trace, y, max_accuracy_drop=0.05, confidence_level=level)
        spent.append(policy.tradeoff_.relative_cost[policy.tradeoff_index_])
    assert spent[0] <= spent[1] <= spent[2]
    assert spent[0] < spent[2]


def test_certified_max_cost():
    trace, y = recorded(3000, skill=WEAK)
    policy = fitted(trace, y, max_cost=0.5, confidence_level=0.9)
    points, at = policy.tradeoff_, policy.tradeoff_index_
    affordable = points.stage_cost <= 0.5
    assert points.accuracy[at] > points.stage_accuracy[affordable].max()
    assert len(policy.stages_) > 1
    new, _ = recorded(100_000, seed=1, skill=WEAK)
    assert COST.relative(COST.path_cost(walk(new, policy).visited)).mean() < 0.5  # the true cost
    with pytest.raises(ValueError, match="`max_cost`=0.05 cannot be reached"):
        fitted(trace, y, max_cost=0.05, confidence_level=0.9)


def test_nothing_certified_is_the_reference_alone_and_warns_how_many_rows_would_do():
    skill = (1.0, 0.3, 0.25)
    with pytest.warns(CascadeWarning, match="No operating point could be certified") as caught:
        policy = fitted(*recorded(100, skill=skill), max_accuracy_drop=0.05, confidence_level=0.99)
    assert policy.stages_ == [policy.tradeoff_.reference]
    n_rows = int(re.search(r"About (\d+) held-out rows", str(caught[0].message))[1])
    assert n_rows > 100
    more = recorded(3 * n_rows, seed=1, skill=skill)
    enough = fitted(*more, max_accuracy_drop=0.05, confidence_level=0.99)  # warns no more
    assert len(enough.stages_) > 1


def test_nothing_certified_where_no_number_of_rows_would_do():
    trace, y = recorded(100, skill=(9.0, 0.1), n_classes=2)
    trace = Trace(np.where(trace.proba >= 0.5, 0.9, 0.1))  # the confidence tells nothing
    with pytest.warns(CascadeWarning, match="more rows will not help"):
        policy = fitted(trace, y, cost=[1, 4], confidence_level=0.9)
    assert policy.stages_ == [1]
    assert not policy.certified_


def test_what_is_not_known_is_not_said():
    """With two rows to a class, whether more would help cannot be told."""
    trace, y = recorded(12, skill=(1.0, 0.9), n_classes=2)
    with pytest.warns(CascadeWarning, match="certified") as caught:
        fitted(trace, y, cost=[1, 4], confidence_level=0.9)
    assert "will not help" not in str(caught[0].message)


def test_a_stage_alone_within_max_cost_needs_no_test():
    """What it costs is known: the bound holds, whatever the few rows say."""
    trace, y = recorded(40, skill=WEAK)
    policy = fitted(trace, y, max_cost=0.34, confidence_level=0.999)
    affordable = policy.tradeoff_.stage_accuracy[:2]
    assert policy.certified_
    assert policy.stages_ == [int(affordable.argmax())]


def test_certify_refuses_weights():
    trace, y = recorded(100, skill=WEAK)
    with pytest.raises(ValueError, match="cannot be combined with `sample_weight`"):
        fitted(trace, y, confidence_level=0.9, sample_weight=np.ones(100))


@pytest.mark.parametrize("loss", [-0.5, 1.5])
def test_certify_refuses_losses_without_bounds(loss):
    trace, y = recorded(100, skill=WEAK)
    losses = trace.losses(y)
    losses[3, 1] = loss
    trace = Trace(trace.proba, loss=losses)
    fitted(trace, y)  # fine where nothing is to be certified
    with pytest.raises(ValueError, match="`confidence_level` needs a `loss` with a largest"):
        fitted(trace, y, confidence_level=0.9)


@pytest.mark.slow
@pytest.mark.parametrize("point", [{"max_accuracy_drop": 0.03}, {"max_cost": 0.5}])
def test_certified_points_keep_their_bound_in_the_population(point):
    """Of 200 draws of 400 rows, at most 20 % (and three standard deviations) break the bound."""
    population, y = recorded(40_000, skill=(1.0, 0.3, 0.25))
    losses = population.losses(y)
    rng = np.random.default_rng(0)
    broken = certified = 0
    for _ in range(200):
        rows = rng.integers(40_000, size=400)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            policy = fitted(population.rows(rows), y[rows], confidence_level=0.8, **point)
        route = walk(population, policy)
        certified += len(policy.stages_) > 1
        if "max_cost" in point:
            broken += COST.relative(COST.path_cost(route.visited)).mean() > 0.5
        else:
            reference = losses[:, policy.tradeoff_.reference].mean()
            broken += losses[np.arange(40_000), route.exit].mean() > reference + 0.03
    assert broken <= 200 * 0.2 + 3 * np.sqrt(200 * 0.2 * 0.8)
    assert certified > 50
