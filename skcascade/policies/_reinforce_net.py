"""Stop heads, and how skorch trains them on given answers."""

from __future__ import annotations

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from ..utils._interrupt import raise_interrupts
from ..utils._skorch import TensorRows, loader_params, n_batches, torch_seed
from ._head import Head
from ._reinforce_loss import PolicyLoss
from ._states import states

__all__ = ["Anneal", "Heads", "criterion_params", "fit_heads"]

#: Steps, learning rate, its decay of weights and rows per step where the answers are given.
STEPS, LR, WEIGHT_DECAY, ROWS = 150, 0.1, 0.3, 4096


class Heads(nn.ModuleList):
    """One stop head per stage but the last, from :func:`states` to a logit.

    They compute in float64, so that rounding to float32 hides how rows were batched. They
    start with an equal share of all samples exiting at every stage. Their features are
    standardized: else their biases run away to "all stop" or "none" before the weights have
    moved, and nothing is learned from there.

    Parameters
    ----------
    seen : torch.Tensor of shape (n, n_stages, n_features)
        Features that give mean and scale.
    hidden : tuple of int
        Units of hidden layers; () is a linear head.
    """

    def __init__(self, seen, hidden=()):
        n_stages, width = seen.shape[1:]
        super().__init__(_mlp(width, hidden) for _ in range(n_stages - 1))
        var, mean = torch.var_mean(seen.double(), dim=0, correction=0)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", torch.where(var > 1e-12, var.rsqrt(), 0.0))
        for stage, head in enumerate(self):
            nn.init.zeros_(head[-1].weight)
            # With pi_k = 1 / (K - k), 1 / K of all samples exit at every stage.
            nn.init.constant_(head[-1].bias, -np.log(n_stages - stage - 1))
        self.double()

    def forward(self, seen):
        """Stop logits (n, n_stages - 1) from states (n, n_stages, n_features)."""
        seen = (seen.double() - self.mean) * self.scale
        none = seen.new_empty(len(seen), 0)
        return torch.cat([none, *(head(seen[:, k]) for k, head in enumerate(self))], dim=1)

    def rule(self, stage, threshold=np.inf):
        """The head of one stage as plain numbers, with a threshold."""
        linear = [layer for layer in self[stage] if isinstance(layer, nn.Linear)]
        layers = tuple((f.weight.detach().numpy(), f.bias.detach().numpy()) for f in linear)
        return Head(layers, self.mean[stage].numpy(), self.scale[stage].numpy(), threshold)

    def scores(self, proba):
        """Stop logits (n, n_stages) of all stages; 0 at the last, which has no head."""
        scores = [self.rule(k).score(proba[:, k]) for k in range(len(self))]
        return np.stack([*scores, np.zeros(len(proba), dtype=np.float32)], axis=1)


def _mlp(width, hidden):
    layers = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 1))


class _OnlyHeads(nn.Module):
    """Heads alone, trained for many alphas at once.

    For every sample and step alpha is multiplied by a number drawn log-uniformly from
    [1 / `spread`, `spread`]. The logits of each head are shifted in proportion to its
    logarithm: a larger alpha moves the whole scale, and all alphas teach the same order.
    """

    def __init__(self, heads, spread):
        super().__init__()
        self.heads = heads
        self.log_spread = np.log(spread)
        self.shift = nn.Parameter(torch.ones(len(heads), dtype=torch.float64))

    def forward(self, seen):
        """Stop logits (n, n_stages - 1) and the factor of alpha (n,)."""
        log_factor = self.log_spread * (2 * torch.rand(len(seen), dtype=torch.float64) - 1)
        return self.heads(seen) + log_factor[:, None] * self.shift, log_factor.exp()


def fit_heads(proba, losses, weight, cost, alpha, settings, seed, *, spread=1.0):
    """Train heads with the answers of all stages given.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_stages, n_classes)
    losses : ndarray of shape (n_samples, n_stages)
    weight : ndarray of shape (n_samples,)
    cost : ndarray of shape (n_stages,)
        Relative cost of the route to each stage.
    alpha : float
        Cost weight.
    settings : Reinforce
    seed : int
    spread : float, default=1.0
        The heads are trained for alphas from `alpha` / `spread` to `alpha` * `spread`.

    Returns
    -------
    heads : Heads
    """
    n, n_stages, _ = proba.shape
    seen, losses = states(torch.from_numpy(proba)), torch.from_numpy(losses).double()
    rows = TensorRows(seen, {"losses": losses, "weight": torch.from_numpy(weight)})
    size = min(n, ROWS)
    epochs = max(1, STEPS // n_batches(size, n))
    steps = epochs * n_batches(size, n)
    with torch_seed(seed, torch.device("cpu")):
        heads = Heads(seen, settings.hidden)
        if n_stages == 1:
            return heads
        net = NeuralNet(
            _OnlyHeads(heads, spread),
            PolicyLoss,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=WEIGHT_DECAY,
            lr=LR,
            max_epochs=epochs,
            train_split=None,
            callbacks=Anneal.callbacks(steps),
            callbacks__print_log=None,
            verbose=0,
            **criterion_params(settings, cost, alpha),
            **loader_params(size, n),
        )
        with raise_interrupts():
            net.fit(rows, None)
    return heads.eval()


def criterion_params(settings, cost, alpha):
    """Keyword arguments that hand `settings` to :class:`PolicyLoss`."""
    return {
        "criterion__cost": np.asarray(cost, dtype=np.float64),
        "criterion__alpha": alpha,
        "criterion__gradient": settings.gradient,
        "criterion__baseline": settings.baseline,
        "criterion__n_draws": settings.n_draws,
        "criterion__entropy": settings.entropy,
    }


class Anneal(Callback):
    """Lets the entropy bonus fade out over a number of steps."""

    def __init__(self, n_steps):
        self.n_steps = n_steps

    @classmethod
    def callbacks(cls, n_steps):
        """All that changes with the steps: learning rates and entropy bonus."""
        rates = LRScheduler(CosineAnnealingLR, step_every="batch", T_max=n_steps)
        return [("schedule", rates), ("anneal", cls(n_steps))]

    def on_batch_end(self, net, training=False, **kwargs):
        """Subtract one step's share of the bonus."""
        if training:
            bonus, first = net.criterion_.entropy, net.criterion_.first_entropy
            bonus.sub_(first / self.n_steps).clamp_(min=0)
