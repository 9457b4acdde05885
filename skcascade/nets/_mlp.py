"""A multilayer perceptron."""

from collections.abc import Sequence

from torch import nn

__all__ = ["MLP"]


class MLP(nn.Sequential):
    """Fully connected layers with ReLU between them, from features to logits.

    Parameters
    ----------
    n_features : int
        Number of values per sample. An input with more than two dimensions is
        flattened first, so for images this is channels * height * width.
    n_classes : int
        Number of logits.
    hidden : tuple of int, default=(64,)
        Width of each hidden layer; ``()`` is a linear model.

    Notes
    -----
    An input of shape (n_samples, ...) gives logits of shape (n_samples, n_classes).

    Examples
    --------
    >>> import torch
    >>> from skcascade.nets import MLP
    >>> net = MLP(n_features=20, n_classes=3, hidden=(64, 32))
    >>> net(torch.zeros(5, 20)).shape
    torch.Size([5, 3])
    >>> sum(p.numel() for p in net.parameters())  # 20*64+64 + 64*32+32 + 32*3+3
    3523
    """

    def __init__(self, n_features: int, n_classes: int, hidden: Sequence[int] = (64,)) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        for width in hidden:
            layers += [nn.Linear(n_features, width), nn.ReLU()]
            n_features = width
        super().__init__(*layers, nn.Linear(n_features, n_classes))
