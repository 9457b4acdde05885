"""Counting nets by running them: a module does not know its own cost.

torch is imported only once an estimator turned out to hold a net.
"""

import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["count_run", "is_torch"]


def is_torch(estimator: Any) -> bool:
    """Whether `estimator` is a fitted net: its `module_` is a :class:`torch.nn.Module`.

    Parameters
    ----------
    estimator : object

    Returns
    -------
    answer : bool

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> is_torch(LogisticRegression())
    False
    """
    # What made the net has imported torch.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(getattr(estimator, "module_", None), torch.nn.Module)


def count_run(run: Callable[[], Any], n_rows: int, what: str, zero_ok: bool = False) -> float:
    """Count the multiply-accumulates per row that torch does while `run` is called.

    Parameters
    ----------
    run : callable without arguments
    n_rows : int
        Rows that one call of `run` handles.
    what : str
        What is counted, for the error message.
    zero_ok : bool, default=False
        Whether 0 is a credible answer.

    Returns
    -------
    macs : float
        Half the floating point operations of :class:`torch.utils.flop_counter.FlopCounterMode`:
        convolutions, matrix products and attention count; biases, normalization,
        activations and pooling do not.

    Raises
    ------
    ValueError
        If nothing was counted and `zero_ok` is False.

    Examples
    --------
    >>> import torch
    >>> net, X = torch.nn.Linear(20, 3), torch.ones(8, 20)
    >>> count_run(lambda: net(X), 8, "net")
    60.0
    """
    from torch.utils.flop_counter import FlopCounterMode

    with _plain_kernels(), FlopCounterMode(display=False) as counter:
        run()
    macs = counter.get_total_flops() / 2 / n_rows
    if macs == 0 and not zero_ok:
        raise ValueError(
            f"{what} ran no operation that torch can count (convolutions, matrix products,"
            " attention), or ran them in another process. Quantized nets are such a case."
            " Give the costs instead, `cost=[...]`, one per stage, or use `LatencyCost()`."
        )
    return macs


@contextmanager
def _plain_kernels():
    """Turn fused kernels off: the counter does not look into them.

    At inference, torch swaps LSTMs, transformer layers and attention on CPU for single
    fused operations, which would count as 0, so that only the rest of the net is counted.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fused_layers = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        # Switching oneDNN warns about Intel GPUs on machines that have none.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fused_layers)
        torch.backends.mha.set_fastpath_enabled(False)
        yield
