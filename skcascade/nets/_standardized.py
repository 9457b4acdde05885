"""A network that standardizes its own input."""

from typing import Any, Self

import torch
from torch import nn

__all__ = ["Standardized"]


class Standardized(nn.Module):
    """Put ``(x - mean) / std`` in front of a module.

    Mean and standard deviation are buffers: they are saved with the weights, move
    with the device, and are never trained. Neither operation is a multiply-accumulate
    of a matrix product, so counted costs stay those of `module`.

    Parameters
    ----------
    module : torch.nn.Module
        Its input is standardized.
    mean : torch.Tensor of shape (d,)
        One value per entry of the second dimension of the input: per feature of
        (n, d), per channel of (n, d, h, w).
    std : torch.Tensor of shape (d,)
        Likewise. Zeros (a constant feature) count as ones.

    Examples
    --------
    >>> import torch
    >>> from skcascade.nets import Standardized
    >>> net = Standardized(torch.nn.Identity(), torch.tensor([1.0, 5.0]), torch.tensor([2.0, 0.0]))
    >>> net(torch.tensor([[3.0, 4.0]]))
    tensor([[ 1., -1.]])
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, module: nn.Module, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", torch.where(std > 0, std, 1.0).reciprocal())

    @classmethod
    def from_rows(cls, module: nn.Module, X: torch.Tensor) -> Self:
        """Wrap `module` with mean and standard deviation of the rows of `X`.

        Parameters
        ----------
        module : torch.nn.Module
            Its input is standardized.
        X : torch.Tensor of shape (n_samples, d, ...)
            Training rows.

        Returns
        -------
        standardized : Standardized
        """
        var, mean = torch.var_mean(X, dim=[0, *range(2, X.ndim)], correction=0)
        # Rounding gives a constant feature a tiny variance: dividing by it
        # would blow up noise, and any other value that comes later.
        constant = var.sqrt() <= 10 * torch.finfo(X.dtype).eps * mean.abs()
        return cls(module, mean, var.sqrt().masked_fill(constant, 0.0))

    def forward(self, x: torch.Tensor) -> Any:
        """Standardize `x`, of shape (n, d, ...), and run the module on it."""
        shape = (-1,) + (1,) * (x.ndim - 2)
        return self.module((x - self.mean.view(shape)) * self.scale.view(shape))
