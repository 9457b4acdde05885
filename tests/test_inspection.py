"""Pictures: they hold what they draw, for every policy, and say what they cannot draw."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skcascade import CascadeClassifier, Trace, tradeoff_curve, walk
from skcascade.inspection import (
    ConfidenceDisplay,
    ExitDisplay,
    TradeoffDisplay,
    plot_exit_examples,
)
from skcascade.inspection._confidence_display import _stage
from skcascade.inspection._drawing import outline
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, Reinforce, WeightedBinary

DIGITS = load_digits()
X, X_TEST, Y, Y_TEST, _, IMAGES = train_test_split(
    DIGITS.data,
    DIGITS.target,
    DIGITS.images,
    test_size=0.5,
    stratify=DIGITS.target,
    random_state=0,
)


class Sure(BaseExitPolicy):
    """A user's own: nothing but who leaves."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.9


POLICIES = {
    "thresholds": ConfidenceThreshold("margin"),
    "rules": WeightedBinary(skip=True),
    "heads": Reinforce(fine_tune_members=False),
    "own": Sure(),
}


def members():
    return [
        ("nb", GaussianNB()),
        ("linear", LogisticRegression(C=0.01, solver="newton-cholesky")),
        ("neighbours", KNeighborsClassifier(3)),
    ]


def fit(policy=None, n_members=3, **params):
    cascade = CascadeClassifier(
        members()[-n_members:],
        policy=policy,
        cost=[1, 4, 40][-n_members:],
        alpha=0.02,
        random_state=0,
        **params,
    )
    return cascade.fit(X[:500], Y[:500])


@pytest.fixture(scope="module")
def cascade():
    return fit()


@pytest.fixture(scope="module")
def by_policy():
    return {name: fit(policy, 2) for name, policy in POLICIES.items()}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def draw(figure):
    """Draw for real: warnings of the layout are errors."""
    figure.canvas.draw()


# The trade-off ----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_tradeoff_of_every_policy_on_given_rows(by_policy, policy):
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
        tossed = set(map(tuple, one.coin_toss_.get_xydata()))
        assert tossed >= set(map(tuple, alone[curve.coin_toss()]))
        assert len(np.unique(np.array(sorted(tossed)), axis=0)) == len(tossed)
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


def test_inside_a_subfigure(cascade):
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


def test_metric_names_the_axis(cascade):
    display = TradeoffDisplay.from_curves(replace(cascade.tradeoff_, metric="kappa"))
    assert display.ax_.get_ylabel() == "kappa"


def test_several_curves_share_what_is_the_same(by_policy):
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


def test_a_single_stage_is_a_single_point():
    alone = CascadeClassifier(members()[1:2], random_state=0).fit(X, Y)
    display = TradeoffDisplay.from_estimator(alone, X_TEST, Y_TEST)
    left, right = display.ax_.get_xlim()
    assert left < 0.97 and right > 1.03  # not the width of rounding
    draw(display.figure_)
    ConfidenceDisplay.from_estimator(alone)
    assert ExitDisplay.from_estimator(alone).exit_rates == pytest.approx([1])


def test_names_of_stages_do_not_cover_each_other(cascade):
    display = TradeoffDisplay.from_estimator(cascade)
    draw(display.figure_)
    boxes = [Text.get_window_extent(label) for label in display.labels_]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@given(
    st.lists(st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0, 0.1)] * 4), min_size=1, max_size=5)
)
@settings(max_examples=50, deadline=None)
def test_outline_is_a_closed_way_through_all_ends(points):
    cost, accuracy, *ends = np.sort(np.array(points), axis=0).T
    left, right = cost - ends[0], cost + ends[1]
    low, high = accuracy - ends[2], accuracy + ends[3]
    corners = outline(np.column_stack([left, right]), np.column_stack([low, high]))
    assert corners.shape == (2 * len(points) + 2, 2)
    for corner in [*zip(left, high), *zip(right, low), (left[0], low[0]), (right[-1], high[-1])]:
        assert (corners == corner).all(axis=1).any()


def test_a_band_in_one_direction_is_enough(cascade):
    curve = tradeoff_curve(cascade, X_TEST, Y_TEST, points=3, n_bootstrap=20, random_state=0)
    best = curve.pareto()
    display = TradeoffDisplay(replace(curve, cost_band=None)).plot()
    assert set(display.bands_[0].get_xy()[:, 0]) == set(curve.relative_cost[best])
    display = TradeoffDisplay(replace(curve, accuracy_band=None)).plot()
    assert set(display.bands_[0].get_xy()[:, 1]) == set(curve.accuracy[best])


def test_curves_that_cannot_be_drawn(cascade):
    curve = cascade.tradeoff_
    with pytest.raises(ValueError, match="`curves` must be one or more TradeoffCurve"):
        TradeoffDisplay([])
    with pytest.raises(ValueError, match="`curves` must be one or more TradeoffCurve"):
        TradeoffDisplay.from_curves({"a": cascade})
    with pytest.raises(ValueError, match="`names` must name 1 curves, got 2"):
        TradeoffDisplay(curve, names=["a", "b"])
    scored = replace(curve, metric="f1_macro")
    with pytest.raises(ValueError, match=r"`curves` must share one metric.*several pictures"):
        TradeoffDisplay([curve, scored])


@pytest.mark.parametrize(
    "given",
    [{"by": "max_cost"}, {"points": [0.1]}, {"cv": 3}, {"scoring": "f1"}, {"n_bootstrap": 9}],
)
def test_held_out_curve_is_drawn_as_it_is(cascade, given):
    with pytest.raises(ValueError, match=rf"`{next(iter(given))}`: give `X` and `y` as well"):
        TradeoffDisplay.from_estimator(cascade, **given)


@pytest.mark.parametrize("display", [TradeoffDisplay, ExitDisplay, ConfidenceDisplay])
def test_samples_and_labels_come_together(cascade, display):
    with pytest.raises(ValueError, match="`X` was given without `y`"):
        display.from_estimator(cascade, X_TEST)
    with pytest.raises(ValueError, match="`y` was given without `X`"):
        display.from_estimator(cascade, y=Y_TEST)
    with pytest.raises(ValueError, match="without a column"):
        display.from_estimator(cascade, X_TEST, Y_TEST + 100)
    with pytest.raises(ValueError, match="not fitted"):
        display.from_estimator(CascadeClassifier(members()))


# Who leaves where -------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_exits_of_every_policy(by_policy, policy):
    cascade = by_policy[policy]
    display = ExitDisplay.from_estimator(cascade, X_TEST, Y_TEST)
    exits, right = cascade.predict_exit(X_TEST), cascade.predict(X_TEST) == Y_TEST
    cost = cascade.cost_.relative(cascade.predict_cost(X_TEST))
    used = cascade.policy_.stages_ or range(2)
    for k in range(2):
        here = exits == k
        assert display.exit_rates[k] == pytest.approx(here.mean())
        if here.any():
            assert display.exit_accuracy[k] == pytest.approx(right[here].mean())
            assert display.exit_cost[k] == pytest.approx(cost[here].mean())
        else:
            assert np.isnan([display.exit_accuracy[k], display.exit_cost[k]]).all()
    assert display.in_use == list(used)
    widths = [bar.get_width() for bar in display.rates_]
    assert widths == pytest.approx(display.exit_rates[list(used)])
    assert np.array_equal(display.alone_.get_xdata(), display.stage_accuracy)
    words = [text.get_text() for text in display.ax_.texts]
    assert words.count("not in use") == 2 - len(used)
    draw(display.figure_)


def test_exits_of_the_held_out_rows_are_those_of_the_summary(cascade):
    display = ExitDisplay.from_estimator(cascade)
    for share in display.exit_rates[display.in_use]:
        assert f"{share:.1%}" in cascade.summary()
    weighted = fit(cv=0.3)
    weighted.fit(X, Y, sample_weight=np.where(Y < 5, 1.0, 3.0))
    way = walk(weighted.trace_, weighted.policy_)
    rates = np.bincount(way.exit, weighted._tuning.sample_weight, 3)
    shown = ExitDisplay.from_estimator(weighted)
    assert shown.exit_rates == pytest.approx(rates / rates.sum())


def test_exits_from_arrays():
    _, ax = plt.subplots()
    display = ExitDisplay([0.8, 0, 0.2], [0.9, np.nan, 0.7], [0.8, 0.85, 0.9], in_use=[0, 2])
    assert display.plot(ax=ax).ax_ is ax and display.stage_names == ["0", "1", "2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="`stage_accuracy` must have one entry for each of the 2"):
        ExitDisplay([0.5, 0.5], [1, 1], [1])
    with pytest.raises(ValueError, match="`stage_names`"):
        ExitDisplay([1.0], [1], [1], stage_names=["a", "b"])


# Confidence -------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_confidence_of_every_policy(by_policy, policy):
    cascade = by_policy[policy]
    display = ConfidenceDisplay.from_estimator(cascade, X_TEST, Y_TEST)
    visited, exits = cascade.decision_path(X_TEST), cascade.predict_exit(X_TEST)
    reached = np.flatnonzero(visited.any(axis=0))
    assert [stage.name for stage in display.stages] == [cascade.stage_names_[k] for k in reached]
    for k, stage, line, cut in zip(reached, display.stages, display.lines_, display.thresholds_):
        assert np.array_equal(line.get_xdata(), stage.score)
        assert np.array_equal(line.get_ydata(), stage.accuracy)
        assert stage.share.sum() == pytest.approx(1)
        assert stage.leaving.sum() == pytest.approx((exits == k).sum() / visited[:, k].sum())
        assert (stage.leaving <= stage.share + 1e-12).all()
        assert (cut is None) == (not np.isfinite(stage.threshold))
    assert display.stages[-1].leaving == pytest.approx(display.stages[-1].share)
    draw(display.figure_)


@pytest.mark.parametrize("policy", POLICIES)
def test_scores_at_the_threshold_decide(by_policy, policy):
    trace, fitted = by_policy[policy].trace_, by_policy[policy].policy_
    for k in fitted.stages_ or range(2):
        seen = trace.proba[:, : k + 1]
        score, threshold = fitted.exit_score(k, seen), fitted.exit_threshold(k)
        assert score.shape == (trace.n_samples,) and np.isfinite(score).all()
        clear = np.abs(score - threshold) > 1e-9  # the comparison may be in other units
        if not np.isnan(threshold) and k < 1:
            leaves = fitted.exit_mask(k, seen)
            assert np.array_equal(leaves[clear], score[clear] >= threshold)


def test_thresholds_are_drawn_where_there_are_some(by_policy):
    fitted = by_policy["thresholds"].policy_
    display = ConfidenceDisplay.from_estimator(by_policy["thresholds"])
    first = fitted.stages_[0]
    assert display.thresholds_[0].get_xdata()[0] == fitted.thresholds_[first]
    for policy in ("rules", "own"):
        assert ConfidenceDisplay.from_estimator(by_policy[policy]).thresholds_[0] is None


def test_confidence_on_axes_of_the_caller(cascade):
    n = len(ConfidenceDisplay.from_estimator(cascade, n_bins=1).stages)
    figure, axes = plt.subplots(n, squeeze=False)
    display = ConfidenceDisplay.from_estimator(cascade, n_bins=3, ax=axes)
    assert list(display.ax_) == list(axes.ravel()) and display.figure_ is figure
    with pytest.raises(ValueError, match=rf"`ax` must hold {n} axes"):
        ConfidenceDisplay.from_estimator(cascade, ax=[axes[0, 0]] * (n + 1))
    with pytest.raises(ValueError, match="`n_bins` must be 1 or more, got 0"):
        ConfidenceDisplay.from_estimator(cascade, n_bins=0)
    with pytest.raises(ValueError, match="`stages` is empty"):
        ConfidenceDisplay([])


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=1),
    st.integers(1, 12),
)
@settings(max_examples=100, deadline=None)
def test_bins_take_in_every_row_once(rows, n_bins):
    score, right = np.array(rows, dtype=float).T
    stage = _stage("a", score, right, right == 1, np.nan, n_bins)
    assert 1 <= len(stage.score) <= n_bins
    assert (np.diff(stage.score) > 0).all()
    assert stage.share.sum() == pytest.approx(1)
    assert stage.leaving.sum() == pytest.approx(right.mean())
    low, high = stage.interval.T
    assert (low <= stage.accuracy + 1e-12).all() and (stage.accuracy <= high + 1e-12).all()
    assert (stage.interval >= 0).all() and (stage.interval <= 1).all()


def test_dropped_rows_are_missed_where_they_are_needed():
    cascade = fit(cv=0.3)
    del cascade.trace_
    assert len(TradeoffDisplay.from_estimator(cascade).curves) == 1
    for display in (ExitDisplay, ConfidenceDisplay):
        with pytest.raises(ValueError, match=r"trace was dropped: give `X` and `y`"):
            display.from_estimator(cascade)
        display.from_estimator(cascade, X_TEST, Y_TEST)


# Examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_examples_left_where_they_are_shown(by_policy, policy):
    cascade = by_policy[policy]
    used = cascade.policy_.stages_ or range(2)
    axes = plot_exit_examples(
        cascade, X_TEST, y=Y_TEST, images=IMAGES, n_examples=4, random_state=0
    )
    assert axes.shape == (len(used), 4)
    exits, answers = cascade.predict_exit(X_TEST), cascade.predict(X_TEST)
    for k, panels in zip(used, axes):
        assert panels[0].get_ylabel() == f"{cascade.stage_names_[k]}\n{np.mean(exits == k):.1%}"
        for panel in panels[: (exits == k).sum()]:
            shown = panel.images[0].get_array() * IMAGES.max()
            i = np.flatnonzero(np.abs(IMAGES - shown).max(axis=(1, 2)) < 1e-9)[0]
            assert exits[i] == k
            wrong = answers[i] != Y_TEST[i]
            title = f"{answers[i]}\nis {Y_TEST[i]}" if wrong else f"{answers[i]}"
            assert panel.get_title() == title
    draw(axes[0, 0].figure)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 8, 8), (8, 8, 3)])
def test_shapes_of_images(cascade, shape):
    colours = np.prod(shape) // 64
    pictures = np.repeat(X_TEST[:200], colours, axis=1).reshape(-1, *shape)
    axes = plot_exit_examples(cascade, X_TEST[:200], images=pictures, n_examples=2)
    shown = axes[0, 0].images[0].get_array()
    assert shown.shape == ((8, 8) if colours == 1 else (8, 8, 3))


def test_fewer_leave_than_are_asked_for(cascade):
    names = list("abcdefghij")
    axes = plot_exit_examples(cascade, X_TEST[:3], images=IMAGES[:3], class_names=names)
    titles = [panel.get_title() for panel in axes.flat if panel.get_title()]
    assert sorted(titles) == sorted(names[k] for k in cascade.predict(X_TEST[:3]))
    draw(axes[0, 0].figure)


def test_no_answer_is_neither_right_nor_wrong():
    cascade = fit(reject_cost=0.05)
    n = (cascade.predict_exit(X_TEST) == 3).sum()
    assert n and cascade.stage_names_[3] == "no answer"
    axes = plot_exit_examples(cascade, X_TEST, y=Y_TEST, images=IMAGES, n_examples=1)
    assert axes[-1, 0].get_title().startswith("no answer\nis ")
    assert axes[-1, 0].title.get_color() == "black"
    stages = ConfidenceDisplay.from_estimator(cascade, X_TEST, Y_TEST).stages
    assert "no answer" not in [stage.name for stage in stages]
    assert np.isfinite(stages[-1].threshold)  # there is a stage after it
    display = ExitDisplay.from_estimator(cascade, X_TEST, Y_TEST)
    assert display.exit_rates[3] == pytest.approx(n / len(Y_TEST))
    assert np.isnan([display.exit_accuracy[3], display.stage_accuracy[3]]).all()
    draw(display.figure_)


def test_same_seed_same_examples_and_axes_of_the_caller(cascade):
    shape = plot_exit_examples(cascade, X_TEST, images=IMAGES, n_examples=2).shape
    _, mine = plt.subplots(*shape, squeeze=False)
    pictures = []
    for ax in (None, mine):
        axes = plot_exit_examples(
            cascade, X_TEST, images=IMAGES, n_examples=2, ax=ax, random_state=3
        )
        pictures.append([panel.images[0].get_array() for panel in axes.flat])
    assert np.array_equal(*pictures) and (axes == mine).all()


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, r"`images` \(or `X`\) must have the shape"),
        ({"images": IMAGES[:5]}, r"`images` must have one entry for each of the 899"),
        ({"images": IMAGES, "y": Y_TEST[:5]}, r"`y` must have one entry"),
        ({"images": IMAGES, "class_names": ["a"]}, r"`class_names` must name the 10 classes"),
        ({"images": IMAGES, "n_examples": 0}, r"`n_examples` must be 1 or more, got 0"),
        ({"images": IMAGES, "ax": [None]}, r"`ax` must hold \d x 6 axes"),
        ({"images": np.zeros((899, 8, 8, 2))}, r"1 or 3 channels, got"),
    ],
)
def test_examples_that_cannot_be_shown(cascade, given, message):
    with pytest.raises(ValueError, match=message):
        plot_exit_examples(cascade, X_TEST, **given)


# Hooks of policies ------------------------------------------------------------------------


def test_a_policy_has_a_score_by_itself():
    trace = Trace([[[0.9, 0.1], [0.6, 0.4]], [[0.3, 0.7], [0.2, 0.8]]])
    assert Sure().exit_score(1, trace.proba).tolist() == pytest.approx([0.6, 0.8])
    assert np.isnan(Sure().exit_threshold(0))
