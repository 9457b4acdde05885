"""Two calls measured against each other in one run."""

import time
from typing import NamedTuple

import numpy as np


class Comparison(NamedTuple):
    """Median seconds of both calls; their ratio and difference with 95 % intervals."""

    first: float
    second: float
    ratio: float
    ratio_range: tuple
    added: float
    added_range: tuple


def compare(first, second, *, repeats, warm_up=3):
    """Time `first` against `second`, in alternating calls, so that the load is the same for both.

    Parameters
    ----------
    first, second : callable
        Called without arguments.
    repeats : int
        Timed calls of each.
    warm_up : int, default=3
        Calls of each before those.

    Returns
    -------
    comparison : Comparison
        The intervals are a bootstrap over the repeats.
    """
    for _ in range(warm_up):
        first(), second()
    seconds = np.empty((repeats, 2))
    for i in range(repeats):
        for j in (0, 1) if i % 2 else (1, 0):
            call = (first, second)[j]
            start = time.perf_counter()
            call()
            seconds[i, j] = time.perf_counter() - start
    drawn = np.random.default_rng(0).integers(repeats, size=(300, repeats))
    a, b = np.median(seconds[drawn], axis=1).T
    first, second = np.median(seconds, axis=0)
    return Comparison(
        first, second, first / second, interval(a / b), first - second, interval(a - b)
    )


def interval(values):
    """The middle 95 % of `values`."""
    return tuple(np.quantile(values, [0.025, 0.975]))


def timed(call):
    """Result of `call` and the seconds it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start
