"""A network with several exits."""

from torch import nn

__all__ = ["EarlyExitNet"]


class EarlyExitNet(nn.Module):
    """A trunk cut into blocks, with an exit after each.

    ``hidden = blocks[k](hidden)`` leads from one exit to the next, beginning with the
    input, and ``exits[k](hidden)`` answers there. What is hidden is a tensor whose first
    dimension are the samples, or a tuple, list or dict of such; it must not be changed
    in place. A network that does not fit into this overrides :meth:`advance` and
    :meth:`answer`, through which everything goes.

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

    def __init__(self, blocks, exits):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.exits = nn.ModuleList(exits)
        if len(self.blocks) != len(self.exits) or not len(self.exits):
            raise ValueError(
                f"blocks and exits must be of one length, at least 1, got {len(self.blocks)} and"
                f" {len(self.exits)}; give one exit for each block."
            )

    def advance(self, exit, hidden):
        """Run the trunk to one exit from the one before.

        Parameters
        ----------
        exit : int
            Where to.

        hidden : torch.Tensor, or tuple, list or dict of them
            What this method gave for exit - 1; the input of the net for exit 0.

        Returns
        -------
        hidden : torch.Tensor, or tuple, list or dict of them
        """
        return self.blocks[exit](hidden)

    def answer(self, exit, hidden):
        """Logits of one exit.

        Parameters
        ----------
        exit : int

        hidden : torch.Tensor, or tuple, list or dict of them
            What :meth:`advance` gave for `exit`.

        Returns
        -------
        logits : torch.Tensor of shape (n_samples, n_classes)
        """
        return self.exits[exit](hidden)

    def forward(self, x):
        """Map a batch to the logits of all exits, a tuple in their order."""
        logits = []
        for exit in range(len(self.exits)):
            x = self.advance(exit, x)
            logits.append(self.answer(exit, x))
        return tuple(logits)
