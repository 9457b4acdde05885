"""The three-exit residual network of the literature."""

from torch import nn

from ._early_exit import EarlyExitNet
from ._resnet import CifarResNet

__all__ = ["CascadedResNet"]


class CascadedResNet(EarlyExitNet):
    """:class:`CifarResNet` with an exit after each of its three modules.

    The last exit is that of the ResNet. The first two average the image down to 4x4 and
    2x2 pixels, and have one hidden layer with a ReLU (without it, two linear layers would
    be one). Any image size works. With 3x32x32 inputs, 10 classes and depth 110, the three
    edges from exit to exit cost 85.4, 83.8 and 83.8 M multiply-accumulates. The heads of
    the first two exits are 0.01 % of that.

    Parameters
    ----------
    in_channels : int
        Channels of the images, of shape (n_samples, in_channels, height, width).
    n_classes : int
        Number of logits of each exit.
    depth : int, default=110
        Number of layers with weights from the input to the last exit: 6n + 2, n >= 1.
    width : int, default=16
        Channels of the first module; the others have twice and four times as many.
    hidden : int, default=64
        Width of the hidden layer of the first two exits.

    Raises
    ------
    ValueError
        If `depth` is not 6n + 2.

    Notes
    -----
    The paper reports 86.0, 84.1 and 83.9 M. It evidently counts one operation for each
    output of a batch norm, which :class:`~skcascade.costs.MacsCost` counts as 0. With
    these operations the numbers are 86.0, 84.1 and 83.9 M here, too.

    References
    ----------
    Berestizshevsky, Even: Dynamically Sacrificing Accuracy for Reduced Computation,
    ICANN 2019, arXiv 1805.10982.

    Examples
    --------
    >>> import torch
    >>> from skcascade.nets import CascadedResNet
    >>> net = CascadedResNet(in_channels=1, n_classes=10, depth=8)
    >>> [tuple(logits.shape) for logits in net(torch.zeros(2, 1, 28, 28))]
    [(2, 10), (2, 10), (2, 10)]
    >>> sum(p.numel() for p in net.exits[0].parameters())  # 16*4*4*64+64 + 64*10+10
    17098
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        depth: int = 110,
        width: int = 16,
        hidden: int = 64,
    ) -> None:
        resnet = CifarResNet(in_channels, n_classes, depth, width)
        first, second, third = resnet.stages
        super().__init__(
            [nn.Sequential(resnet.stem, first), second, third],
            [
                _head(width, 4, hidden, n_classes),
                _head(2 * width, 2, hidden, n_classes),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), resnet.head),
            ],
        )


def _head(channels, size, hidden, n_classes):
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(size),
        nn.Flatten(),
        nn.Linear(channels * size**2, hidden),
        nn.ReLU(),
        nn.Linear(hidden, n_classes),
    )
