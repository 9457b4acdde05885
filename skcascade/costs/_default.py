"""The cost model of a cascade: as given, else counted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ..evidence._stages import Stages
from ..exceptions import UncountableError
from ..utils._warn import warn
from ._base import BaseCostModel
from ._fixed import FixedCost
from ._latency import LatencyCost
from ._macs import MacsCost

__all__ = ["check_cost", "fit_cost"]

#: Cost models by name.
MODELS = {"macs": MacsCost, "latency": LatencyCost}


def check_cost(cost: BaseCostModel | ArrayLike | Mapping[str, float] | str) -> BaseCostModel:
    """Make a cost model of a model, the name of one, or costs in order or by name."""
    if isinstance(cost, BaseCostModel):
        return cost
    if isinstance(cost, str):
        if cost not in MODELS:
            raise ValueError(
                f"`cost` must be one of {sorted(MODELS)}, a cost model, or costs, got {cost!r}."
            )
        return MODELS[cost]()
    return FixedCost(cost)


def fit_cost(
    cost: BaseCostModel | ArrayLike | Mapping[str, float] | str | None, stages: Stages, X: Any
) -> BaseCostModel:
    """Fit a cost model.

    Parameters
    ----------
    cost : BaseCostModel, array-like, dict, str or None
        None: multiply-accumulates where every member can be counted, else one unit per
        stage, with a warning.
    stages : Stages
    X : samples
        A few rows to measure on.

    Returns
    -------
    cost : BaseCostModel
    """
    if cost is not None:
        return clone(check_cost(cost)).fit(stages, X)
    try:
        return MacsCost().fit(stages, X)
    except UncountableError as error:
        warn(
            f"Every stage costs one unit: {error} Give `cost`: one cost per stage, or"
            " LatencyCost()."
        )
        return FixedCost(np.ones(stages.n_stages)).fit(stages)
