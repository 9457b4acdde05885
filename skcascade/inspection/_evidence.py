"""What pictures are drawn from: answers on given samples, or those kept since `fit`."""

from sklearn.utils.validation import check_is_fitted

from .._tradeoff_curve import recorded
from .._tuning import Tuning

__all__ = ["check_pair", "evidence_of"]


def check_pair(X, y):
    """ValueError if only one of `X` and `y` is given."""
    if (X is None) != (y is None):
        given, missing = ("y", "X") if X is None else ("X", "y")
        raise ValueError(
            f"`{given}` was given without `{missing}`. Give both, or neither for the held-out"
            " rows that were kept."
        )


def evidence_of(cascade, X=None, y=None):
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
        If only one of the two is given, or the held-out rows were dropped.
    """
    check_is_fitted(cascade)
    check_pair(X, y)
    if X is not None:
        trace = recorded(cascade, X)
        return Tuning(cascade.policy_, trace, trace.codes(y), cascade.cost_)
    if cascade._tuning.trace is None:
        raise ValueError("The held-out trace was dropped: give `X` and `y`, or fit again.")
    return cascade._tuning
