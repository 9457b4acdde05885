"""Splits of the rows: which are held out."""

from __future__ import annotations

from copy import copy

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit, check_cv

__all__ = ["split_rows"]


def split_rows(cv, y, codes, rng):
    """Pairs of (fitting rows, held-out rows) as `cv` says.

    Parameters
    ----------
    cv : float, int, splitter, iterable or "prefit"
        A float is one stratified hold-out; "prefit" holds out every row.
    y, codes : ndarray of shape (n_samples,)
    rng : RandomState

    Returns
    -------
    splits : list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If the hold-out cannot hold every class, or a row is held out twice.
    """
    seed = rng.randint(2**31 - 1)
    if isinstance(cv, str):
        return [(np.arange(len(y)), np.arange(len(y)))]
    if isinstance(cv, float):
        return _hold_out(cv, codes, seed)
    cv = check_cv(cv, y, classifier=True)
    if getattr(cv, "random_state", 0) is None:
        cv = copy(cv)
        cv.random_state = seed
    splits = [(np.asarray(a), np.asarray(b)) for a, b in cv.split(np.zeros(len(y)), y)]
    held_out = np.concatenate([test for _, test in splits])
    if len(np.unique(held_out)) < len(held_out):
        raise ValueError(
            "`cv` holds out some rows more than once, so that their answers would count"
            " twice. Use folds that do not overlap."
        )
    if any(np.isin(test, train).any() for train, test in splits):
        raise ValueError(
            "`cv` holds out rows that members are fitted on, which would look better than they"
            " are. Use other rows, or cv='prefit' if the members are fitted already."
        )
    return splits


def _hold_out(share, codes, seed):
    """One stratified hold-out."""
    splitter = StratifiedShuffleSplit(1, test_size=share, random_state=seed)
    try:
        splits = list(splitter.split(np.zeros(len(codes)), codes))
        if any(len(np.unique(codes[rows])) <= codes.max() for rows in splits[0]):
            raise ValueError("The rarest class would be on one side only.")
        return splits
    except ValueError as error:
        raise ValueError(
            f"`cv`={share} cannot hold out rows of all {codes.max() + 1} classes from"
            f" n_samples={len(codes)}: {error} Give more rows of the rarest class, another"
            " share, or a number of folds."
        ) from error
