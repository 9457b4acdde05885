"""What skorch needs to train classifiers fast: a net, a data set, a seed, a precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skorch import NeuralNetClassifier
from skorch.dataset import get_len
from torch.utils.data import Dataset, default_collate

__all__ = [
    "ClassifierNet",
    "TensorRows",
    "as_numpy",
    "as_tensor",
    "bfloat16_is_faster",
    "loader_params",
    "n_batches",
    "rows_per_step",
    "torch_seed",
]


class ClassifierNet(NeuralNetClassifier):
    """A skorch classifier that can run its module in bfloat16.

    Parameters
    ----------
    *args, **kwargs
        As for :class:`skorch.NeuralNetClassifier`.
    bfloat16 : bool, default=False
        Run the module under autocast. The weights stay float32. Loss and softmax get
        float32 logits.
    """

    def __init__(self, *args: Any, bfloat16: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bfloat16 = bfloat16

    def infer(self, x: torch.Tensor, **fit_params: Any) -> Any:
        """Run the module on a tensor `x` of shape (n, ...).

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes), float32
        """
        if x.ndim == 4:
            # Two to three times faster than the default layout on CPUs.
            x = x.contiguous(memory_format=torch.channels_last)
        x = x.to(self.device)
        if not self.bfloat16:
            return self.module_(x, **fit_params)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            return self.module_(x, **fit_params).float()


class TensorRows(Dataset):
    """Rows of tensors, fetched a batch at a time instead of row by row.

    Parameters
    ----------
    X, y : torch.Tensor of shape (n_samples, ...), or dicts and tuples of them

    Examples
    --------
    >>> import torch
    >>> from skcascade.utils._skorch import TensorRows
    >>> TensorRows(torch.arange(4.0), torch.arange(4)).__getitems__([0, 3])
    (tensor([0., 3.]), tensor([0, 3]))
    """

    def __init__(self, X: Any, y: Any) -> None:
        self.X = X
        self.y = y

    @classmethod
    def take(cls, X: NDArray, y: NDArray, rows: NDArray) -> Self:
        """Copy the given rows of two arrays."""
        return cls(torch.from_numpy(X[rows]), torch.from_numpy(y[rows]))

    def __len__(self) -> int:
        return get_len(self.y)

    def __getitem__(self, row: Any) -> tuple[Any, Any]:
        return _rows_of(self.X, row), _rows_of(self.y, row)

    def __getitems__(self, rows: ArrayLike) -> tuple[Any, Any]:
        return self[torch.as_tensor(rows)]


def _rows_of(data, rows):
    if isinstance(data, dict):
        return {key: _rows_of(value, rows) for key, value in data.items()}
    if isinstance(data, tuple):
        return tuple(_rows_of(value, rows) for value in data)
    return data[rows]


def _collate(batch):
    # TensorRows gives a whole batch as a tuple, other data sets give a list of rows.
    return batch if isinstance(batch, tuple) else default_collate(batch)


def _drops_last(batch_size, n_rows):
    # Batch norm has no variance to learn from in a last batch of a single row.
    return n_rows > batch_size and n_rows % batch_size == 1


def rows_per_step(batch_size: int | str, n_rows: int) -> int:
    """Return `batch_size`; where it is "auto", a fortieth of the rows, but 16 to 128."""
    return min(128, max(16, n_rows // 40)) if batch_size == "auto" else int(batch_size)


def loader_params(batch_size: int, n_rows: int) -> dict[str, Any]:
    """Collect the keyword arguments with which a skorch net loads :class:`TensorRows`.

    Parameters
    ----------
    batch_size : int
        Rows per training step; validation takes larger ones.
    n_rows : int
        Number of training rows.

    Returns
    -------
    params : dict
    """
    return {
        "iterator_train__batch_size": batch_size,
        "iterator_train__shuffle": True,
        "iterator_train__drop_last": _drops_last(batch_size, n_rows),
        "iterator_train__collate_fn": _collate,
        "iterator_valid__batch_size": 512,
        "iterator_valid__collate_fn": _collate,
    }


def n_batches(batch_size: int, n_rows: int) -> int:
    """Count the training steps of one epoch, with :func:`loader_params`.

    Examples
    --------
    >>> from skcascade.utils._skorch import n_batches
    >>> n_batches(16, 40), n_batches(16, 33)
    (3, 2)
    """
    return -(-n_rows // batch_size) - _drops_last(batch_size, n_rows)


def bfloat16_is_faster(device: torch.device, training: bool) -> bool:
    """Whether convolutions on `device` are faster in bfloat16 than in float32.

    Measured with ResNets on CPUs. With AVX512_BF16, inference is 1.6 to 4 times faster
    from 16 images up, and no slower for one. Training is 1.5 to 2 times faster on an idle
    machine, but 20 times slower when another process occupies one of the cores, because
    threads wait for each other by spinning. Training therefore requires AMX.

    Parameters
    ----------
    device : torch.device
    training : bool
        Training, or inference.

    Returns
    -------
    faster : bool
        For CUDA, whether the compute capability is 8 or more.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    return _cpu_supports("amx_tile") or (_cpu_supports("avx512_bf16") and not training)


def _cpu_supports(feature):
    # Private names of torch: one that lacks them counts as a CPU without the feature.
    return getattr(torch.cpu, f"_is_{feature}_supported", bool)()


def as_numpy(X: Any) -> Any:
    """Turn a tensor, on any device, into an array; leave the rest as it is."""
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        X = (X.float() if X.is_floating_point() else X).numpy()
    return X


def as_tensor(X: NDArray) -> torch.Tensor:
    """Turn an array into a tensor, without a copy if torch allows that."""
    # It does not for memory maps, which are read-only, nor for reversed views.
    return torch.from_numpy(np.require(X, requirements=["C", "W"]))


@contextmanager
def torch_seed(seed: int | None, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch inside the block and restore its generators afterwards.

    Parameters
    ----------
    seed : int or None
        None does nothing.
    device : torch.device, default=None
        Where the block computes. None: it may be any device.
    """
    if seed is None:
        yield
        return
    # torch.manual_seed seeds all CUDA devices, so all of them are restored. But CUDA
    # should not be started just to read a state that the block does not use.
    in_use = device is None or device.type == "cuda" or torch.cuda.is_initialized()
    with torch.random.fork_rng(range(torch.cuda.device_count()) if in_use else []):
        torch.manual_seed(seed)
        yield
