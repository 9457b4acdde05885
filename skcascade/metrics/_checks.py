"""What the parameters of scorers and rules have in common."""

import math
from numbers import Real

__all__ = ["check_number"]


def check_number(name, value):
    """`value` as a float; ValueError if it is negative or no finite number."""
    if not isinstance(value, Real) or not 0 <= value < math.inf:
        raise ValueError(f"`{name}` must be a number, 0 or more, got {value!r}.")
    return float(value)
