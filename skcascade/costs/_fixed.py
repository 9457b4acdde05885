"""Costs given by the user."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..evidence._stages import Stages
from ..evidence._trace import Trace
from ..utils._kinds import as_floats, check_kind
from ._base import BaseCostModel, check_edge_costs

__all__ = ["FixedCost"]


class FixedCost(BaseCostModel):
    """Costs as given: those of a service, or measured elsewhere.

    Parameters
    ----------
    costs : array-like of shape (n_stages,) or (n_stages, n_stages), or dict
        Cost per sample of each stage, also by the names of the stages; or of each edge, as in
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

    def __init__(self, costs: ArrayLike | Mapping[str, float], unit: str = "units") -> None:
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
        costs = self.costs
        if isinstance(costs, Mapping):
            costs = _in_order(costs, getattr(stages, "names", None))
        check_kind("stages", n, Integral, "stages, a trace or their number")
        costs = as_floats("cost", costs)
        if costs.shape not in ((n,), (n, n)):
            raise ValueError(
                f"`cost` must give one cost for each of the {n} stages, or a matrix of"
                f" edges of shape {(n, n)}, got an array of shape {costs.shape}."
            )
        self.edge_costs_ = check_edge_costs(np.broadcast_to(costs, (n, n)))
        return self


def _in_order(costs, names):
    """Costs by name, in the order of the stages; ValueError if names are missing or unknown."""
    if names is None:
        raise ValueError("`cost` by name needs named stages; give a list of costs here.")
    missing, unknown = sorted(set(names) - set(costs)), sorted(set(costs) - set(names))
    if missing or unknown:
        raise ValueError(
            f"`cost` must give a cost for each of the stages {list(names)}, but lacks {missing} and"
            f" has {unknown} too."
        )
    return [costs[name] for name in names]
