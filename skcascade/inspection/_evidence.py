"""What plots are drawn from: answers on given samples, or those kept by `fit`."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..tuning._tuning import Tuning, get_tuning
from ..utils._kinds import check_fitted_cascade

__all__ = ["check_cascade", "check_pair", "get_evidence"]


def check_cascade(cascade: Any) -> None:
    """TypeError for anything but a cascade, NotFittedError for one that is not fitted."""
    check_fitted_cascade("cascade", cascade)
    check_is_fitted(cascade)


def check_pair(X: Any, y: Any) -> None:
    """ValueError if only one of `X` and `y` is given."""
    if (X is None) != (y is None):
        given, missing = ("y", "X") if X is None else ("X", "y")
        raise ValueError(
            f"`{given}` was given without `{missing}`. Give both, or neither for the held-out"
            " rows that `fit` kept."
        )


def get_evidence(cascade: Any, X: Any = None, y: ArrayLike | None = None) -> Tuning:
    """Answers of every stage and true codes.

    Parameters
    ----------
    cascade : CascadeClassifier
        Fitted.
    X : samples, default=None
    y : array-like of shape (n_samples,), default=None
        Both None: the held-out rows.

    Returns
    -------
    evidence : Tuning
        With `trace`, `y`, `cost`, `sample_weight` and `replay(policy)`.

    Raises
    ------
    ValueError
        If only one of the two is given, or none and the cascade was fitted with
        store_trace=False.
    """
    check_cascade(cascade)
    check_pair(X, y)
    if X is not None:
        trace = cascade.record(X)
        return Tuning(cascade.policy_, trace, trace.codes(y), cascade.cost_)
    return get_tuning(cascade)
