"""Costs counted in multiply-accumulates."""

from collections.abc import Callable
from typing import Any

from sklearn.frozen import FrozenEstimator

from ..evidence._stages import Call, num_rows
from ..exceptions import UncountableError

# Importing a family of counts registers it.
from . import _counts_linear, _counts_meta, _counts_transform, _counts_trees  # noqa: F401
from ._base import BaseCostModel
from ._counts import NET_ROWS, count_macs, few_rows
from ._counts_torch import count_run, is_torch

__all__ = ["MacsCost"]

#: Rows that the length of texts and the density of sparse rows are averaged over.
ROWS = 256


class MacsCost(BaseCostModel):
    """Costs in multiply-accumulates (MACs) per sample, the unit of the literature.

    Nets are run once under torch's counter. scikit-learn estimators are counted by
    documented rules: one unit for a multiply-add, a comparison or a table look-up (see
    the user guide for all of them). Counting is reproducible, needs no quiet machine,
    and does not depend on the hardware. But a comparison in a tree does not take the
    time of a multiplication in a net. To compare members of different kinds, measure
    with :class:`LatencyCost`.

    Attributes
    ----------
    edge_costs_ : ndarray of shape (n_stages, n_stages)
        MACs per sample of going from stage j (row j + 1; row 0: from the input) to
        stage k.

    Raises
    ------
    UncountableError
        By `fit`, if a member, or a part of it, is of a type that is not registered.
    ValueError
        By `fit`, if torch can count nothing of a net, or the last stage costs nothing.

    See Also
    --------
    FixedCost : Costs as given.
    LatencyCost : Costs in seconds.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skcascade.costs import MacsCost
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((10,), max_iter=20, tol=1.0).fit(X, y)
    >>> MacsCost.count(net, X)  # 4 inputs x 10 hidden units + 10 hidden units x 3 classes
    70.0
    """

    unit = "MACs"

    def measure(self, call: Call) -> float:
        """MACs per sample of one edge.

        Parameters
        ----------
        call : Call
            `call.member.estimator` is the fitted estimator (`call.member` itself, where
            there is no such attribute).

        Returns
        -------
        macs : float

        Raises
        ------
        UncountableError
            If its type, or that of a part of it, is not registered.
        ValueError
            If it is a net that torch can count nothing of.
        """
        estimator = getattr(call.member, "estimator", call.member)
        while isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        if is_torch(estimator) and not _is_registered(estimator):
            # Through the member: only it can run from one exit to another.
            call = call.on(few_rows(call.X, NET_ROWS))
            what = f"Member {call.name!r}"
            return count_run(call.__call__, num_rows(call.X), what, zero_ok=call.cached is not None)
        try:
            return float(count_macs(estimator, few_rows(call.X, ROWS)))
        except UncountableError as error:
            raise UncountableError(f"Member {call.name!r}: {error}") from error

    @staticmethod
    def count(estimator: Any, X: Any) -> float:
        """Count one fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : samples
            A few rows, as it takes them.

        Returns
        -------
        macs : float
            Per sample.

        Raises
        ------
        UncountableError
            If its type, or that of a part of it, is not registered.
        ValueError
            If it is a net that torch can count nothing of.

        Examples
        --------
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from skcascade.costs import MacsCost
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> MacsCost.count(DecisionTreeClassifier().fit(X, y), X)
        1.0
        """
        return float(count_macs(estimator, few_rows(X, ROWS)))

    @staticmethod
    def register(cls: type) -> Callable:
        """Register how estimators of a type, and of its subclasses, are counted.

        Parameters
        ----------
        cls : type
            Type of the estimators; registering a type again replaces its rule.

        Returns
        -------
        decorator : callable
            For a function of the fitted estimator and a few rows as they reach it,
            that returns the MACs per sample (float).

        Raises
        ------
        TypeError
            If `cls` is not a type.

        Examples
        --------
        >>> from sklearn.dummy import DummyClassifier
        >>> from skcascade.costs import MacsCost
        >>> class Rules(DummyClassifier):
        ...     pass
        >>> @MacsCost.register(Rules)
        ... def count(estimator, X):
        ...     return 25.0  # comparisons
        >>> MacsCost.count(Rules().fit([[0], [1]], [0, 1]), [[0]])
        25.0
        """
        if not isinstance(cls, type):
            raise TypeError(f"`MacsCost.register` takes a type of estimators, got {cls!r}.")
        return count_macs.register(cls)


def _is_registered(estimator):
    """Whether there is a rule for this type of estimator."""
    return count_macs.dispatch(type(estimator)) is not count_macs.dispatch(object)
