"""The prices of a cascade: as its user gives them, else counted."""

import warnings

import numpy as np
from sklearn.base import clone

from ..exceptions import CascadeWarning, UncountableError
from ._fixed import FixedCost, check_cost
from ._macs import MacsCost

__all__ = ["fit_cost"]


def fit_cost(cost, stages, X):
    """A fitted cost model.

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
        warnings.warn(
            f"Every stage is priced at one unit: {error} Give `cost`: one price a stage, or"
            " LatencyCost().",
            CascadeWarning,
            stacklevel=5,
        )
        return FixedCost(np.ones(stages.n_stages)).fit(stages)
