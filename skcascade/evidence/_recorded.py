"""Recorded probabilities as they are given: checked block by block."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_array
from ._probabilities import explain
from ._walk import BLOCK_BYTES

__all__ = ["blocks", "given_proba"]


def given_proba(proba: ArrayLike, has_reject: bool) -> NDArray[np.float32]:
    """Probabilities given as an array (n_samples, n_stages, n_classes), checked, as float32."""
    given: NDArray[Any] = as_array("proba", proba)
    with np.errstate(over="ignore"):  # infinity is found below
        found = np.asarray(given, dtype=np.float32) if given.dtype.kind in "fiu" else given
    if found.ndim != 3 or 0 in found.shape:
        raise ValueError(
            "`proba` must have the shape (n_samples, n_stages, n_classes), none of"
            f" them 0, got {found.shape}."
        )
    answering = found[:, : found.shape[1] - has_reject]  # the reject stage holds zeros
    for rows in blocks(found):
        if (what := explain(answering[rows])) is not None:
            raise ValueError(
                f"`proba` holds {what} instead of probabilities from 0 to 1 that add up to 1"
                " over the classes. Apply a softmax to logits, or the exponential to"
                " log-probabilities; divide rounded rows by their sums."
            )
    return found


def blocks(
    proba: NDArray[Any], batch_size: int | None = None, at_most: int = sys.maxsize
) -> list[slice]:
    """Slices that cut the rows of `proba` into blocks of bounded size."""
    n = len(proba)
    size = batch_size or min(at_most, max(1, BLOCK_BYTES // max(1, proba[:1].nbytes)))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
