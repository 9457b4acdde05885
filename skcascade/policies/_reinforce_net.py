"""Stop heads, and how skorch trains them on given answers."""

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from ..utils._skorch import TensorRows, loader_params, n_batches, seeded
from ._reinforce_loss import PolicyLoss

__all__ = ["Anneal", "Heads", "criterion_params", "fit_heads", "states"]

#: Log-odds of the most likely class are cut off here.
MAX_ODDS = 15.0
#: Steps, learning rate, its decay of weights and rows per step where the answers are given.
STEPS, LR, WEIGHT_DECAY, ROWS = 150, 0.1, 0.3, 4096


def states(proba):
    """What the heads read of label probabilities (..., n_classes): (..., n_features).

    The probabilities as they are, the three largest in falling order, their entropy, the
    log-odds of the largest, and which class it is: a linear head can weigh classes, trust
    some more than others, and follow any of the usual confidences.
    """
    top = proba.topk(min(3, proba.shape[-1]), dim=-1).values
    entropy = torch.special.entr(proba).sum(dim=-1, keepdim=True)
    odds = torch.logit(top[..., :1], eps=1e-7).clamp(-MAX_ODDS, MAX_ODDS) / MAX_ODDS
    named = torch.nn.functional.one_hot(proba.argmax(dim=-1), proba.shape[-1]).to(proba.dtype)
    return torch.cat([proba, top, entropy, odds, named], dim=-1)


class Heads(nn.ModuleList):
    """One stop head per stage but the last, from :func:`states` to a logit.

    They compute in float64, so that rounding to float32 hides how rows were batched, and
    start with every stage letting go an equal share of all samples. What they read is
    standardised: else their biases run away to "all stop" or "none" while the weights have
    hardly moved, and nothing is learnt once they are there.

    Parameters
    ----------
    seen : torch.Tensor of shape (n, n_stages, n_features)
        States to be standardised by.
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
            # pi_k = 1 / (K - k) lets 1 / K of all samples leave at every stage.
            nn.init.constant_(head[-1].bias, -np.log(n_stages - stage - 1))
        self.double()

    def forward(self, seen):
        """Stop logits (n, n_stages - 1) from states (n, n_stages, n_features)."""
        seen = (seen.double() - self.mean) * self.scale
        none = seen.new_empty(len(seen), 0)
        return torch.cat([none, *(head(seen[:, k]) for k, head in enumerate(self))], dim=1)

    def score(self, stage, proba):
        """Stop logits of one stage (n,), float32, from its label probabilities."""
        with torch.inference_mode():
            seen = states(torch.from_numpy(np.ascontiguousarray(proba))).double()
            seen = (seen - self.mean[stage]) * self.scale[stage]
            return self[stage](seen)[:, 0].numpy().astype(np.float32)

    def scores(self, proba):
        """Stop logits (n, n_stages) of all stages; 0 at the last, which has no head."""
        scores = [self.score(k, proba[:, k]) for k in range(len(self))]
        return np.stack([*scores, np.zeros(len(proba), dtype=np.float32)], axis=1)


def _mlp(width, hidden):
    layers = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 1))


class _OnlyHeads(nn.Module):
    """Heads alone, trained for many prices at once.

    For every sample and step alpha is multiplied by a number drawn log-uniformly from
    [1 / `spread`, `spread`], and the logits of each head are shifted in proportion to its
    logarithm: a dearer stage ahead moves the whole scale, and all prices teach the same order.
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


def fit_heads(proba, lost, weight, price, alpha, settings, seed, *, spread=1.0):
    """Train heads with the answers of all stages given.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_stages, n_classes)
    lost : ndarray of shape (n_samples, n_stages)
        Loss of each stage.
    weight : ndarray of shape (n_samples,)
    price : ndarray of shape (n_stages,)
        Relative cost of the way to each stage.
    alpha : float
        Price of cost.
    settings : Reinforce
    seed : int
    spread : float, default=1.0
        Prices from `alpha` / `spread` to `alpha` * `spread` are trained for.

    Returns
    -------
    heads : Heads
    """
    n, n_stages, _ = proba.shape
    seen, lost = states(torch.from_numpy(proba)), torch.from_numpy(lost).double()
    rows = TensorRows(seen, {"lost": lost, "weight": torch.from_numpy(weight)})
    size = min(n, ROWS)
    epochs = max(1, STEPS // n_batches(size, n))
    steps = epochs * n_batches(size, n)
    with seeded(seed, torch.device("cpu")):
        heads = Heads(seen, settings.hidden)
        if n_stages == 1:
            return heads
        NeuralNet(
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
            **criterion_params(settings, price, alpha),
            **loader_params(size, n),
        ).fit(rows, None)
    return heads.eval()


def criterion_params(settings, price, alpha):
    """Keyword arguments that hand `settings` to :class:`PolicyLoss`."""
    return {
        "criterion__price": np.asarray(price, dtype=np.float64),
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
        """Everything that moves with the steps: learning rates and entropy bonus."""
        rates = LRScheduler(CosineAnnealingLR, step_every="batch", T_max=n_steps)
        return [("schedule", rates), ("anneal", cls(n_steps))]

    def on_batch_end(self, net, training=False, **kwargs):
        """Take one step's share off the bonus."""
        if training:
            bonus, first = net.criterion_.entropy, net.criterion_.first_entropy
            bonus.sub_(first / self.n_steps).clamp_(min=0)
