"""Groups of rows, in each of which a bound is to hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_array

__all__ = ["Groups"]


class Groups(NamedTuple):
    """The group of each row.

    Attributes
    ----------
    labels : list
        Of the groups.
    codes : ndarray of int, shape (n_samples,)
        Positions in `labels`. Some groups may have no row, and are groups all the same.
    """

    labels: list[Any]
    codes: NDArray[np.intp]

    @classmethod
    def check(
        cls, name: str, labels: ArrayLike | None, n_samples: int, confidence_level: float | None
    ) -> Self | None:
        """The groups that a user gives; None for None.

        Parameters
        ----------
        name : str
            Of the argument.
        labels : array-like of shape (n_samples,)
        n_samples : int
        confidence_level : float or None

        Raises
        ------
        ValueError
            If there is no confidence level, or `labels` has another shape or missing values.
        """
        if labels is None:
            return None
        if confidence_level is None:
            raise ValueError(
                f"`{name}` are groups in each of which the bound is certified. Set"
                f" `confidence_level`, or drop `{name}`."
            )
        array = as_array(name, labels)
        if array.shape != (n_samples,):
            raise ValueError(
                f"`{name}` must have the shape (n_samples,) = ({n_samples},), got {array.shape}."
            )
        values = array.tolist()
        if any(map(_is_missing, values)):
            raise ValueError(
                f"`{name}` has missing values. Give the rows without a group one of their own,"
                " such as 'other'."
            )
        try:
            return cls.of(values)
        except TypeError as error:
            raise ValueError(f"`{name}` must hold labels, such as strings: {error}.") from error

    @classmethod
    def of(cls, values: Iterable[Any]) -> Self:
        """The groups of the rows whose labels are `values`, in the order in which they occur."""
        known: dict[Any, int] = {}
        codes = [known.setdefault(value, len(known)) for value in values]
        return cls(list(known), np.array(codes, dtype=np.intp))

    @classmethod
    def whole(cls, n_samples: int) -> Self:
        """All rows in one group."""
        return cls([None], np.zeros(n_samples, dtype=np.intp))

    def rows(self, index: Any) -> Self:
        """The same groups, for the rows `index`."""
        return self._replace(codes=self.codes[index])

    def extended(self, more: Self) -> Self:
        """The groups of these rows and of `more`."""
        labels = [group.labels[code] for group in (self, more) for code in group.codes]
        same = type(self).of([*self.labels, *more.labels, *labels])
        return same.rows(slice(len(same.codes) - len(labels), None))

    def masks(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of `rows` each group has, (n_groups, n_rows)."""
        return self.codes[rows] == np.arange(len(self.labels))[:, np.newaxis]

    def smallest(self, rows: NDArray[np.intp]) -> tuple[Any, int]:
        """The group with the fewest of `rows`, and their number."""
        counts = np.bincount(self.codes[rows], minlength=len(self.labels))
        return self.labels[counts.argmin()], int(counts.min())


def _is_missing(value):
    """Whether `value` is None, or one that differs from itself, as NaN does."""
    same = value == value
    return value is None or not isinstance(same, bool | np.bool_) or not same
