"""Checks of a net with several exits: its module, its parameters, its training rows."""

from typing import Any

import numpy as np
from skorch.utils import data_from_dataset, is_dataset, to_numpy
from torch import nn

__all__ = ["check_has_exits", "check_parameters", "measure_sizes"]


def check_has_exits(module: Any) -> nn.Module:
    """Return `module` if it has as many exits as blocks.

    Parameters
    ----------
    module : object
        What the parameter `module` made.

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    TypeError
        If it is not a net with exits.
    ValueError
        If there are not as many exits as blocks.

    Examples
    --------
    >>> from torch import nn
    >>> from skcascade.members._exit_checks import check_has_exits
    >>> from skcascade.nets import EarlyExitNet
    >>> len(check_has_exits(EarlyExitNet([nn.Linear(4, 3)], [nn.Linear(3, 2)])).exits)
    1
    """
    needs = "blocks", "exits", "advance", "answer"
    lacks = [name for name in needs if not hasattr(module, name)]
    if lacks or not isinstance(module, nn.Module):
        raise TypeError(
            f"`module` must make a net with exits, but {type(module).__name__} has no"
            f" {', '.join(lacks)}; derive it from skcascade.nets.EarlyExitNet."
        )
    n_blocks, n_exits = len(module.blocks), len(module.exits)  # type: ignore[arg-type]
    if n_blocks != n_exits:
        raise ValueError(
            f"`module` must have as many blocks as exits, but has {n_blocks} and"
            f" {n_exits}; give one exit for each block."
        )
    return module


def check_parameters(training: Any, head_epochs: Any, exit_weights: Any, n_exits: int) -> None:
    """Check the parameters of an :class:`~skcascade.members.EarlyExitNetClassifier`.

    Parameters
    ----------
    training, head_epochs, exit_weights : object
        As given by the user.
    n_exits : int
        Of the initialized module.

    Raises
    ------
    ValueError
        If a parameter is not usable.
    """
    if training not in ("joint", "backtrack"):
        raise ValueError(f"`training` must be 'joint' or 'backtrack', got {training!r}.")
    if head_epochs is not None and head_epochs < 1:
        raise ValueError(f"`head_epochs` must be 1 or more, or None, got {head_epochs!r}.")
    weights = np.asarray([1.0] * n_exits if exit_weights is None else exit_weights, dtype=float)
    good = weights.shape == (n_exits,) and np.isfinite(weights).all()
    if not (good and (weights >= 0).all() and weights.any()):
        raise ValueError(
            f"`exit_weights` must be {n_exits} finite numbers, one for each exit, 0 or"
            f" more and not all 0, or None, got {exit_weights!r}."
        )


def measure_sizes(X: Any, y: Any, classes: Any) -> tuple[tuple[int, ...], int]:
    """Find the shape of a sample and the number of classes.

    Parameters
    ----------
    X : array-like or tensor of shape (n_samples, ...), or Dataset
    y : array-like of int, shape (n_samples,), or None for a Dataset
    classes : sequence or None
        All classes; None takes those up to the largest in `y`.

    Returns
    -------
    sample_shape : tuple of int
    n_classes : int

    Raises
    ------
    ValueError
        If `y` does not hold codes.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.members._exit_checks import measure_sizes
    >>> measure_sizes(np.zeros((3, 1, 8, 8)), np.array([0, 2, 1]), None)
    ((1, 8, 8), 3)
    """
    if is_dataset(X):
        X, y = data_from_dataset(X)
    y = to_numpy(y)
    if y.dtype.kind not in "iu" or y.min() < 0:
        raise ValueError(
            "`y` must hold classes 0, ..., n_classes - 1 as int; encode it with sklearn's"
            " LabelEncoder, or let a CascadeClassifier do so."
        )
    return tuple(np.shape(X)[1:]), int(y.max()) + 1 if classes is None else len(classes)
