"""Minimizing a convex function by Newton's method, with shorter steps where it goes too far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["minimize_convex"]


def minimize_convex(
    loss: Callable[[NDArray[np.float64]], float],
    derivatives: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]],
    start: NDArray[np.float64],
    tolerance: float,
) -> NDArray[np.float64]:
    """The argument at which `loss` is smallest.

    Parameters
    ----------
    loss : callable
        From an argument (n,) to a number.
    derivatives : callable
        From an argument to the gradient (n,) and the Hessian (n, n), which is positive definite.
    start : ndarray of shape (n,)
    tolerance : float
        A step that lowers the loss by less is the last one.

    Returns
    -------
    argument : ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.stats._newton import minimize_convex
    >>> loss = lambda x: float(np.exp(x[0]) - 2 * x[0])
    >>> slopes = lambda x: (np.exp(x) - 2, np.exp(x)[:, np.newaxis])
    >>> minimize_convex(loss, slopes, np.zeros(1), 1e-9).round(4)  # log(2)
    array([0.6931])
    """
    argument, value = start, loss(start)
    while True:
        gradient, hessian = derivatives(argument)
        step = -np.linalg.solve(hessian, gradient)
        while (new := loss(argument + step)) > value and abs(step).max() > 1e-9:
            step = step / 2  # too far: the curvature is less out there
        argument = argument + step
        if value - new <= tolerance:
            return argument
        value = new
