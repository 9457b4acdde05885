"""What the plots share: areas of intervals, and labels that do not overlap."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from skcascade.inspection import TradeoffDisplay
from skcascade.inspection._drawing import label_points, legend_above, new_axes, outline, widen


@given(
    st.lists(st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0, 0.1)] * 4), min_size=1, max_size=5)
)
@settings(max_examples=50, deadline=None)
def test_outline_is_a_closed_path_through_all_ends(points):
    cost, accuracy, *ends = np.sort(np.array(points), axis=0).T
    left, right = cost - ends[0], cost + ends[1]
    low, high = accuracy - ends[2], accuracy + ends[3]
    corners = outline(np.column_stack([left, right]), np.column_stack([low, high]))
    assert corners.shape == (2 * len(points) + 2, 2)
    for corner in [*zip(left, high), *zip(right, low), (left[0], low[0]), (right[-1], high[-1])]:
        assert (corners == corner).all(axis=1).any()


def test_names_of_stages_do_not_cover_each_other(cascade, draw):
    display = TradeoffDisplay.from_estimator(cascade)
    draw(display.figure_)
    boxes = [Text.get_window_extent(label) for label in display.labels_]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_names_of_equal_points_do_not_cover_each_other(draw):
    ax = new_axes()
    labels = label_points(ax, [(0.5, 0.5)] * 5, list("abcde"))
    draw(ax.figure)
    boxes = [Text.get_window_extent(label) for label in labels]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_one_point_has_limits_around_it():
    ax = new_axes()
    ax.set(xlim=(1.0, 1.0 + 1e-9), ylim=(0.9, 0.9 + 1e-9))
    widen(ax)
    left, right = ax.get_xlim()
    low, high = ax.get_ylim()
    assert left < 0.6 and right > 1.9 and low < 0.86 and high > 0.94
    before = ax.get_xlim(), ax.get_ylim()
    widen(ax)
    assert (ax.get_xlim(), ax.get_ylim()) == before


def test_the_legend_is_inside_axes_of_the_caller():
    ax = new_axes()
    lines = ax.plot([0, 1], label="line")
    assert legend_above(lines, ax, own_figure=False) is ax.get_legend()
    assert legend_above(lines, ax, own_figure=True) in ax.figure.legends
