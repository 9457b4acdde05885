"""A fitted cascade in words."""

from dataclasses import replace

import numpy as np
import pytest

from skcascade import TradeoffCurve
from skcascade.policies import BaseExitPolicy
from skcascade.tuning._summary import summarize

NAMES = ["small", "mid", "the largest"]


class Policy(BaseExitPolicy):
    def __init__(self, stages_=None):
        self.stages_ = stages_


def curve(rates, exit_accuracy, accuracy, cost, stage_accuracy=(0.8, 0.9, 0.95), reference=2):
    """One point, with the stages' own accuracies and costs."""
    return TradeoffCurve(
        parameter=np.array([0.1]),
        accuracy=np.array([accuracy]),
        cost=np.array([9 * cost]),
        relative_cost=np.array([cost]),
        exit_rates=np.array([rates]),
        exit_accuracy=np.array([exit_accuracy]),
        stage_accuracy=np.array(stage_accuracy),
        stage_cost=np.array([0.1, 0.3, 1.0]),
        reference=reference,
    )


def test_table():
    point = curve([0.6, 0.0, 0.4], [0.97, np.nan, 0.9], 0.942, 0.46)
    text = summarize(NAMES, Policy([0, 2]), point, 0)
    assert text.splitlines() == [
        "stage        accuracy     cost  exits here  accuracy of exits",
        "small          0.8000   0.1000       60.0%             0.9700",
        "mid            0.9000   0.3000    not used",
        "the largest    0.9500   1.0000       40.0%             0.9000",
        "cascade        0.9420   0.4600",
        "Worth a cascade: 46% of the cost of 'the largest' alone, accuracy -0.0080, on held-out"
        " rows.",
    ]


def test_the_score_of_another_loss_is_named():
    point = curve([0.6, 0.0, 0.4], [0.97, np.nan, 0.9], 0.942, 0.46, (0.8, 0.95, 0.95))
    point = replace(point, metric="balanced accuracy", stage_cost=np.array([0.1, 0.3, 0.2]))
    text = summarize(NAMES, Policy([0, 2]), point, 0)
    assert text.splitlines() == [
        "stage        balanced accuracy     cost  exits here  balanced accuracy of exits",
        "small                   0.8000   0.1000       60.0%                      0.9700",
        "mid                     0.9500   0.3000    not used",
        "the largest             0.9500   0.2000       40.0%                      0.9000",
        "cascade                 0.9420   0.4600",
        "Worth a cascade: 230% of the cost of 'the largest' alone, balanced accuracy -0.0080, on"
        " held-out rows.",
        "'the largest' costs less than 'mid' and has at least its balanced accuracy: put it first,"
        " or drop 'mid'.",
    ]


def test_a_stage_in_use_without_exits_has_no_accuracy_of_exits():
    point = curve([0.6, 0.0, 0.4], [0.97, np.nan, 0.9], 0.942, 0.46)
    mid = summarize(NAMES, Policy(), point, 0).splitlines()[2]
    assert mid.split() == ["mid", "0.9000", "0.3000", "0.0%"]


def test_exits_of_another_curve_are_shown():
    """Of the fitted policy on all held-out rows, next to the cross-fitted accuracy and cost."""
    point = curve([0.6, 0.0, 0.4], [0.97, np.nan, 0.9], 0.942, 0.46)
    shown = curve([0.25, 0.5, 0.25], [0.99, 0.98, 0.5], 0.1, 0.2)
    lines = summarize(NAMES, Policy(), point, 0, shown).splitlines()
    assert [line.split()[-2:] for line in lines[1:4]] == [
        ["25.0%", "0.9900"],
        ["50.0%", "0.9800"],
        ["25.0%", "0.5000"],
    ]
    assert lines[4].split() == ["cascade", "0.9420", "0.4600"]


@pytest.mark.parametrize("stage", [0, 2])
def test_one_stage_alone(stage):
    rates = np.eye(3)[stage]
    point = curve(rates, np.where(rates > 0, 0.9, np.nan), 0.9, 0.1)
    verdict = summarize(NAMES, Policy([stage]), point, 0).splitlines()[-1]
    assert verdict == (
        f"One stage alone is as good: {NAMES[stage]!r} serves this operating point best."
    )


def test_verdict_is_against_the_reference_stage():
    point = curve([0.5, 0.5, 0.0], [0.9, 0.9, np.nan], 0.93, 0.2, (0.8, 0.92, 0.85), reference=1)
    verdict = summarize(NAMES, Policy([0, 1]), point, 0).splitlines()[-1]
    assert verdict.startswith("Worth a cascade: 67% of the cost of 'mid' alone, accuracy +0.0100")
