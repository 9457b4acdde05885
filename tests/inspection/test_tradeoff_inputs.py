"""The inputs of a trade-off curve: operating points, and policies tuned without the rows."""

import numpy as np
import pytest

from skcascade import Trace, tradeoff_curve
from skcascade.inspection._tradeoff_inputs import ALPHA_RANGE, inputs_from_trace
from skcascade.policies import BaseExitPolicy

COSTS = [1.0, 3.0, 9.0]


def recorded(n=400, seed=0, skill=(2.0, 1.0, 0.3)):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


@pytest.mark.parametrize("cv", [None, 3, 0.4])
def test_trace_rows_are_evaluated_by_a_policy_tuned_without_them(cv):
    """A rule that memorizes the rows it was fitted on gains nothing."""

    class Memorizing(BaseExitPolicy):
        def fit(self, trace, y, cost, alpha, sample_weight=None):
            right = trace.losses(y)[:, 0] == 0
            self.known_ = set(trace.proba[right, 0].max(axis=1).tolist())
            return self

        def exit_mask(self, stage, proba):
            return np.array([p in self.known_ for p in proba[:, stage].max(axis=1).tolist()])

    trace, y = recorded(skill=(1.0, 0.1))
    curve = tradeoff_curve(
        trace, None, y, policy=Memorizing(), cost=[1, 10], points=[0.001], cv=cv, random_state=0
    )
    assert curve.exit_rates[0, 0] == 0


def test_array_losses_and_named_classes():
    trace, y = recorded()
    names = np.array(["owl", "ant", "eel"])
    named = Trace(trace.proba, classes=names, loss=trace.losses(y))
    kwargs = {"cost": COSTS, "points": 3, "random_state": 0}
    one = tradeoff_curve(trace, None, y, **kwargs)
    two = tradeoff_curve(named, None, names[y], scoring="accuracy", **kwargs)
    np.testing.assert_allclose(one.stage_accuracy, two.stage_accuracy)


@pytest.mark.parametrize("by", ["alpha", "max_accuracy_drop", "max_cost"])
def test_a_number_of_points_is_spread_over_the_whole_range(by):
    trace, y = recorded()
    inputs = inputs_from_trace(trace, None, y, None, COSTS)
    points = [getattr(target, by) for target in inputs.targets(by, 5)]
    accuracy = 1 - trace.losses(y).mean(axis=0)
    ends = {
        "alpha": ALPHA_RANGE,
        "max_accuracy_drop": (0, accuracy.max() - accuracy.min()),
        "max_cost": (1 / 9, (np.array(COSTS) / 9)[accuracy.argmax()]),
    }
    assert (points[0], points[-1]) == pytest.approx(ends[by])
    steps = np.diff(np.log(points) if by == "alpha" else points)
    assert steps == pytest.approx([steps[0]] * 4)
