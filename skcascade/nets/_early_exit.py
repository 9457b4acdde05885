"""A network with several exits."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["EarlyExitNet"]


class EarlyExitNet(nn.Module):
    """A trunk split into blocks, with an exit after each.

    ``hidden = blocks[k](hidden)`` leads from one exit to the next, beginning with the
    input, and ``exits[k](hidden)`` gives the logits there. The hidden state is a tensor
    whose first dimension is the samples, or a tuple, list or dict of such. It must not be
    changed in place. A network of another form overrides :meth:`advance` and
    :meth:`answer`, which everything else calls.

    Parameters
    ----------
    blocks : sequence of torch.nn.Module
        Parts of the trunk, in order.
    exits : sequence of torch.nn.Module
        As many heads. Each gives logits of shape (n_samples, n_classes), and shares no
        weights with the rest, so that it can be trained on its own.

    Attributes
    ----------
    blocks, exits : torch.nn.ModuleList

    Raises
    ------
    ValueError
        If there are not as many exits as blocks, or none at all.

    See Also
    --------
    skcascade.members.EarlyExitNetClassifier : Trains it, and runs it from exit to exit.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from skcascade.nets import EarlyExitNet
    >>> blocks = [nn.Sequential(nn.Linear(20, 8), nn.ReLU()), nn.Sequential(nn.Linear(8, 8))]
    >>> net = EarlyExitNet(blocks, [nn.Linear(8, 3), nn.Linear(8, 3)])
    >>> [tuple(logits.shape) for logits in net(torch.zeros(5, 20))]
    [(5, 3), (5, 3)]
    >>> sum(p.numel() for p in net.parameters())  # 20*8+8 + 8*8+8 + 2*(8*3+3)
    294
    """

    def __init__(self, blocks: Iterable[nn.Module], exits: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.exits = nn.ModuleList(exits)
        if len(self.blocks) != len(self.exits) or not len(self.exits):
            raise ValueError(
                "`blocks` and `exits` must be of one length, at least 1, got"
                f" {len(self.blocks)} and {len(self.exits)}; give one exit for each block."
            )

    def advance(self, exit: int, hidden: Any) -> Any:
        """Run the trunk to one exit from the one before.

        Parameters
        ----------
        exit : int
            The exit to run to.
        hidden : torch.Tensor, or tuple, list or dict of them
            What this method returned for exit - 1; the input of the net for exit 0.

        Returns
        -------
        hidden : torch.Tensor, or tuple, list or dict of them
        """
        return self.blocks[exit](hidden)

    def answer(self, exit: int, hidden: Any) -> torch.Tensor:
        """Compute the logits of one exit.

        Parameters
        ----------
        exit : int
        hidden : torch.Tensor, or tuple, list or dict of them
            What :meth:`advance` returned for `exit`.

        Returns
        -------
        logits : torch.Tensor of shape (n_samples, n_classes)
        """
        return self.exits[exit](hidden)

    def forward(self, x: Any) -> tuple[torch.Tensor, ...]:
        """Map a batch to the logits of all exits, a tuple in their order."""
        logits = []
        for exit in range(len(self.exits)):
            x = self.advance(exit, x)
            logits.append(self.answer(exit, x))
        return tuple(logits)
