"""Splits of the rows: which are held out."""

from __future__ import annotations

from copy import copy

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit, check_cv

__all__ = ["split_rows"]


def split_rows(cv, y, codes, rng, params=None):
    """Pairs of (fitting rows, held-out rows) as `cv` says.

    Parameters
    ----------
    cv : float, int, splitter, iterable or "prefit"
        A float is one stratified hold-out; "prefit" holds out every row.
    y, codes : ndarray of shape (n_samples,)
    rng : RandomState
    params : dict, default=None
        Metadata for `cv.split`, such as `groups`.

    Returns
    -------
    splits : list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If the hold-out cannot hold every class, a row is held out twice, or `cv` selects no
        rows or rows that do not exist.
    """
    seed = rng.randint(2**31 - 1)
    if isinstance(cv, str):
        return [(np.arange(len(y)), np.arange(len(y)))]
    if isinstance(cv, float):
        return _hold_out(cv, codes, seed)
    if isinstance(cv, bytes):  # it has `split` too
        raise ValueError(f"`cv` must be a splitter or pairs of rows, got {cv!r:.80}.")
    if isinstance(cv, bytes):  # it has `split` too
        raise ValueError(f"`cv` must be a splitter or pairs of rows, got {cv!r:.80}.")
    cv = check_cv(cv, y, classifier=True)
    if getattr(cv, "random_state", 0) is None:
        cv = copy(cv)
        cv.random_state = seed
    pairs = cv.split(np.zeros(len(y)), y, **(params or {}))
    splits = [_select_pair(pair, len(y), i) for i, pair in enumerate(pairs)]
    if not splits:
        raise ValueError("`cv` is empty: give one or more pairs of (fitting rows, held-out rows).")
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


def _select_pair(pair, n_samples, fold):
    """The row numbers of one fold."""
    if not np.iterable(pair) or len(pair := list(pair)) != 2:
        raise ValueError(
            f"`cv` must give pairs of (fitting rows, held-out rows), got {pair!r:.80} as fold"
            f" {fold}."
        )
    return tuple(_select(rows, n_samples, fold) for rows in pair)


def _select(rows, n_samples, fold):
    """Row numbers as `cv` selects them: by numbers, also from the end, or by a boolean mask."""
    rows = np.asarray(rows)
    try:
        selected = np.arange(n_samples)[rows if rows.size else rows.astype(int)]
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"`cv` must select rows by numbers below n_samples={n_samples} or by masks of that"
            f" length, but fold {fold} does not: {error}."
        ) from error
    if selected.ndim != 1:
        raise ValueError(f"`cv` must select rows by flat arrays, but fold {fold} does not.")
    if not selected.size:
        raise ValueError(f"`cv` selects no rows in fold {fold}. Use folds that hold rows.")
    return selected


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
