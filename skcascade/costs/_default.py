"""The cost model of a cascade: as given, else counted."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ..evidence._stages import Stages
from ..exceptions import UncountableError
from ..utils._warn import warn
from ._base import BaseCostModel
from ._fixed import FixedCost, check_cost
from ._macs import MacsCost

__all__ = ["fit_cost"]


def fit_cost(cost: BaseCostModel | ArrayLike | None, stages: Stages, X: Any) -> BaseCostModel:
    """Fit a cost model.

    Parameters
    ----------
    cost : BaseCostModel, array-like or None
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
