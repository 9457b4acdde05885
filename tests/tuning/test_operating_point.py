"""The operating point: what may be asked for, and the point of a curve that serves it."""

import numpy as np
import pytest

from skcascade import Trace, TradeoffCurve, fit_policy
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning._operating_point import OperatingPoint

COSTS = [1, 3, 9]


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


# What may be asked for --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "point"),
    [
        ({}, (None, 0.0, None)),
        ({"confidence_level": 0.9}, (None, 0.0, None)),
        ({"alpha": 0}, (0, None, None)),
        ({"alpha": 3.5}, (3.5, None, None)),
        ({"max_accuracy_drop": 0.99}, (None, 0.99, None)),
        ({"max_cost": 1.7}, (None, None, 1.7)),
        ({"max_cost": 0.5, "confidence_level": 0.99}, (None, None, 0.5)),
        ({"tunable": False}, (None, 0.0, None)),
    ],
)
def test_operating_point(given, point):
    assert OperatingPoint.check(**given) == point


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"alpha": 0.1, "max_cost": 0.5}, "At most one of .* got `alpha` and `max_cost`"),
        (
            {"alpha": 0.1, "max_cost": 0.5, "max_accuracy_drop": 0.0},
            "got `alpha` and `max_accuracy_drop` and `max_cost`",
        ),
        ({"alpha": -0.1}, "`alpha` must be a finite number, 0 or more, got -0.1"),
        ({"alpha": np.inf}, "`alpha` must be a finite number"),
        ({"alpha": np.nan}, "`alpha` must be a finite number"),
        ({"max_accuracy_drop": -0.01}, r"`max_accuracy_drop` must lie in \[0, 1\), got -0.01"),
        ({"max_accuracy_drop": 1}, r"`max_accuracy_drop` must lie in \[0, 1\)"),
        ({"max_accuracy_drop": np.nan}, r"`max_accuracy_drop` must lie in \[0, 1\)"),
        ({"max_cost": 0}, "`max_cost` must be a finite number above 0, got 0"),
        ({"max_cost": np.inf}, "`max_cost` must be a finite number above 0"),
        ({"confidence_level": 0}, r"`confidence_level` must lie in \(0, 1\), got 0"),
        ({"confidence_level": 1}, r"`confidence_level` must lie in \(0, 1\), got 1"),
        ({"confidence_level": 95}, r"`confidence_level` must lie in \(0, 1\), got 95"),
        ({"confidence_level": 0.9, "alpha": 0.1}, "certifies a bound, and `alpha` sets none"),
        ({"tunable": False, "alpha": 0.1}, "leaves nothing to tune .* got alpha too"),
        ({"tunable": False, "confidence_level": 0.9}, "got confidence_level too"),
    ],
)
def test_bad_operating_points(given, match):
    with pytest.raises(ValueError, match=match):
        OperatingPoint.check(**given)
    if "tunable" not in given:
        with pytest.raises(ValueError, match=match):
            fitted(*recorded(30), **given)


# The choice -------------------------------------------------------------------------------


def curve(accuracy, relative_cost, stage_accuracy, stage_cost, reference):
    arrays = (np.array(a, dtype=float) for a in (stage_accuracy, stage_cost))
    accuracy, relative_cost = np.array(accuracy), np.array(relative_cost)
    return TradeoffCurve(None, accuracy, None, relative_cost, None, None, *arrays, reference)


@pytest.mark.parametrize(
    ("point", "chosen"),
    [
        ({}, 2),
        ({"max_accuracy_drop": 0.02}, 1),
        ({"max_accuracy_drop": 0.3}, 5),  # as cheap as point 3, and more accurate
        ({"max_cost": 0.25}, 1),
        ({"max_cost": 0.3}, 2),
        ({"max_cost": 5.0}, 2),  # as accurate as the most expensive, and cheaper
        ({"max_cost": 0.1}, 5),
        ({"alpha": 0.0}, 2),
        ({"alpha": 0.4}, 1),  # .12 + .4 * .2, against .1 + .4 * .3
        ({"alpha": 100.0}, 5),
    ],
)
def test_choice_by_hand(point, chosen):
    points = curve(
        [0.80, 0.88, 0.90, 0.70, 0.90, 0.75],
        [0.9, 0.2, 0.3, 0.1, 1.0, 0.1],
        [0.70, 0.90],
        [0.1, 1.0],
        1,
    )
    assert OperatingPoint.check(**point).choose(points) == chosen


@pytest.mark.parametrize("point", [{"alpha": 0.1}, {"max_cost": 0.5}, {"max_accuracy_drop": 0.1}])
def test_of_equals_the_last_is_chosen(point):
    """Stages alone come last: where one is enough, no cascade is needed."""
    points = curve([0.8, 0.9, 0.9, 0.8], [0.2, 0.3, 0.3, 0.4], [0.8, 0.9], [0.4, 1.0], 1)
    if "max_accuracy_drop" in point:
        points = curve([0.8, 0.8, 0.9], [0.2, 0.2, 0.3], [0.8, 0.9], [0.4, 1.0], 1)
        assert OperatingPoint.check(**point).choose(points) == 1
    else:
        assert (
            OperatingPoint.check(
                **point,
            ).choose(points)
            == 2
        )


def test_a_drop_is_measured_against_the_reference_stage():
    """Points above it do not raise the bar."""
    points = curve([0.95, 0.9, 0.86], [0.9, 0.5, 0.2], [0.7, 0.9], [0.1, 1.0], 1)
    assert OperatingPoint.check(max_accuracy_drop=0.05).choose(points) == 2
