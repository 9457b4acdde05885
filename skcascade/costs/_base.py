"""What every cost model is: a cost for each edge between stages."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..evidence._stages import Call, Stages
from ..utils._kinds import as_array, as_floats

__all__ = ["BaseCostModel", "check_edge_costs"]


class BaseCostModel(BaseEstimator):
    """Base class of cost models.

    A cost model overrides :meth:`measure`, the cost of one edge. It overrides :meth:`fit`
    instead where costs are not measured. Costs are per sample and add up over the edges
    that a sample takes.

    Attributes
    ----------
    unit : str
        What costs are counted in.
    edge_costs_ : ndarray of shape (n_stages, n_stages)
        `edge_costs_[j + 1, k]` is the cost of going from stage j to stage k, row 0
        from the input. NaN where k does not come after j. Independent members have
        equal rows. Between two exits of one net only the part in between counts.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.costs import FixedCost
    >>> cost = FixedCost([1.0, 4.0]).fit(2)
    >>> cost.edge_costs_
    array([[ 1.,  4.],
           [nan,  4.]])
    >>> cost.path_cost(np.array([[True, False], [True, True], [False, True]]))
    array([1., 5., 4.])
    """

    unit: str = "units"
    edge_costs_: NDArray

    def measure(self, call: Call) -> float:
        """Cost per sample of one edge. Override this.

        Parameters
        ----------
        call : Call
            `call()` runs the edge once. `call.member`, `call.exit`, `call.cached` and
            `call.X` say what it is. `call.on(X)` is the same edge over other rows.

        Returns
        -------
        cost : float
            In `unit`.
        """
        raise NotImplementedError(f"{type(self).__name__} must override `measure`.")

    def fit(self, stages: Stages, X: Any = None) -> Self:
        """Measure the cost of every edge.

        Parameters
        ----------
        stages : Stages
            Fitted members.
        X : samples
            A few rows to measure on.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a cost is negative or not finite, or the last stage costs nothing.
        """
        n = stages.n_stages
        edges = np.full((n, n), np.nan)
        for k in range(n):
            edges[: k + 1, k] = self.measure(stages.call(None, k, X))
            for j in stages.earlier_exits(k):
                edges[j + 1, k] = self.measure(stages.call(j, k, X))
        self.edge_costs_ = check_edge_costs(edges)
        return self

    def path_cost(self, visited: NDArray) -> NDArray:
        """Add up the costs of the edges that each sample took.

        Parameters
        ----------
        visited : ndarray of bool, shape (n_samples, n_stages)
            Which stages each sample visited.

        Returns
        -------
        cost : ndarray of shape (n_samples,)
            In `unit`.
        """
        check_is_fitted(self, "edge_costs_")
        visited = as_array("visited", visited)
        if visited.ndim != 2 or visited.shape[1] != len(self.edge_costs_):
            raise ValueError(
                "`visited` must have the shape (n_samples, n_stages) = (n_samples,"
                f" {len(self.edge_costs_)}), got {visited.shape}."
            )
        if visited.dtype.kind != "b":  # integers would select rows by their numbers
            if visited.dtype.kind not in "iuf" or not np.isin(visited, [0, 1]).all():
                raise ValueError(f"`visited` must be bool, got {visited.dtype}.")
            visited = visited.astype(bool)
        cost = np.zeros(len(visited))
        came_from = np.zeros(len(visited), dtype=np.intp)
        for k in range(visited.shape[1]):
            here = visited[:, k]
            cost[here] += self.edge_costs_[came_from[here], k]
            came_from[here] = k + 1
        return cost

    def relative(self, cost: Any) -> Any:
        """Express `cost` as a share of running the last stage alone.

        Where the last stages cost nothing, the last one that costs anything counts.

        Parameters
        ----------
        cost : float or ndarray
            In `unit`.

        Returns
        -------
        relative_cost : float or ndarray
        """
        check_is_fitted(self, "edge_costs_")
        alone = self.edge_costs_[0]
        return as_floats("cost", cost) / alone[np.flatnonzero(alone)[-1]]


def check_edge_costs(edges: NDArray) -> NDArray:
    """Check the cost of every edge from a stage to a later one.

    Parameters
    ----------
    edges : ndarray of shape (n_stages, n_stages)
        As :attr:`BaseCostModel.edge_costs_`; what is below its diagonal is ignored.

    Returns
    -------
    edges : ndarray of shape (n_stages, n_stages)
        A copy with NaN below the diagonal.

    Raises
    ------
    ValueError
        If a cost is negative or not finite, or the last stage costs nothing.
    """
    n = len(edges)
    forward = np.triu(np.ones((n, n), dtype=bool))
    if not (np.isfinite(edges[forward]).all() and (edges[forward] >= 0).all()):
        raise ValueError(
            f"`cost`: every cost must be a finite number, 0 or more, got {edges[forward].tolist()}."
        )
    if edges[0, -1] == 0:
        raise ValueError(
            "`cost`: the last stage must cost more than 0, since relative costs are"
            " shares of its cost."
        )
    return np.where(forward, edges, np.nan)
