"""Whether answers are probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "are_probabilities", "explain"]

#: By how much a row may miss the sum 1, and a probability the range [0, 1]: recorded
#: probabilities are often rounded to two digits.
TOLERANCE = 0.02


def are_probabilities(proba: NDArray[Any]) -> bool:
    """Whether all rows of `proba` (n_rows, n_classes) are probabilities: a quick test.

    False may also mean that many rows are slightly off; :func:`explain` tells.
    """
    if proba.dtype.kind != "f":
        return False
    wide = None if proba.itemsize > 2 else np.float64  # float16 cannot add up many classes
    if len(proba) == 1:  # as fast as can be, since a small net takes no longer for one row
        return bool(abs(np.add.reduce(proba, axis=None, dtype=wide) - 1.0) <= TOLERANCE)
    off = np.add.reduce(proba, axis=1, dtype=wide) - 1.0
    low = np.minimum.reduce(proba, axis=None, initial=0.0)  # none above 1 without one below 0
    return bool(off @ off <= TOLERANCE**2 and low >= -TOLERANCE)


def explain(proba: NDArray[Any]) -> str | None:
    """Why `proba` (..., n_classes) does not hold probabilities, for an error; None if it does."""
    if proba.dtype.kind not in "fiu":
        return f"values of type {proba.dtype}, no real numbers"
    if not np.isfinite(proba).all():
        return "NaN or infinity"
    low, high = proba.min(initial=0), proba.max(initial=0)
    sums = proba.sum(axis=-1, dtype=float)
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        return f"numbers from {low:.4g} to {high:.4g}"
    if (abs(sums - 1) > TOLERANCE).any():
        return f"rows that add up to {sums.min():.4g} to {sums.max():.4g}"
    return None
