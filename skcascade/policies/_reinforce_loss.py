"""The objective of Guan et al. as a loss that torch can differentiate.

Notation: K stages with answers C_k(y|x), heads with stop probabilities pi_k (the last is 1), so
that

    Pi(k|x) = pi_k * prod_{t<k} (1 - pi_t)                                       (1)

is the probability to leave at stage k. With the relative cost F_k of the way there, the loss L and
the price alpha, what is minimised is the mean over samples of

    J = sum_k Pi(k|x) * (L_k + alpha * F_k).                                     (2)

All arrays of a batch are (n, K), and (m, n) where m exits are drawn for each sample.
"""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["BASELINES", "JointLoss", "PolicyLoss", "leave_log_proba", "zero_one"]


def leave_log_proba(stop):
    """Logarithm of (1), of shape (n, K), from the stop logits (n, K - 1)."""
    n = len(stop)
    going = F.logsigmoid(-stop).cumsum(dim=1)
    none = stop.new_zeros(n, 1)
    return torch.cat([none, going], dim=1) + torch.cat([F.logsigmoid(stop), none], dim=1)


def zero_one(log_proba, y):
    """0/1 loss (n, K) of the most likely classes of `log_proba` (n, K, C)."""
    return (log_proba.argmax(dim=2) != y[:, None]).to(log_proba.dtype)


def greedy(paid, log_leave, certain):
    """What the same sample pays if nothing is drawn (self-critical)."""
    stays = log_leave.new_tensor(0.5).log()
    # The first stage whose own stop probability is one half or more.
    left = torch.cat([log_leave.new_zeros(len(log_leave), 1), log_leave.exp()], dim=1)
    reach = 1 - left.cumsum(dim=1)[:, :-1]
    stops = log_leave >= stays + reach.clamp_min(1e-30).log()
    stops[:, -1] = True
    return certain.gather(1, stops.float().argmax(dim=1, keepdim=True)).T


def leave_one_out(paid, log_leave, certain):
    """Mean of what the other draws of the same sample pay."""
    return (paid.sum(dim=0) - paid) / (len(paid) - 1)


def mean(paid, log_leave, certain):
    """Mean of what the other samples of the batch pay."""
    others = paid.shape[1] - 1
    return (paid.sum(dim=1, keepdim=True) - paid) / max(others, 1)


def none(paid, log_leave, certain):
    """Nothing."""
    return torch.zeros_like(paid)


#: Baselines by name, functions of what the draws pay (m, n), (1) and what every stage costs for
#: certain (n, K). None depends on the draw it is subtracted from: the gradient stays unbiased.
BASELINES = {"greedy": greedy, "leave_one_out": leave_one_out, "mean": mean, "none": none}


class PolicyLoss(nn.Module):
    """(2) as a function of the stop logits, with the losses of the stages given.

    In evaluation mode this is (2) itself. In training mode its gradient is that of (2), or
    an unbiased estimate of it.

    Parameters
    ----------
    price : torch.Tensor of shape (n_stages,)
        Relative cost of the way to each stage.
    alpha : float
        Price of cost; kept as a buffer, since it may be learnt.
    gradient : {"reinforce", "exact"}
    baseline : str
        Of :data:`BASELINES`.
    n_draws : int
        Exits drawn for each sample.
    entropy : float
        Bonus for undecided heads.
    """

    def __init__(self, price, alpha, gradient, baseline, n_draws, entropy):
        super().__init__()
        self.register_buffer("price", torch.as_tensor(price))
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
            Stop logits (n, n_stages - 1), and what alpha is multiplied by (n,).
        target : dict
            `lost` (n, n_stages), the loss of each stage, and `weight` (n,).
        """
        stop, factor = answers
        log_leave = leave_log_proba(stop)
        paid = target["lost"] + self.alpha * factor[:, None] * self.price
        if self.training and self.sampled:
            exits = self.draw(log_leave)
            drawn = paid.gather(1, exits.T).T
            objective = self.surrogate(exits, drawn, paid, log_leave)
        else:
            objective = (log_leave.exp() * paid).sum(dim=1)
        weight = target["weight"]
        return ((objective - self.bonus(stop)) * weight).sum() / weight.sum()

    def draw(self, log_leave):
        """Exits (m, n) drawn from (1)."""
        return torch.multinomial(log_leave.detach().exp(), self.n_draws, replacement=True).T

    def surrogate(self, exits, drawn, certain, log_leave, log_answer=0.0):
        """What has the score-function estimate as its gradient (n,).

        `drawn` (m, n) is paid at the `exits`, `log_answer` (m, n) the log-probability of
        the answers that were drawn there.
        """
        chosen = log_leave.gather(1, exits.T).T
        return (self.advantage(drawn, log_leave, certain) * (chosen + log_answer)).mean(dim=0)

    def advantage(self, drawn, log_leave, certain):
        """What the draws pay above the baseline (m, n), a constant."""
        base = self.baseline(drawn, log_leave.detach(), certain)
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
        What the members are trained by, see :class:`~skcascade.policies.Reinforce`.
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
        lost = zero_one(log_proba, y)
        if not self.training:
            ones = lost.new_ones(len(lost))
            return super().forward((stop, ones), {"lost": lost, "weight": ones})
        true = y[:, None, None].expand(-1, log_proba.shape[1], 1)
        log_true = log_proba.gather(2, true)[..., 0]
        log_leave = leave_log_proba(stop)
        exits = self.draw(log_leave) if self.sampled else None
        policy, shares = self.objective(log_leave, log_proba, log_true, lost, y, exits)
        shares = (1 - self.supervised) * shares + self.supervised
        return (policy - (shares * log_true).sum(dim=1) - self.bonus(stop)).mean()

    def _cross_entropy(self, log_leave, log_proba, log_true, lost, y, exits):
        """0/1 loss for the heads; the members' cross-entropy counts where the sample leaves."""
        paid = lost + self.alpha * self.price
        leave = log_leave.exp()
        if exits is None:
            return (leave * paid).sum(dim=1), leave.detach()
        drawn = F.one_hot(exits, paid.shape[1]).to(paid.dtype).mean(dim=0)
        return self.surrogate(exits, paid.gather(1, exits.T).T, paid, log_leave), drawn

    def _zero_one(self, log_leave, log_proba, log_true, lost, y, exits):
        """To the letter: exit and answer are drawn, the 0/1 loss trains heads and members."""
        toll = self.alpha * self.price
        nowhere = torch.zeros_like(log_leave)
        if exits is None:
            return (log_leave.exp() * (1 - log_true.exp() + toll)).sum(dim=1), nowhere
        there = log_proba[torch.arange(len(y)), exits]  # (m, n, C)
        answers = torch.distributions.Categorical(logits=there.detach()).sample()
        drawn = (answers != y).to(toll.dtype) + toll[exits]
        log_answer = there.gather(2, answers[..., None])[..., 0]
        return self.surrogate(exits, drawn, lost + toll, log_leave, log_answer), nowhere
