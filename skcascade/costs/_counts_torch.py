"""Counting nets: by running them, since their modules say nothing of their cost.

torch is imported only once an estimator turned out to hold a net.
"""

import sys
import warnings
from contextlib import ExitStack, contextmanager

__all__ = ["count_run", "is_torch"]


def is_torch(estimator):
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
    # A net cannot exist before torch was imported by whoever made it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(getattr(estimator, "module_", None), torch.nn.Module)


def count_run(run, n_rows, what, zero_ok=False):
    """Multiply-accumulates per row of whatever torch does while `run` is called.

    Parameters
    ----------
    run : callable without arguments
    n_rows : int
        Rows that one call of `run` handles.
    what : str
        Whose count it is, for the error.
    zero_ok : bool, default=False
        Whether 0 is a credible answer.

    Returns
    -------
    macs : float
        Half the floating point operations of :class:`torch.utils.flop_counter.FlopCounterMode`:
        convolutions, matrix products and attention count; biases, normalisation,
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
            " attention), or ran them in another process. Quantised nets are such a case."
            " Give the prices instead, `cost=[...]`, one a stage, or use `LatencyCost()`."
        )
    return macs


@contextmanager
def _plain_kernels():
    """Turn fused kernels off: the counter does not look into them.

    At inference, torch swaps LSTMs, transformer layers and attention on CPU for single
    fused operations, which would count as nothing, or as the rest of the net alone.
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
