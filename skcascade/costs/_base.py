"""What every cost model is: a price for each edge between stages."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

__all__ = ["BaseCostModel"]


class BaseCostModel(BaseEstimator):
    """Base class of cost models.

    A cost model overrides :meth:`measure`, the price of one edge; or :meth:`fit`, if
    prices are not measured. Prices are per sample and add up along the way of a sample.

    Attributes
    ----------
    unit : str
        What prices are counted in.
    edge_costs_ : ndarray of shape (n_stages, n_stages)
        `edge_costs_[j + 1, k]` is the price of going from stage j to stage k, row 0
        from the input. NaN where k does not come after j. Independent members have
        equal rows; between two exits of one net only the part in between is paid.

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

    unit = "units"

    def measure(self, call):
        """Price per sample of one edge. Override this.

        Parameters
        ----------
        call : Call
            `call()` runs the edge once; `call.member`, `call.exit`, `call.held` and
            `call.X` say what it is; `call.on(X)` is the same edge over other rows.

        Returns
        -------
        price : float
        """
        raise NotImplementedError(f"{type(self).__name__} must override `measure`.")

    def fit(self, stages, X=None):
        """Price every edge.

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
            If a price is negative or not finite, or the last stage costs nothing.
        """
        n = stages.n_stages
        edges = np.full((n, n), np.nan)
        for k in range(n):
            edges[: k + 1, k] = self.measure(stages.call(None, k, X))
            for j in stages.earlier_exits(k):
                edges[j + 1, k] = self.measure(stages.call(j, k, X))
        self.edge_costs_ = check_edge_costs(edges)
        return self

    def path_cost(self, visited):
        """What each sample pays: the sum of the edges it took.

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
        visited = np.asarray(visited)
        cost = np.zeros(len(visited))
        came_from = np.zeros(len(visited), dtype=np.intp)
        for k in range(visited.shape[1]):
            here = visited[:, k]
            cost[here] += self.edge_costs_[came_from[here], k]
            came_from[here] = k + 1
        return cost

    def relative(self, cost):
        """`cost` as a share of running the last stage alone (of those that cost anything).

        Parameters
        ----------
        cost : float or ndarray

        Returns
        -------
        relative_cost : float or ndarray
        """
        check_is_fitted(self, "edge_costs_")
        alone = self.edge_costs_[0]
        return cost / alone[np.flatnonzero(alone)[-1]]


def check_edge_costs(edges):
    """`edges` if every price from a stage to a later one is usable, else ValueError."""
    n = len(edges)
    forward = np.triu(np.ones((n, n), dtype=bool))
    if not (np.isfinite(edges[forward]).all() and (edges[forward] >= 0).all()):
        raise ValueError(
            f"`cost`: every price must be a finite number, 0 or more, got"
            f" {edges[forward].tolist()}."
        )
    if edges[0, -1] == 0:
        raise ValueError(
            "`cost`: the last stage must cost more than 0, since relative costs are"
            " shares of its price."
        )
    return np.where(forward, edges, np.nan)
