"""The plot of accuracy against cost: it holds the curves, and states what it cannot draw."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcascade import CascadeClassifier, tradeoff_curve
from skcascade.inspection import ConfidenceDisplay, ExitDisplay, TradeoffDisplay

X, X_TEST, Y, Y_TEST = train_test_split(
    *load_digits(return_X_y=True), test_size=0.5, stratify=load_digits().target, random_state=0
)
POLICIES = ["thresholds", "rules", "heads", "own"]


@pytest.mark.parametrize("policy", POLICIES)
def test_tradeoff_of_every_policy_on_given_rows(by_policy, policy, draw):
    cascade = by_policy[policy]
    display = TradeoffDisplay.from_estimator(cascade, X_TEST, Y_TEST, points=5)
    curve = tradeoff_curve(cascade, X_TEST, Y_TEST, points=5)
    other = TradeoffDisplay.from_curves(curve)
    for one in (display, other):
        best = curve.pareto()
        drawn = [curve.relative_cost[best], curve.accuracy[best]]
        assert np.array_equal(one.line_.get_xydata().T, drawn)
        alone = np.column_stack([curve.stage_cost, curve.stage_accuracy])
        assert np.array_equal(one.stages_.get_offsets(), alone)
        mixture = set(map(tuple, one.random_mixture_.get_xydata()))
        assert mixture >= set(map(tuple, alone[curve.random_mixture()]))
        assert len(np.unique(np.array(sorted(mixture)), axis=0)) == len(mixture)
        assert np.array_equal(one.oracle_.get_offsets(), [curve.oracle])
        assert np.array_equal(one.chosen_[0].get_offsets(), [curve.chosen])
        assert one.bands_ == [None]
        assert [label.get_text() for label in one.labels_] == cascade.stage_names_
        draw(one.figure_)


def test_held_out_curve_needs_no_samples(cascade):
    display = TradeoffDisplay.from_estimator(cascade, name="mine")
    assert display.curves == [cascade.tradeoff_] and display.names == ["mine"]
    assert "held out" in display.ax_.get_ylabel()
    assert display.line_.get_label() == "mine"


def test_ax_scale_and_style_are_the_callers(cascade):
    figure, (left, right) = plt.subplots(1, 2)
    display = TradeoffDisplay.from_estimator(
        cascade, ax=right, xscale="log", color="r", linestyle=":", markersize=9
    )
    assert display.ax_ is right and display.figure_ is figure
    assert right.get_xscale() == "log" and not left.lines
    line = display.line_
    assert (line.get_color(), line.get_linestyle(), line.get_markersize()) == ("r", ":", 9)


def test_inside_a_subfigure(cascade, draw):
    ax = plt.figure(layout="constrained").subfigures(1, 2)[0].subplots()
    assert TradeoffDisplay.from_estimator(cascade, ax=ax).figure_ is ax.figure
    draw(plt.gcf())


def test_bands_hold_every_interval(cascade):
    display = TradeoffDisplay.from_estimator(
        cascade, X_TEST, Y_TEST, points=6, n_bootstrap=30, random_state=0
    )
    curve = display.curves[0]
    best = curve.pareto()
    corners = display.bands_[0].get_xy()
    assert corners.min(axis=0) == pytest.approx(
        [curve.cost_band[best].min(), curve.accuracy_band[best].min()]
    )
    assert corners.max(axis=0) == pytest.approx(
        [curve.cost_band[best].max(), curve.accuracy_band[best].max()]
    )


def test_a_band_in_one_direction_is_enough(cascade):
    curve = tradeoff_curve(cascade, X_TEST, Y_TEST, points=3, n_bootstrap=20, random_state=0)
    best = curve.pareto()
    display = TradeoffDisplay(replace(curve, cost_band=None)).plot()
    assert set(display.bands_[0].get_xy()[:, 0]) == set(curve.relative_cost[best])
    display = TradeoffDisplay(replace(curve, accuracy_band=None)).plot()
    assert set(display.bands_[0].get_xy()[:, 1]) == set(curve.accuracy[best])


def test_metric_names_the_axis(cascade):
    display = TradeoffDisplay.from_curves(replace(cascade.tradeoff_, metric="kappa"))
    assert display.ax_.get_ylabel() == "kappa"


def test_several_curves_share_what_is_the_same(by_policy, draw):
    curves = {name: tradeoff_curve(c, X_TEST, Y_TEST, points=4) for name, c in by_policy.items()}
    # Heads keep validation rows: their members are others.
    display = TradeoffDisplay.from_curves(curves)
    assert display.names == list(curves) and len(display.lines_) == len(curves)
    assert len({line.get_color() for line in display.lines_}) == len(curves)
    assert len({line.get_marker() for line in display.lines_}) == len(curves)
    squares = [c for c in display.ax_.collections if len(c.get_offsets()) == 2]
    assert len(squares) == 2
    assert np.array_equal(squares[1].get_offsets()[:, 1], curves["heads"].stage_accuracy)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert len(legend) == len(set(legend)) == len(curves) + 4
    same = [curves["thresholds"], curves["rules"]]
    assert TradeoffDisplay.from_curves(same).names == ["cascade 1", "cascade 2"]
    draw(display.figure_)


def test_a_single_stage_is_a_single_point(members, draw):
    alone = CascadeClassifier(members[1:2], random_state=0).fit(X, Y)
    display = TradeoffDisplay.from_estimator(alone, X_TEST, Y_TEST)
    left, right = display.ax_.get_xlim()
    assert left < 0.97 and right > 1.03  # not the width of rounding
    draw(display.figure_)
    ConfidenceDisplay.from_estimator(alone)
    assert ExitDisplay.from_estimator(alone).exit_rates == pytest.approx([1])


def test_the_legend_names_what_is_drawn(cascade):
    display = TradeoffDisplay.from_estimator(cascade, X_TEST, Y_TEST, points=4)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert sorted(legend) == [
        "cascade", "operating point", "oracle", "random mixture of stages", "stage alone"
    ]  # fmt: skip
    assert display.random_mixture_.get_label() == "random mixture of stages"


def test_curves_that_cannot_be_drawn(cascade):
    curve = cascade.tradeoff_
    with pytest.raises(ValueError, match="`curves` must be one or more TradeoffCurve"):
        TradeoffDisplay([])
    with pytest.raises(ValueError, match="`curves` must be one or more TradeoffCurve"):
        TradeoffDisplay.from_curves({"a": cascade})
    with pytest.raises(ValueError, match="`names` must name 1 curves, got 2"):
        TradeoffDisplay(curve, names=["a", "b"])
    scored = replace(curve, metric="f1_macro")
    with pytest.raises(ValueError, match=r"`curves` must share one metric.*several plots"):
        TradeoffDisplay([curve, scored])


@pytest.mark.parametrize(
    "given",
    [{"by": "max_cost"}, {"points": [0.1]}, {"cv": 3}, {"scoring": "f1"}, {"n_bootstrap": 9}],
)
def test_held_out_curve_is_drawn_as_it_is(cascade, given):
    with pytest.raises(ValueError, match=rf"`{next(iter(given))}`: give `X` and `y` as well"):
        TradeoffDisplay.from_estimator(cascade, **given)
