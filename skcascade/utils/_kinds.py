"""Arguments of the wrong kind: errors that name the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "as_array",
    "as_floats",
    "as_indices",
    "as_list",
    "check_evidence",
    "check_fitted_cascade",
    "check_kind",
]


def check_kind(name: str, value: Any, kind: Any, what: str) -> None:
    """TypeError that names the parameter and what it must be, if `value` is of another kind."""
    if not isinstance(value, kind):
        raise TypeError(f"`{name}` must be {what}, got {value!r:.80}.")


def check_fitted_cascade(name: str, value: Any) -> None:
    """TypeError if `value` has not the face of a cascade."""
    if isinstance(value, type) or not (
        hasattr(value, "set_operating_point") and hasattr(value, "record")
    ):
        what = "a fitted CascadeClassifier" + " or a Trace" * name.endswith("trace")
        raise TypeError(f"`{name}` must be {what}, got {value!r:.80}.")


def check_evidence(name: str, value: Any) -> None:
    """TypeError if `value` has not the face of recorded or live answers."""
    if not hasattr(value, "observe"):
        raise TypeError(f"`{name}` must be a Trace or Live, got {value!r:.80}.")


def as_array(name: str, value: Any) -> NDArray[Any]:
    """`value` as an array; ValueError if its rows differ in length."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be an array, got {value!r:.80}: {error}") from error


def as_floats(name: str, value: Any) -> NDArray[np.float64]:
    """`value` as an array of floats; ValueError if it does not hold real numbers."""
    array = as_array(name, value)
    try:
        if array.dtype.kind in "cmMV":
            raise TypeError(f"no real numbers but {array.dtype}")
        return np.asarray(array, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must hold real numbers, got {value!r:.80}: {error}") from error


def as_list(name: str, value: Any) -> list[Any]:
    """`value` as a list; TypeError if it is no sequence."""
    if not np.iterable(value):
        raise TypeError(f"`{name}` must be a list, got {value!r:.80}.")
    return list(value)


def as_indices(name: str, value: Any, n: int) -> list[int]:
    """`value` as a list of integers from -`n` to `n` - 1; ValueError if it holds others."""
    array = as_array(name, as_list(name, value))
    integers = array.ndim == 1 and (array.dtype.kind in "iu" or not array.size)
    if not integers or ((array < -n) | (array >= n)).any():
        raise ValueError(f"`{name}` must hold integers below {n}, got {value!r:.80}.")
    return [int(k) for k in array]
