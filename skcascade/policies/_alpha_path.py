"""Policies that are fitted at many alphas together."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError

from ..utils._weights import row_weights
from ._base import BaseExitPolicy

__all__ = ["AlphaPathPolicy", "fitted_rules"]


class AlphaPathPolicy(BaseExitPolicy):
    """Base class of policies that are fitted at many alphas together.

    `fit` is then a path of one alpha. They override `_path(trace, y, cost, alphas, weight)`,
    which returns fitted copies, one for each alpha, and must not change the policy itself.
    """

    def fit_alphas(
        self,
        trace: Any,
        y: ArrayLike,
        cost: Any,
        alphas: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> list[Any]:
        """Copies fitted at each of several alphas, smoothed between neighboring ones.

        Parameters
        ----------
        trace, y, cost, alphas, sample_weight
            As for :meth:`BaseExitPolicy.fit_alphas`.

        Returns
        -------
        policies : list of BaseExitPolicy
        """
        self.check_params()
        weight = row_weights(sample_weight, trace.n_samples)
        return self._path(trace, y, cost, np.asarray(alphas, dtype=float), weight)

    def fit(
        self,
        trace: Any,
        y: ArrayLike,
        cost: Any,
        alpha: float,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn the rule from recorded evidence.

        Parameters
        ----------
        trace, y, cost, alpha, sample_weight
            As for :meth:`BaseExitPolicy.fit`.

        Returns
        -------
        self : object
        """
        fitted = self.fit_alphas(trace, y, cost, [alpha], sample_weight)[0]
        self.__dict__.update(vars(fitted))
        return self

    def _path(self, trace, y, cost, alphas, weight):
        raise NotImplementedError(f"{type(self).__name__} must override `_path`.")


def fitted_rules(policy: Any) -> Any:
    """`rules_` of a policy; NotFittedError if it has none yet."""
    try:
        return policy.rules_
    except AttributeError:
        raise NotFittedError(
            f"This {type(policy).__name__} is not fitted. Fit it with `fit_policy`, or use the"
            " `policy_` of a fitted cascade."
        ) from None
