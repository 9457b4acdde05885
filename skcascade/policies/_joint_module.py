"""Members and stop heads as one torch module."""

from __future__ import annotations

import torch
from torch import nn

from ._states import states

__all__ = ["LEAST", "Aligned", "JointModule"]

#: Log-probability of a class that a member does not know.
LEAST = -30.0


class Aligned(nn.Module):
    """Log-probabilities of a member in the columns of the cascade.

    Parameters
    ----------
    member : nn.Module
        From its inputs to log-probabilities (n, n_exits, n_labels).
    columns : array-like of int, shape (n_labels,)
    n_classes : int
        Classes the member lacks have almost no probability.
    """

    def __init__(self, member, columns, n_classes):
        super().__init__()
        self.member = member
        self.n_classes = n_classes
        self.register_buffer("columns", torch.as_tensor(columns))

    def forward(self, x):
        """Log-probabilities (n, n_exits, n_classes)."""
        log_proba = self.member(x)
        shape = *log_proba.shape[:2], self.n_classes
        return log_proba.new_full(shape, LEAST).index_copy(2, self.columns, log_proba)


class JointModule(nn.Module):
    """Members and heads together.

    Parameters
    ----------
    members : list of nn.Module
        Each maps its inputs to log-probabilities (n, n_exits, n_classes).
    stages : array-like of int, shape (n_stages,)
        The stages in the order of the columns: those of the constants, then those of the
        members one by one.
    heads : Heads
    through_states : bool, default=True
        Whether gradients flow from the heads into the members.
    """

    def __init__(self, members, stages, heads, through_states=True):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.heads = heads
        self.through_states = through_states
        self.register_buffer("order", torch.as_tensor(stages).argsort())

    def forward(self, inputs, constant):
        """Stop logits (n, n_stages - 1) and log-probabilities (n, n_stages, n_classes)."""
        answers = [member(rows) for member, rows in zip(self.members, inputs)]
        log_proba = torch.cat([constant, *answers], dim=1)[:, self.order]
        seen = log_proba if self.through_states else log_proba.detach()
        return self.heads(states(seen.exp())), log_proba
