"""A fitted skorch net as a part of a larger module."""

from typing import Any

import torch
from torch import nn

from ..utils._skorch import as_tensor

__all__ = ["LogProba", "as_tensors"]

#: Probabilities are at least this before their logarithm is taken.
SMALLEST_PROBA = 1e-12


class LogProba(nn.Module):
    """Log-probabilities of every exit of a net.

    Parameters
    ----------
    net : skorch.NeuralNetClassifier
        Fitted. Its module is shared, not copied: to train this is to train the net.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.module = net.module_
        self.device = net.device
        self.n_exits = getattr(net, "n_exits", 1)
        # skorch's map from outputs to probabilities: softmax after a cross-entropy on logits.
        self.nonlinearity = net._get_predict_nonlinearity()

    def forward(self, x: Any) -> torch.Tensor:
        """Map rows (n, ...) to log-probabilities (n, n_exits, n_labels), float32."""
        if isinstance(x, dict):
            output = self.module(**x)
        elif x.ndim == 4:
            output = self.module(x.contiguous(memory_format=torch.channels_last))
        else:
            output = self.module(x)
        # Of several outputs skorch takes the first as its prediction.
        exits = output[: self.n_exits] if isinstance(output, tuple) else (output,)
        proba = torch.stack([self.nonlinearity(exit.float()) for exit in exits], dim=1)
        return proba.clamp_min(SMALLEST_PROBA).log()

    def restore_device(self) -> None:
        """Move the module back to the device of the net, ready to predict; free its gradients."""
        self.module.to(self.device).eval().zero_grad()


def as_tensors(X: Any) -> Any:
    """Turn arrays, or a dict of arrays, into tensors, without a copy if torch allows that."""
    if isinstance(X, dict):
        return {key: as_tensors(value) for key, value in X.items()}
    return X if isinstance(X, torch.Tensor) else as_tensor(X)
