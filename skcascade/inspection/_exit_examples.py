"""Images of the samples that exit at each stage."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from ..evidence._reject import REJECT
from ..evidence._stages import num_rows, take
from ..evidence._walk import stages_in_use
from ..utils._kinds import (
    as_array,
    as_floats,
    as_list,
    check_kind,
)
from ._drawing import COLORS, check_axes
from ._evidence import check_cascade

__all__ = ["plot_exit_examples"]


def plot_exit_examples(
    cascade: Any,
    X: Any,
    *,
    y: ArrayLike | None = None,
    n_examples: int = 6,
    images: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
    random_state: Any = None,
) -> NDArray[Any]:
    """Images that exit at each stage, to see which are easy and which are hard.

    There is one row of images for each stage in use, with its exit rate. They are drawn at
    random from those that exit there, and titled with the predicted label. Errors have a
    frame, and the true label in their title.

    Parameters
    ----------
    cascade : CascadeClassifier
        Fitted.
    X : samples
        Images (n_samples, height, width) or (n_samples, channels, height, width), unless
        `images` shows them.
    y : array-like of shape (n_samples,), default=None
        True labels.
    n_examples : int, default=6
        Images in each row.
    images : array-like of shape (n_samples, ...), default=None
        Images to show instead of `X`, of the shapes above or (n_samples, height, width,
        channels), with 1 or 3 channels.
    class_names : sequence of str, default=None
        Names in the order of `classes_`. None: the labels.
    ax : array of matplotlib Axes, default=None
        `n_examples` for each stage in use; None: a new figure.
    random_state : int, RandomState instance or None, default=None
        Draws the examples.

    Returns
    -------
    ax : ndarray of matplotlib Axes, shape (n_stages_in_use, n_examples)
        Some are empty if fewer samples exit there.

    Raises
    ------
    ValueError
        If there are no images, or an argument does not match the others.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import make_cascade
    >>> from skcascade.inspection import plot_exit_examples
    >>> digits = load_digits()
    >>> X, y = digits.data, digits.target
    >>> linear = LogisticRegression(C=0.01, solver="newton-cholesky")
    >>> cascade = make_cascade(linear, KNeighborsClassifier(3), cv=5, random_state=0).fit(X, y)
    >>> plot_exit_examples(cascade, X, y=y, images=digits.images, random_state=0).shape
    (2, 6)
    """
    check_cascade(cascade)
    check_kind("n_examples", n_examples, Integral, "an integer")
    if n_examples < 1:
        raise ValueError(f"`n_examples` must be 1 or more, got {n_examples!r}.")
    names = _class_names(cascade, class_names)
    shown = X if images is None else images
    for name, values in {"y": y, "images": images}.items():
        if values is not None and num_rows(values) != num_rows(X):
            raise ValueError(
                f"`{name}` must have one entry for each of the {num_rows(X)} samples of `X`,"
                f" got {num_rows(values)}."
            )
    labels = None if y is None else _check_labels(y)
    _pictures(take(shown, [0]))  # fails early
    route = cascade.walk(X)
    stages = stages_in_use(cascade.policy_, route.visited.shape[1])
    ax = _grid(ax, len(stages), n_examples)
    rng = check_random_state(random_state)
    drawn = []
    for stage in stages:
        rows = np.flatnonzero(route.exit == stage)
        drawn.append(rng.permutation(rows)[:n_examples])
    pictures = _pictures(take(shown, np.concatenate(drawn)))
    start = 0
    for panels, stage, rows in zip(ax, stages, drawn):
        proba = route.proba[rows]
        answers = np.where(proba.any(axis=1), proba.argmax(axis=1), -1)
        for panel, k, picture in zip(panels, answers, pictures[start:]):
            _show(panel, picture, names[k])
        if labels is not None:
            for panel, k, truth in zip(panels, answers, labels[rows]):
                _mark(panel, k, truth, cascade.classes_, names)
        start += len(rows)
        _blank(panels[len(rows) :])
        title = _title(cascade.stage_names_[stage], np.mean(route.exit == stage))
        panels[0].set_ylabel(title, rotation=0, ha="right", va="center")
    return ax


def _class_names(cascade, class_names):
    """Names of the classes, and one more at -1 for rejected samples."""
    given = cascade.classes_ if class_names is None else class_names
    names = as_array("class_names", as_list("class_names", given)).astype(str)
    if names.ndim != 1 or len(names) != len(cascade.classes_):
        raise ValueError(
            f"`class_names` must name the {len(cascade.classes_)} classes of the cascade, got"
            f" {len(names)} names."
        )
    return np.append(names, REJECT)


def _check_labels(y):
    """True labels (n_samples,)."""
    labels = as_array("y", y)
    if labels.ndim != 1:
        raise ValueError(f"`y` must have the shape (n_samples,), got {labels.shape}.")
    return labels


def _title(name, share):
    """Name of a stage and its exit rate; long names may be broken after an underscore."""
    name = fill(name.replace("_", "_ "), 18).replace("_ ", "_")
    return f"{name}\n{share:.1%}"


def _grid(ax, n_rows, n_columns):
    import matplotlib.pyplot as plt

    if ax is None:
        size = 6 / n_columns
        return plt.subplots(
            n_rows, n_columns, figsize=(6, 0.2 + (0.3 + 0.8 * size) * n_rows), squeeze=False,
            layout="constrained",
        )[1]  # fmt: skip
    ax = np.ravel(np.asarray(ax, dtype=object))
    if len(ax) != n_rows * n_columns:
        raise ValueError(
            f"`ax` must hold {n_rows} x {n_columns} axes, one for each image, got {len(ax)}."
        )
    check_axes(*ax)
    return ax.reshape(n_rows, n_columns)


def _pictures(images):
    """Gray (n, height, width) or color images (n, height, width, 3), from 0 to 1."""
    images = as_floats("images", images)
    if images.ndim == 4 and images.shape[1] in (1, 3):
        images = np.moveaxis(images, 1, 3)
    in_color = images.ndim == 4 and images.shape[3] in (1, 3)
    if not (in_color or images.ndim == 3):
        raise ValueError(
            "`images` (or `X`) must have the shape (n_samples, height, width), (n_samples,"
            " channels, height, width) or (n_samples, height, width, channels) with 1 or 3"
            f" channels, got {images.shape}. Pass images of the samples as `images`."
        )
    if in_color and images.shape[3] == 1:
        images = images[..., 0]
    low, high = images.min(), images.max()
    return (images - low) / (high - low if high > low else 1)


def _show(panel, picture, name):
    panel.imshow(picture, cmap="gray", vmin=0, vmax=1)
    panel.set(xticks=[], yticks=[])
    panel.set_title(name, fontsize="small")


def _mark(panel, answer, truth, classes, names):
    """Add the true label where it is not the answer, and frame errors."""
    if answer >= 0 and classes[answer] == truth:
        return
    known = np.flatnonzero(classes == truth)
    true_name = names[known[0]] if known.size else truth
    panel.set_title(f"{panel.get_title()}\nis {true_name}", fontsize="small")
    if answer >= 0:
        panel.title.set(color=COLORS[1], fontweight="bold")
        for spine in panel.spines.values():
            spine.set(color=COLORS[1], linewidth=3)


def _blank(panels):
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set_visible(False)
