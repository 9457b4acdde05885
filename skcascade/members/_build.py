"""Build a module that fits the data from what a user gives, and check what it returns."""

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..nets import MLP
from ..utils._warn import warn

__all__ = ["build_module", "check_exits", "check_logits", "select_sizes"]


def build_module(
    module: Callable | nn.Module | None,
    module_params: dict[str, Any] | None,
    sample_shape: tuple[int, ...],
    n_classes: int,
) -> nn.Module:
    """Build or copy a module for samples of a given shape.

    Parameters
    ----------
    module : callable, torch.nn.Module or None
        A class or callable is called with those of `n_features` (values per
        sample), `in_channels` (first dimension of a sample) and `n_classes` that its
        signature names. A module is copied. None is :class:`MLP`.
    module_params : dict or None
        Further keyword arguments for the call; they override the sizes.
    sample_shape : tuple of int
        Shape of one sample.
    n_classes : int
        Number of classes.

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    ValueError
        If `module_params` is given for a module that is already built.
    TypeError
        If the callable does not return a module.

    Examples
    --------
    >>> from skcascade.nets import CifarResNet
    >>> from skcascade.members._build import build_module
    >>> build_module(CifarResNet, {"depth": 8}, (1, 28, 28), 10).head
    Linear(in_features=64, out_features=10, bias=True)
    """
    if isinstance(module, nn.Module):
        if module_params:
            raise ValueError(
                "`module_params` is for a class or callable, but `module` is an instance;"
                " leave it out, or give the class of the module."
            )
        return copy.deepcopy(module)
    factory = MLP if module is None else module
    sizes = select_sizes(factory, sample_shape, n_classes)
    built = factory(**{**sizes, **(module_params or {})})
    if not isinstance(built, nn.Module):
        raise TypeError(f"`module` must return a torch.nn.Module, got {type(built).__name__}.")
    return built


def select_sizes(
    factory: Callable, sample_shape: tuple[int, ...], n_classes: int
) -> dict[str, int]:
    """Select those sizes of the data that are parameters of `factory`.

    Parameters
    ----------
    factory : callable
    sample_shape : tuple of int
        Shape of one sample; empty for a single number.
    n_classes : int

    Returns
    -------
    sizes : dict
        Of `n_features`, `in_channels` and `n_classes`.

    Examples
    --------
    >>> from skcascade.nets import CifarResNet
    >>> from skcascade.members._build import select_sizes
    >>> select_sizes(CifarResNet, (1, 28, 28), 10)
    {'in_channels': 1, 'n_classes': 10}
    """
    sizes = {
        "n_features": math.prod(sample_shape),
        "in_channels": sample_shape[0] if sample_shape else 1,
        "n_classes": n_classes,
    }
    parameters = inspect.signature(factory).parameters
    return {name: size for name, size in sizes.items() if name in parameters}


def check_logits(module: nn.Module, X: torch.Tensor, n_classes: int) -> None:
    """Run a module on a few rows, to find errors before training.

    This also sets the sizes of lazy layers.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, on the device of `X`.
    X : torch.Tensor of shape (n, ...)
        A few rows.
    n_classes : int
        Number of logits expected.

    Raises
    ------
    ValueError
        If the module cannot take `X`, or does not return one logit per class.
    """
    _check_logits(_run(module, X), X, n_classes, "`module` must return")


def check_exits(module: nn.Module, X: torch.Tensor, n_classes: int) -> None:
    """As :func:`check_logits`, for a module with several exits.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, on the device of `X`; it has `exits`.
    X : torch.Tensor of shape (n, ...)
        A few rows.
    n_classes : int
        Number of logits expected at each exit.

    Raises
    ------
    ValueError
        If the module cannot take `X`, or does not return one logit per class and exit.
    """
    answers, n_exits = _run(module, X), len(module.exits)  # type: ignore[arg-type]
    if not isinstance(answers, tuple) or len(answers) != n_exits:
        raise ValueError(
            f"`module` must return a tuple of the logits of its {n_exits} exits; derive it"
            " from skcascade.nets.EarlyExitNet and do not override its forward."
        )
    for exit, logits in enumerate(answers):
        _check_logits(logits, X, n_classes, f"`module` must return, at exit {exit},")


def _run(module, X):
    try:
        with torch.no_grad():
            return module(X)
    except RuntimeError as error:
        raise ValueError(
            f"`module` cannot take rows of shape {tuple(X.shape[1:])}: {error}. Change `module`"
            " or its parameters, or reshape `X`."
        ) from error


def _check_logits(logits, X, n_classes, what):
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (len(X), n_classes):
        raise ValueError(
            f"{what} logits of shape ({len(X)}, {n_classes}), one for each class in `y`, but"
            f" returned {shape} for {len(X)} rows of shape {tuple(X.shape[1:])}; change"
            " `module` or its parameters."
        )
    if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), torch.ones_like(logits[:, 0])):
        warn(
            "`module` seems to return probabilities; it should return logits: leave out its"
            " last softmax."
        )
