"""Residual networks for small images."""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["BasicBlock", "CifarResNet", "basic_module", "conv_stem"]


def _conv3x3(in_channels, out_channels, stride=1):
    # No bias: the batch norm that follows has its own.
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    out_channels : int
        Channels of the output, at least `in_channels`.
    stride : int, default=1
        Stride of the first convolution. The shortcut takes every `stride`-th
        pixel and fills the new channels with zeros (option A of the paper).

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016.

    Examples
    --------
    >>> import torch
    >>> from skcascade.nets import BasicBlock
    >>> BasicBlock(16, 32, stride=2)(torch.zeros(1, 16, 7, 7)).shape
    torch.Size([1, 32, 4, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, out_channels, stride)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.new_channels = out_channels - in_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, in_channels, h, w) to (n, out_channels, ceil(h/stride), ceil(w/stride))."""
        residual = F.relu(self.norm1(self.conv1(x)))
        residual = self.norm2(self.conv2(residual))
        if self.stride != 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.new_channels:
            # F.pad counts dimensions from the last: width, height, then channels.
            x = F.pad(x, (0, 0, 0, 0, 0, self.new_channels))
        return F.relu(residual + x)


def conv_stem(in_channels: int, width: int) -> nn.Sequential:
    """Build what comes before the first block: convolution, batch norm, ReLU.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    width : int
        Channels of the output, of shape (n, width, h, w).

    Returns
    -------
    stem : torch.nn.Sequential
    """
    return nn.Sequential(_conv3x3(in_channels, width), nn.BatchNorm2d(width), nn.ReLU())


def basic_module(
    in_channels: int, out_channels: int, n_blocks: int, stride: int = 1
) -> nn.Sequential:
    """Build a module: `n_blocks` basic blocks. Only the first has a stride.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    n_blocks : int
        Number of blocks, at least one.
    stride : int, default=1
        Stride of the first block.

    Returns
    -------
    module : torch.nn.Sequential
    """
    first = BasicBlock(in_channels, out_channels, stride)
    return nn.Sequential(
        first, *(BasicBlock(out_channels, out_channels) for _ in range(n_blocks - 1))
    )


class CifarResNet(nn.Module):
    """The residual network for 32x32 images, of depth 6n + 2.

    One convolution, three modules of n basic blocks with `width`, 2 * `width` and
    4 * `width` channels at full, half and quarter resolution, global average
    pooling and one linear layer. With 3x32x32 inputs and width 16 it costs 12.2 M
    (depth 8), 40.6 M (20), 68.9 M (32), 125.5 M (56) or 252.9 M (110)
    multiply-accumulates. Any image size from 1x1 up works, 28x28x1 for instance.

    Parameters
    ----------
    in_channels : int
        Channels of the images, of shape (n_samples, in_channels, height, width).
    n_classes : int
        Number of logits.
    depth : int, default=8
        Number of layers with weights on the longest path: 6n + 2 with n >= 1.
    width : int, default=16
        Channels of the first module.

    Raises
    ------
    ValueError
        If `depth` is not 6n + 2.

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016,
    section 4.2 (and their initialization, ICCV 2015).

    Examples
    --------
    >>> import torch
    >>> from skcascade.nets import CifarResNet
    >>> net = CifarResNet(in_channels=3, n_classes=10, depth=20)
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> sum(p.numel() for p in net.parameters())
    269722
    """

    def __init__(self, in_channels: int, n_classes: int, depth: int = 8, width: int = 16) -> None:
        super().__init__()
        n_blocks, rest = divmod(depth - 2, 6)
        if rest or n_blocks < 1:
            raise ValueError(
                f"`depth` must be 6n + 2 with n >= 1 (8, 14, 20, 26, 32, ...), got {depth!r}."
            )
        self.stem = conv_stem(in_channels, width)
        self.stages = nn.Sequential(
            basic_module(width, width, n_blocks),
            basic_module(width, 2 * width, n_blocks, stride=2),
            basic_module(2 * width, 4 * width, n_blocks, stride=2),
        )
        self.head = nn.Linear(4 * width, n_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, in_channels, h, w) to logits (n, n_classes)."""
        return self.head(self.stages(self.stem(x)).mean(dim=(2, 3)))
