"""The check that parameters of scorers and rules have in common."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

__all__ = ["check_number"]


def check_number(name: str, value: Any) -> float:
    """`value` as a float; ValueError if it is negative or no finite number."""
    real = isinstance(value, Real)
    if not real or not 0 <= value < math.inf:
        raise ValueError(f"`{name}` must be a number, 0 or more, got {value!r}.")
    return float(value)
