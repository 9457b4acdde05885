"""Costs along a chain of stages, and the distance of a policy from its bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bound_gap", "chain_cost"]

#: Accuracy by which a bound must be missed for dual ascent to take a full step.
ACCURACY_STEP = 0.01


def chain_cost(cost: Any, n_stages: int) -> NDArray[np.float64]:
    """Relative cost (n_stages,) of running all stages up to each of them."""
    return cost.relative(cost.path_cost(np.tri(n_stages, dtype=bool)))


def bound_gap(target: Any) -> Callable[[float, float, float], float]:
    """How far the policy is from the bound of `target`: above 0 where alpha is too low.

    A drop counts with its standard error: few validation rows must not look like none.
    """
    if target.max_cost is not None:
        return lambda cost, drop, error: cost / target.max_cost - 1
    if target.max_accuracy_drop is not None:
        return lambda cost, drop, error: (target.max_accuracy_drop - drop - error) / ACCURACY_STEP
    return lambda cost, drop, error: 0.0
