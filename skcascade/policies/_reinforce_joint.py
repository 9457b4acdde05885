"""Joint training: members and heads as one module, in one skorch net."""

import warnings
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.helper import predefined_split
from torch import nn

from .._stages import Stages, num_rows
from .._trace import Trace
from ..exceptions import CascadeWarning
from ..utils._skorch import TensorRows, loader_params, n_batches, rows_per_step, seeded
from ._confidence import max_proba
from ._reinforce_loss import JointLoss, leave_log_proba, zero_one
from ._reinforce_net import Anneal, criterion_params, fit_heads, states
from ._threshold import fit_thresholds

__all__ = ["Tuned", "fine_tune"]

#: Prices that dual ascent stays within.
ALPHAS = 5e-3, 1.0
#: Share by which alpha moves in the first step if a bound is missed by all of it.
DUAL_RATE = 0.05
#: Log-probability of a class that a member does not know.
LEAST = -30.0
#: Heads that let more than this share of all samples leave at one stage have collapsed.
COLLAPSED = 0.98
#: By how much thresholds must then lower the objective for two stages to be worth having.
WORTH = 0.01


class Tuned(NamedTuple):
    """What joint training gives: stages, the price, the record of it."""

    stages: Stages
    alpha: float
    history: Any


def fine_tune(settings, seed, stages, fitting, held_out, price, alpha, gap):
    """Train copies of all members that can be trained, together with heads.

    Parameters
    ----------
    settings : Reinforce
    seed : int
    stages : Stages
    fitting, held_out : tuples of samples and codes
    price : ndarray of shape (n_stages,)
        Relative cost of the way to each stage.
    alpha : float
        Price of cost, to begin with.
    gap : callable
        `gap(cost, drop, error)` tells how far the policy is from its bound, as a share of it:
        above 0 where alpha is too low. It is given the mean relative cost, and by how much
        the loss exceeds that of the best stage, with its standard error.

    Returns
    -------
    tuned : Tuned
    """
    own = _with_copies(stages)
    X_val, y_val = held_out
    before = _Judge(Trace.record(stages, X_val), y_val, price, settings, seed)
    alpha = before.first_alpha(alpha, gap)
    heads = before.fit_heads(alpha)
    with seeded(seed, torch.device(settings.device)):
        module, rows = _assemble(own, heads, fitting, held_out, settings.through_states)
        net = _train(module, rows, before, price, alpha, gap, settings)
    alpha = float(net.criterion_.alpha)
    after = _Judge(Trace.record(own, X_val), y_val, price, settings, seed)
    after.warn_if_collapsed(heads, alpha)
    trained = after.fit_heads(alpha)
    untrained = before.fit_heads(alpha)
    if after.objective(trained, alpha) < before.objective(untrained, alpha):
        return Tuned(own, alpha, net.history)
    return Tuned(stages, alpha, net.history)


def _with_copies(stages):
    """The same stages with copies of the members that can be trained."""
    members = [
        (name, deepcopy(member) if member.trainable() else member)
        for name, member in stages.members
    ]
    return Stages(members, stages.classes)


class _Judge:
    """What members and heads are worth on held-out rows."""

    def __init__(self, trace, y, price, settings, seed):
        self.trace, self.y, self.lost = trace, y, trace.losses(y)
        self.price, self.settings, self.seed = price, settings, seed

    def fit_heads(self, alpha):
        """Heads for these answers."""
        weight = np.ones(len(self.y))
        return fit_heads(
            self.trace.proba, self.lost, weight, self.price, alpha, self.settings, self.seed
        )

    def objective(self, heads, alpha):
        """Mean loss + alpha * relative cost."""
        return float((self._leave(heads) * (self.lost + alpha * self.price)).sum(axis=1).mean())

    def _leave(self, heads):
        """Probability to leave at each stage (n_samples, n_stages)."""
        logits = torch.from_numpy(heads.scores(self.trace.proba)[:, :-1])
        return leave_log_proba(logits).exp().numpy()

    def warn_if_collapsed(self, heads, alpha):
        """Warn if nearly all leave at one stage, and thresholds would do clearly better."""
        leave = self._leave(heads)
        share = leave.mean(axis=0)
        if share.max() < COLLAPSED or len(share) == 1:
            return
        paid = self.lost + alpha * self.price
        gain = (leave * paid).sum(axis=1) - self._with_thresholds(paid, [alpha])[0]
        if gain.mean() > max(WORTH, 3 * gain.std() / np.sqrt(len(gain))):
            warnings.warn(
                f"The heads collapsed: {share.max():.0%} of the samples leave at stage"
                f" {share.argmax()}, though plain thresholds on the confidence would lower loss +"
                f" alpha * cost from {(leave * paid).sum(axis=1).mean():.4f} by {gain.mean():.4f}."
                " Raise `entropy`, lower `head_lr`, or choose gradient='exact'.",
                CascadeWarning,
                stacklevel=6,
            )

    def first_alpha(self, alpha, gap):
        """A price at which plain thresholds come near the bound; `alpha` where there is none."""
        alphas = np.append(np.geomspace(*ALPHAS, 30), alpha)
        costs = self._with_thresholds(self.price[np.newaxis].repeat(len(self.y), 0), alphas)
        drops = (
            self._with_thresholds(self.lost, alphas) - self.lost[:, [self.lost.mean(0).argmin()]].T
        )
        errors = drops.std(axis=1) / np.sqrt(len(self.y))
        gaps = np.array([gap(*at) for at in zip(costs.mean(axis=1), drops.mean(axis=1), errors)])
        low_enough = alphas[gaps <= 0]
        return float(alpha if gaps[-1] == 0 else low_enough.min(initial=ALPHAS[1]))

    def _with_thresholds(self, values, alphas):
        """Entries of `values` (n_samples, n_stages) where samples leave, for each price."""
        n_stages = self.trace.n_stages
        score = np.stack([max_proba(self.trace.proba[:, k]) for k in range(n_stages)], axis=1)
        edges = np.diff(self.price, prepend=0.0)[np.newaxis].repeat(n_stages, axis=0)
        found = fit_thresholds(score, self.lost, edges, alphas, np.ones(len(score)))
        taken = []
        for cuts, in_use in zip(*found):
            leaves = np.isin(np.arange(n_stages), in_use) & (score >= cuts)
            leaves[:, in_use[-1]] = True
            taken.append(values[np.arange(len(values)), leaves.argmax(axis=1)])
        return np.stack(taken)


def _assemble(stages, heads, fitting, held_out, through_states=True):
    """Members and heads as one module, and the rows to train it on and to judge it by."""
    free = [(name, member) for name, member in stages.members if member.trainable()]
    fixed = [(name, member) for name, member in stages.members if not member.trainable()]
    parts, inputs = [], []
    for name, member in free:
        part, rows = member.joint(fitting[0], held_out[0])
        parts.append(Aligned(part, stages.columns_of(name), stages.n_classes))
        inputs.append(rows)
    mine = np.array([stages.member_of(k).trainable() for k in range(stages.n_stages)])
    module = JointModule(parts, np.argsort(mine, kind="stable"), heads, through_states)
    fixed = Stages(fixed, stages.classes)
    rows = [
        TensorRows(
            {
                "inputs": tuple(rows[i] for rows in inputs),
                "constant": log_proba_of(fixed, samples),
            },
            torch.as_tensor(codes).long(),
        )
        for i, (samples, codes) in enumerate([fitting, held_out])
    ]
    return module, rows


def log_proba_of(stages, X):
    """Log-probabilities (n_samples, n_stages, n_classes) of members that stay as they are."""
    if stages.n_stages == 0:
        return torch.empty(num_rows(X), 0, stages.n_classes)
    return torch.from_numpy(Trace.record(stages, X).proba).log().clamp_min(LEAST)


class Aligned(nn.Module):
    """Log-probabilities of a member in the columns of the cascade.

    Parameters
    ----------
    member : nn.Module
        From its inputs to log-probabilities (n, n_exits, n_labels).
    columns : array-like of int, shape (n_labels,)
    n_classes : int
        Classes the member lacks have next to no probability.
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
        Whether gradients go from the heads into the members.
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


class _Dual(Callback):
    """Dual ascent on alpha, and a record of what the policy does on the validation rows.

    Parameters
    ----------
    gap : callable
        See :func:`fine_tune`.
    judge : _Judge
        The answers of the members, until the first epoch gives newer ones.
    """

    def __init__(self, gap, judge):
        self.gap = gap
        self.seen = states(torch.from_numpy(judge.trace.proba))
        self.lost = torch.from_numpy(judge.lost)

    def on_train_begin(self, net, **kwargs):
        """Nothing new was seen yet."""
        self.fresh = []

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Move alpha after a training step; keep the answers of a validation step."""
        if not training:
            self.fresh.append((y_pred[1].cpu(), batch[1]))
            return
        cost, lost = self._look(net)
        drop = lost - self.lost[:, self.lost.mean(dim=0).argmin()]
        gap = self.gap(cost, drop.mean().item(), drop.std().item() / len(drop) ** 0.5)
        rates = net.optimizer_.param_groups[0]  # the steps of alpha shrink as those of the heads
        rate = DUAL_RATE * rates["lr"] / rates["initial_lr"]
        net.criterion_.alpha.mul_(np.exp(rate * np.clip(gap, -1, 1)))
        if gap:
            net.criterion_.alpha.clamp_(*ALPHAS)

    def on_epoch_end(self, net, **kwargs):
        """Take over the answers of the epoch's validation."""
        log_proba, y = (torch.cat(parts) for parts in zip(*self.fresh))
        self.fresh = []
        self.seen, self.lost = states(log_proba.exp()), zero_one(log_proba, y).double()
        cost, lost = self._look(net)
        net.history.record("valid_cost", cost)
        net.history.record("valid_accuracy", 1 - lost.mean().item())
        net.history.record("alpha", net.criterion_.alpha.item())

    def _look(self, net):
        """Mean relative cost, and the loss of each sample (n,), under the heads as they are."""
        with torch.no_grad():
            leave = leave_log_proba(net.module_.heads(self.seen.to(net.device))).exp()
            cost = (leave @ net.criterion_.price).mean()
            return cost.item(), (leave.cpu() * self.lost).sum(dim=1)


def _train(module, rows, judge, price, alpha, gap, settings):
    """Train a :class:`JointModule` in place; the skorch net that did it."""
    fitting, held_out = rows
    n, size = len(fitting), rows_per_step(settings.batch_size, len(fitting))
    n_steps = settings.max_epochs * n_batches(size, n)
    callbacks = [*Anneal.callbacks(n_steps), ("dual", _Dual(gap, judge))]
    callbacks += clone(settings.callbacks or [], safe=False)
    if settings.patience is not None:
        # Last, because it leaves an epoch by an exception and others shall see it whole.
        callbacks.append(("stop", EarlyStopping(patience=settings.patience, load_best=True)))
    heads_rate = {"lr": float(settings.head_lr), "weight_decay": 0.0}
    net = NeuralNet(
        module,
        JointLoss,
        optimizer=torch.optim.AdamW,
        optimizer__param_groups=[("heads*", heads_rate)],
        lr=float(settings.lr),
        max_epochs=settings.max_epochs,
        train_split=predefined_split(held_out),
        callbacks=callbacks,
        device=settings.device,
        verbose=int(settings.verbose),
        criterion__member_loss=settings.member_loss,
        criterion__supervised=settings.supervised,
        **criterion_params(settings, price, alpha),
        **loader_params(size, n),
    )
    net.fit(fitting, None)
    net.module_.heads.cpu().eval()
    for part in net.module_.members:
        part.member.hand_back()
    return net
