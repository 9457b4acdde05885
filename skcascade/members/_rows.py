"""Rows of a net: loaded batch by batch, cached between exits."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.dataset import Dataset
from torch.utils.data import DataLoader, default_convert

from ..utils._skorch import loader_params

__all__ = ["ArrayRows", "CachedRows", "RowLoader"]


class ArrayRows(Dataset):
    """A skorch data set that fetches a batch of arrays or tensors at once.

    Parameters
    ----------
    X, y, length
        As for :class:`skorch.dataset.Dataset`. Other kinds are fetched row by row.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.members._rows import ArrayRows
    >>> ArrayRows(np.arange(4.0), np.arange(4)).__getitems__([0, 3])
    (tensor([0., 3.], dtype=torch.float64), tensor([0, 3]))
    """

    def __getitems__(self, rows: Any) -> Any:
        y = np.zeros(len(self)) if self.y is None else self.y
        if all(isinstance(data, (np.ndarray, torch.Tensor)) for data in (self.X, y)):
            return default_convert(self.X[rows]), default_convert(y[rows])
        return [self[row] for row in rows]


class RowLoader(DataLoader):
    """A data loader for :class:`ArrayRows`, also inside a split, and for row by row data sets.

    Parameters
    ----------
    dataset : Dataset
    batch_size, shuffle, **kwargs
        As for :class:`torch.utils.data.DataLoader`.
    drop_last : bool, default=None
        None drops a last batch of a single row where rows are shuffled, as they are in
        training, and there are other batches: batch norm could not learn from it.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool | None = None,
        **kwargs: Any,
    ) -> None:
        own = loader_params(batch_size, len(dataset))
        kwargs.setdefault("collate_fn", own["iterator_train__collate_fn"])
        if drop_last is None:
            drop_last = bool(shuffle) and own["iterator_train__drop_last"]
        super().__init__(dataset, batch_size, shuffle, drop_last=drop_last, **kwargs)


class CachedRows:
    """Hidden states of some rows, in the parts that they were computed in.

    `cached[index]` selects rows and copies nothing; :meth:`blocks` gathers them.

    Parameters
    ----------
    parts : list
        Hidden states of consecutive rows: tensors, or tuples, lists or dicts of them.
    rows : ndarray of int, default=None
        Which rows, counted through all parts. None is all.

    Examples
    --------
    >>> import torch
    >>> from skcascade.members._rows import CachedRows
    >>> cached = CachedRows([torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0]])])
    >>> [block.tolist() for block in cached[[0, 2]].blocks(8)]
    [[[1.0], [3.0]]]
    """

    def __init__(self, parts: list, rows: NDArray | None = None) -> None:
        self.parts = parts
        self.ends = np.cumsum([_num_rows(part) for part in parts])
        self.rows = np.arange(self.ends[-1]) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> "CachedRows":
        return CachedRows(self.parts, self.rows[index])

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return sum(tensor.nbytes for part in self.parts for tensor in _tensors(part))

    def blocks(self, size: int) -> Iterator[Any]:
        """Yield the hidden states of `size` rows at a time."""
        for start in range(0, len(self.rows), size):
            yield self._gather(self.rows[start : start + size])

    def _gather(self, rows):
        part = np.searchsorted(self.ends, rows, side="right")
        borders = np.flatnonzero(np.diff(part)) + 1
        starts = np.r_[0, borders]
        runs = [
            (self.parts[k], rows[start:stop] - (self.ends[k - 1] if k else 0))
            for k, start, stop in zip(part[starts], starts, np.r_[borders, len(rows)])
        ]
        whole, index = runs[0]
        if len(runs) == 1 and np.array_equal(index, np.arange(_num_rows(whole))):
            return whole
        indices = [torch.from_numpy(index) for _, index in runs]
        return _merge([source for source, _ in runs], indices, len(rows))


def _merge(sources, indices, n):
    """The rows `indices[i]` of each `sources[i]`, `n` in all, one after another."""
    first = sources[0]
    if isinstance(first, torch.Tensor):
        return _merge_tensors(sources, indices, n)
    if isinstance(first, dict):
        return {key: _merge([source[key] for source in sources], indices, n) for key in first}
    merged = [_merge(list(items), indices, n) for items in zip(*sources)]
    return type(first)(*merged) if hasattr(first, "_fields") else type(first)(merged)


def _merge_tensors(sources, indices, n):
    """`_merge` of tensors: one copy of each row, in the layout it has.

    torch's own indexing is ten times slower for images in channels-last layout, or gives
    them another layout.
    """
    first = sources[0]
    row = first.stride()[1:]
    if any(not _is_dense(source) or source.stride()[1:] != row for source in sources):
        return torch.cat([source[index] for source, index in zip(sources, indices)])
    width = first[:1].numel()
    flat, start = first.new_empty((n, width)), 0
    for source, index in zip(sources, indices):
        target = flat[start : start + len(index)]
        rows = source.as_strided((len(source), width), (width, 1))
        torch.index_select(rows, 0, index.to(rows.device), out=target)
        start += len(index)
    return flat.as_strided((n, *first.shape[1:]), (width, *row))


def _is_dense(tensor):
    """Whether each row is one piece of memory and the next follows it."""
    if tensor.is_contiguous():
        return tensor.numel() > 0
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def _tensors(part):
    """Yield the tensors in `part`."""
    if isinstance(part, torch.Tensor):
        yield part
    elif isinstance(part, (dict, list, tuple)):
        for item in part.values() if isinstance(part, dict) else part:
            yield from _tensors(item)
    else:
        raise TypeError(
            "`module`: the hidden state between exits must be a torch.Tensor, or a tuple, list"
            f" or dict of them, got {type(part).__name__}."
        )


def _num_rows(part):
    return len(next(_tensors(part)))
