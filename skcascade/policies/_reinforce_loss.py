"""The objective of Guan et al. as a loss that torch can differentiate.

Notation: K stages with answers C_k(y|x), heads with stop probabilities pi_k (the last is 1), so
that

    Pi(k|x) = pi_k * prod_{t<k} (1 - pi_t)                                       (1)

is the probability to exit at stage k. With the relative cost F_k of the route there, the loss L
and the cost weight alpha, the objective is the mean over samples of

    J = sum_k Pi(k|x) * (L_k + alpha * F_k).                                     (2)

All arrays of a batch are (n, K), and (m, n) where m exits are drawn for each sample.
"""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["BASELINES", "JointLoss", "PolicyLoss", "exit_log_proba", "zero_one"]


def exit_log_proba(stop):
    """Logarithm of (1), of shape (n, K), from the stop logits (n, K - 1)."""
    n = len(stop)
    deferred = F.logsigmoid(-stop).cumsum(dim=1)
    none = stop.new_zeros(n, 1)
    return torch.cat([none, deferred], dim=1) + torch.cat([F.logsigmoid(stop), none], dim=1)


def zero_one(log_proba, y):
    """0/1 loss (n, K) of the most likely classes of `log_proba` (n, K, C)."""
    return (log_proba.argmax(dim=2) != y[:, None]).to(log_proba.dtype)


def greedy(drawn, log_exit, certain):
    """The objective of the same sample if nothing is drawn (self-critical)."""
    half = log_exit.new_tensor(0.5).log()
    # The first stage whose own stop probability is one half or more.
    exited = torch.cat([log_exit.new_zeros(len(log_exit), 1), log_exit.exp()], dim=1)
    reach = 1 - exited.cumsum(dim=1)[:, :-1]
    stops = log_exit >= half + reach.clamp_min(1e-30).log()
    stops[:, -1] = True
    return certain.gather(1, stops.float().argmax(dim=1, keepdim=True)).T


def leave_one_out(drawn, log_exit, certain):
    """Mean objective of the other draws of the same sample."""
    return (drawn.sum(dim=0) - drawn) / (len(drawn) - 1)


def mean(drawn, log_exit, certain):
    """Mean objective of the other samples of the batch."""
    others = drawn.shape[1] - 1
    return (drawn.sum(dim=1, keepdim=True) - drawn) / max(others, 1)


def none(drawn, log_exit, certain):
    """Zero."""
    return torch.zeros_like(drawn)


#: Baselines by name: functions of the objectives of the draws (m, n), of (1), and of the objective
#: at every stage (n, K). None depends on the draw it is subtracted from, so that the gradient
#: stays unbiased.
BASELINES = {"greedy": greedy, "leave_one_out": leave_one_out, "mean": mean, "none": none}


class PolicyLoss(nn.Module):
    """(2) as a function of the stop logits, with the losses of the stages given.

    In evaluation mode this is (2) itself. In training mode its gradient is that of (2), or
    an unbiased estimate of it.

    Parameters
    ----------
    cost : torch.Tensor of shape (n_stages,)
        Relative cost of the route to each stage.
    alpha : float
        Cost weight; a buffer, since it may be learned.
    gradient : {"reinforce", "exact"}
    baseline : str
        Of :data:`BASELINES`.
    n_draws : int
        Exits drawn for each sample.
    entropy : float
        Bonus for undecided heads.
    """

    def __init__(self, cost, alpha, gradient, baseline, n_draws, entropy):
        super().__init__()
        self.register_buffer("cost", torch.as_tensor(cost))
        self.register_buffer("alpha", torch.tensor(float(alpha), dtype=torch.float64))
        self.register_buffer("entropy", torch.tensor(float(entropy), dtype=torch.float64))
        self.first_entropy = float(entropy)
        self.sampled = gradient == "reinforce"
        self.baseline = BASELINES[baseline]
        self.n_draws = n_draws

    def forward(self, answers, target):
        """Mean objective.

        Parameters
        ----------
        answers : tuple of torch.Tensor
            Stop logits (n, n_stages - 1), and the factor of alpha (n,).
        target : dict
            `losses` (n, n_stages) and `weight` (n,).
        """
        stop, factor = answers
        log_exit = exit_log_proba(stop)
        certain = target["losses"] + self.alpha * factor[:, None] * self.cost
        if self.training and self.sampled:
            exits = self.draw(log_exit)
            drawn = certain.gather(1, exits.T).T
            objective = self.surrogate(exits, drawn, certain, log_exit)
        else:
            objective = (log_exit.exp() * certain).sum(dim=1)
        weight = target["weight"]
        return ((objective - self.bonus(stop)) * weight).sum() / weight.sum()

    def draw(self, log_exit):
        """Exits (m, n) drawn from (1)."""
        return torch.multinomial(log_exit.detach().exp(), self.n_draws, replacement=True).T

    def surrogate(self, exits, drawn, certain, log_exit, log_answer=0.0):
        """A loss (n,) whose gradient is the score-function estimate.

        `drawn` (m, n) is the objective at the `exits`, `log_answer` (m, n) the log-probability
        of the answers that were drawn there.
        """
        chosen = log_exit.gather(1, exits.T).T
        return (self.advantage(drawn, log_exit, certain) * (chosen + log_answer)).mean(dim=0)

    def advantage(self, drawn, log_exit, certain):
        """Objective of the draws minus the baseline (m, n), a constant."""
        base = self.baseline(drawn, log_exit.detach(), certain)
        return (drawn - base).detach()

    def bonus(self, stop):
        """Entropy of the heads' decisions (n,), weighted; none in evaluation mode."""
        if not self.training:
            return 0.0
        entropy = F.softplus(stop) - torch.sigmoid(stop) * stop
        return self.entropy * entropy.sum(dim=1)


class JointLoss(PolicyLoss):
    """(2) as a function of heads and members.

    Parameters
    ----------
    member_loss : {"cross_entropy", "zero_one"}
        Loss of the members, see :class:`~skcascade.policies.Reinforce`.
    supervised : float
        Share of plain cross-entropy at every stage.
    **params : dict
        As for :class:`PolicyLoss`.
    """

    def __init__(self, member_loss, supervised, **params):
        super().__init__(**params)
        losses = {"cross_entropy": self._cross_entropy, "zero_one": self._zero_one}
        self.objective = losses[member_loss]
        self.supervised = supervised

    def forward(self, answers, y):
        """Mean objective.

        Parameters
        ----------
        answers : tuple of torch.Tensor
            Stop logits (n, n_stages - 1) and log-probabilities (n, n_stages, n_classes).
        y : torch.Tensor of int, shape (n,)
            True codes.
        """
        stop, log_proba = answers
        losses = zero_one(log_proba, y)
        if not self.training:
            ones = losses.new_ones(len(losses))
            return super().forward((stop, ones), {"losses": losses, "weight": ones})
        true = y[:, None, None].expand(-1, log_proba.shape[1], 1)
        log_true = log_proba.gather(2, true)[..., 0]
        log_exit = exit_log_proba(stop)
        exits = self.draw(log_exit) if self.sampled else None
        policy, shares = self.objective(log_exit, log_proba, log_true, losses, y, exits)
        shares = (1 - self.supervised) * shares + self.supervised
        return (policy - (shares * log_true).sum(dim=1) - self.bonus(stop)).mean()

    def _cross_entropy(self, log_exit, log_proba, log_true, losses, y, exits):
        """0/1 loss for the heads; the members' cross-entropy counts where the sample exits."""
        certain = losses + self.alpha * self.cost
        exit_proba = log_exit.exp()
        if exits is None:
            return (exit_proba * certain).sum(dim=1), exit_proba.detach()
        shares = F.one_hot(exits, certain.shape[1]).to(certain.dtype).mean(dim=0)
        return self.surrogate(exits, certain.gather(1, exits.T).T, certain, log_exit), shares

    def _zero_one(self, log_exit, log_proba, log_true, losses, y, exits):
        """As in the paper: exit and answer are drawn, their 0/1 loss trains heads and members."""
        cost = self.alpha * self.cost
        no_member_loss = torch.zeros_like(log_exit)
        if exits is None:
            return (log_exit.exp() * (1 - log_true.exp() + cost)).sum(dim=1), no_member_loss
        there = log_proba[torch.arange(len(y)), exits]  # (m, n, C)
        answers = torch.distributions.Categorical(logits=there.detach()).sample()
        drawn = (answers != y).to(cost.dtype) + cost[exits]
        log_answer = there.gather(2, answers[..., None])[..., 0]
        return self.surrogate(exits, drawn, losses + cost, log_exit, log_answer), no_member_loss
