"""Weights of samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["row_weights"]


def row_weights(sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float64]:
    """Weights as floats (n_samples,): ones where none are given."""
    return np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, float)
