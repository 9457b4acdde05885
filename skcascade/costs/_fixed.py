"""Costs given by the user."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..evidence._stages import Stages
from ..evidence._trace import Trace
from ._base import BaseCostModel, check_edge_costs

__all__ = ["FixedCost", "check_cost"]


class FixedCost(BaseCostModel):
    """Costs as given: those of a service, or measured elsewhere.

    Parameters
    ----------
    costs : array-like of shape (n_stages,) or (n_stages, n_stages)
        Cost per sample of each stage; or of each edge, as in
        :attr:`~BaseCostModel.edge_costs_`, for stages that share computation.
    unit : str, default="units"
        What they are counted in.

    Attributes
    ----------
    edge_costs_ : ndarray of shape (n_stages, n_stages)
        Cost of going from stage j (row j + 1; row 0: from the input) to stage k.

    Raises
    ------
    ValueError
        By `fit`, if the shape does not match the number of stages, a cost is
        negative or not finite, or the last stage costs nothing.

    Examples
    --------
    >>> from skcascade.costs import FixedCost
    >>> FixedCost([1, 20, 60], unit="cents").fit(3).edge_costs_[0]
    array([ 1., 20., 60.])
    """

    def __init__(self, costs: ArrayLike, unit: str = "units") -> None:
        self.costs = costs
        self.unit = unit

    def fit(self, stages: Stages | Trace | int, X: Any = None) -> Self:
        """Check the costs against the number of stages.

        Parameters
        ----------
        stages : Stages, Trace or int
            What has `n_stages`, or the number itself.
        X : ignored

        Returns
        -------
        self : object
        """
        n: Any = getattr(stages, "n_stages", stages)
        costs = np.asarray(self.costs, dtype=float)
        if costs.shape not in ((n,), (n, n)):
            raise ValueError(
                f"`cost` must give one cost for each of the {n} stages, or a matrix of"
                f" edges of shape {(n, n)}, got an array of shape {costs.shape}."
            )
        self.edge_costs_ = check_edge_costs(np.broadcast_to(costs, (n, n)))
        return self


def check_cost(cost: BaseCostModel | ArrayLike) -> BaseCostModel:
    """Make a cost model of what a user may give: a model, or a sequence of costs."""
    return cost if isinstance(cost, BaseCostModel) else FixedCost(cost)
