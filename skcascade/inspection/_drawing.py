"""Colors, axes and labels that the plots share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "COLORS",
    "FAINT",
    "STYLES",
    "check_axes",
    "label_points",
    "legend_above",
    "new_axes",
    "outline",
    "widen",
]

#: Colors of Okabe and Ito, which color-blind readers can tell apart too.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
#: Lines and markers, so that no plot depends on color alone.
STYLES = [("-", "o"), ((0, (6, 1.5)), "^"), ("-.", "v"), (":", "D"), ("-", "P"), ("--", "X")]
#: For what the curves are compared with.
FAINT = "#777777"
#: Places of a name: offset from its point, in typographic points, and alignment.
PLACES = [
    (7, -4, "left", "top"),
    (7, 4, "left", "bottom"),
    (-7, 4, "right", "bottom"),
    (-7, -4, "right", "top"),
    (0, -8, "center", "top"),
    (0, 8, "center", "bottom"),
]
PLACES += [
    (side * 8, up * dy, {-1: "right", 0: "center", 1: "left"}[side], {-1: "top", 1: "bottom"}[up])
    for dy in (22, 38, 54, 70)
    for up in (-1, 1)
    for side in (1, 0, -1)
]
#: Pixels between the positions along a line that labels must not cover.
STEP = 4.0


def new_axes(ax: Any = None, figsize: tuple[float, float] = (6, 4)) -> Any:
    """`ax` itself, or axes in a new figure, 600 pixels wide on most screens."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    check_axes(ax)
    return ax


def check_axes(*axes: Any) -> None:
    """TypeError for anything but matplotlib Axes."""
    for ax in axes:
        if not (hasattr(ax, "figure") and hasattr(ax, "imshow")):
            raise TypeError(f"`ax` must be matplotlib Axes, got {ax!r:.80}.")


def widen(ax: Any) -> None:
    """Wider limits if all points are equal up to rounding, as with a single stage."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    if right - left < 1e-6 * right:
        ax.set_xlim(right / 2, right * 2)
    if high - low < 1e-6:
        ax.set_ylim(low - 0.05, low + 0.05)


def outline(across: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners (2 * n_points + 2, 2) of the area that holds the intervals of all points.

    Parameters
    ----------
    across, along : ndarray of shape (n_points, 2) or (n_points,)
        Lower and upper ends in each direction, both rising; or points, which have no interval.
    """
    (left, right), (low, high) = (
        values.T if values.ndim == 2 else (values, values) for values in (across, along)
    )
    ahead = np.column_stack([np.r_[left[0], left], np.r_[low[0], high]])
    back = np.column_stack([np.r_[right[-1], right[::-1]], np.r_[high[-1], low[::-1]]])
    return np.concatenate([ahead, back])


def legend_above(artists: Sequence[Any], ax: Any, own_figure: bool) -> Any:
    """A legend above the axes if the figure is our own, else inside `ax`."""
    if not own_figure:
        return ax.legend(handles=artists, fontsize="small")
    return ax.figure.legend(
        handles=artists, loc="outside upper center", ncols=3, fontsize="small",
        columnspacing=1.2, handletextpad=0.5, frameon=False,
    )  # fmt: skip


def label_points(
    ax: Any,
    points: Sequence[ArrayLike],
    names: Sequence[str],
    lines: Sequence[Any] = (),
    **style: Any,
) -> list[Any]:
    """Write a name next to each point, where it covers neither lines nor other names.

    Parameters
    ----------
    ax : matplotlib Axes
        Everything else must be drawn before.
    points : sequence of array-like of shape (2,)
    names : sequence of str
    lines : sequence of array-like of shape (n_vertices, 2)
        Lines that labels must not cover, in data coordinates.
    **style : dict
        For `Axes.annotate`.

    Returns
    -------
    labels : list of matplotlib Annotation
    """
    ax.figure.canvas.figure.draw_without_rendering()  # settles the layout
    busy = np.concatenate([_dense(ax.transData.transform(line)) for line in [points, *lines]])
    leader = {"arrowstyle": "-", "color": FAINT, "lw": 0.6, "shrinkA": 0, "shrinkB": 3}
    labels: list[Any] = []
    boxes: list[Any] = []
    for point, name in zip(points, names):
        tried = [(place, _box(ax, name, point, place, style)) for place in PLACES]
        # `min` takes the first of equally good places.
        place, box = min(tried, key=lambda it: _covered(it[1], busy, boxes, ax))
        _, _, ha, va = place
        start = {"left": 0, "center": 0.5, "right": 1}[ha], {"bottom": 0, "top": 1}[va]
        line = {**leader, "relpos": start}
        labels.append(_write(ax, name, point, place, arrowprops=line, **style))
        boxes.append(box)
    return labels


def _write(ax, name, point, place, **style):
    """A name at a place next to its point."""
    x, y, ha, va = place
    return ax.annotate(name, point, (x, y), textcoords="offset points", ha=ha, va=va, **style)


def _box(ax, name, point, place, style):
    """The area that the name would fill, in pixels."""
    label = _write(ax, name, point, place, **style)
    box = label.get_window_extent()
    label.remove()
    return box


def _covered(box, busy, boxes, ax):
    """How bad it would be to write in `box`."""
    inside = (busy >= box.min) & (busy <= box.max)
    frame = ax.get_window_extent()
    out = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    return inside.all(axis=1).sum() + 50 * (sum(map(box.overlaps, boxes)) + out)


def _dense(line):
    """Points every few pixels along a line."""
    parts = [line[:1]]
    for start, end in pairwise(line):
        n = int(np.ceil(np.abs(end - start).max() / STEP))
        parts.append(start + (end - start) * np.linspace(0, 1, n + 1)[1:, np.newaxis])
    return np.concatenate(parts)
