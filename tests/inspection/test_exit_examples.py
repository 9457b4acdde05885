"""Images of the samples that exit at each stage."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcascade.inspection import plot_exit_examples

DIGITS = load_digits()
_, X_TEST, _, Y_TEST, _, IMAGES = train_test_split(
    DIGITS.data,
    DIGITS.target,
    DIGITS.images,
    test_size=0.5,
    stratify=DIGITS.target,
    random_state=0,
)
POLICIES = ["thresholds", "rules", "heads", "own"]


@pytest.mark.parametrize("policy", POLICIES)
def test_examples_exit_where_they_are_shown(by_policy, policy, draw):
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
    colors = np.prod(shape) // 64
    pictures = np.repeat(X_TEST[:200], colors, axis=1).reshape(-1, *shape)
    axes = plot_exit_examples(cascade, X_TEST[:200], images=pictures, n_examples=2)
    shown = axes[0, 0].images[0].get_array()
    assert shown.shape == ((8, 8) if colors == 1 else (8, 8, 3))


def test_fewer_exit_than_are_asked_for(cascade, draw):
    names = list("abcdefghij")
    axes = plot_exit_examples(cascade, X_TEST[:3], images=IMAGES[:3], class_names=names)
    titles = [panel.get_title() for panel in axes.flat if panel.get_title()]
    assert sorted(titles) == sorted(names[k] for k in cascade.predict(X_TEST[:3]))
    draw(axes[0, 0].figure)


def test_rejected_samples_are_neither_right_nor_wrong(rejecting):
    axes = plot_exit_examples(rejecting, X_TEST, y=Y_TEST, images=IMAGES, n_examples=1)
    assert axes[-1, 0].get_title().startswith("reject\nis ")
    assert axes[-1, 0].title.get_color() == "black"


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
