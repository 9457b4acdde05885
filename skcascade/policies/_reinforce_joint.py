"""Joint training: members and heads as one module, in one skorch net."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.helper import predefined_split

from ..evidence._stages import Stages, num_rows
from ..evidence._trace import Trace
from ..utils._interrupt import raise_interrupts
from ..utils._skorch import TensorRows, loader_params, n_batches, rows_per_step, torch_seed
from ..utils._warn import warn
from ._confidence import max_proba
from ._joint_module import LEAST, Aligned, JointModule
from ._reinforce_loss import JointLoss, exit_log_proba, zero_one
from ._reinforce_net import Anneal, criterion_params, fit_heads
from ._states import states
from ._threshold import fit_thresholds

__all__ = ["Tuned", "fine_tune"]

#: Alphas that dual ascent stays within.
ALPHAS = 5e-3, 1.0
#: Share by which alpha moves in the first step if a bound is missed by 100 %.
DUAL_RATE = 0.05
#: Heads have collapsed if more than this share of all samples exits at one stage.
COLLAPSED = 0.98
#: Two stages are worth using if thresholds lower the objective by this much.
WORTH = 0.01


class Tuned(NamedTuple):
    """Result of joint training: stages, the cost weight, the record of epochs."""

    stages: Stages
    alpha: float
    history: Any


def fine_tune(settings, seed, stages, fitting, held_out, cost, alpha, gap):
    """Train copies of all members that can be trained, together with heads.

    Parameters
    ----------
    settings : Reinforce
    seed : int
    stages : Stages
    fitting, held_out : tuples of samples and codes
    cost : ndarray of shape (n_stages,)
        Relative cost of the route to each stage.
    alpha : float
        Cost weight to begin with.
    gap : callable
        `gap(cost, drop, error)` is the distance of the policy from its bound, as a share of it:
        above 0 where alpha is too low. It takes the mean relative cost, the
        excess of the loss over that of the best stage, and its standard error.

    Returns
    -------
    tuned : Tuned
    """
    own = _with_copies(stages)
    X_val, y_val = held_out
    before = _Evaluation(Trace.record(stages, X_val), y_val, cost, settings, seed)
    alpha = before.first_alpha(alpha, gap)
    heads = before.fit_heads(alpha)
    with torch_seed(seed, torch.device(settings.device)):
        module, rows = _assemble(own, heads, fitting, held_out, settings.through_states)
        net = _train(module, rows, before, cost, alpha, gap, settings)
    alpha = float(net.criterion_.alpha)
    after = _Evaluation(Trace.record(own, X_val), y_val, cost, settings, seed)
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


class _Evaluation:
    """The objective of members and heads on held-out rows."""

    def __init__(self, trace, y, cost, settings, seed):
        self.trace, self.y, self.losses = trace, y, trace.losses(y)
        self.cost, self.settings, self.seed = cost, settings, seed

    def fit_heads(self, alpha):
        """Heads for these answers."""
        weight = np.ones(len(self.y))
        return fit_heads(
            self.trace.proba, self.losses, weight, self.cost, alpha, self.settings, self.seed
        )

    def objective(self, heads, alpha):
        """Mean loss + alpha * relative cost."""
        certain = self.losses + alpha * self.cost
        return float((self._exit_proba(heads) * certain).sum(axis=1).mean())

    def _exit_proba(self, heads):
        """Probability to exit at each stage (n_samples, n_stages)."""
        logits = torch.from_numpy(heads.scores(self.trace.proba)[:, :-1])
        return exit_log_proba(logits).exp().numpy()

    def warn_if_collapsed(self, heads, alpha):
        """Warn if nearly all samples exit at one stage, and thresholds would be clearly better."""
        exit_proba = self._exit_proba(heads)
        share = exit_proba.mean(axis=0)
        if share.max() < COLLAPSED or len(share) == 1:
            return
        certain = self.losses + alpha * self.cost
        objective = (exit_proba * certain).sum(axis=1)
        gain = objective - self._with_thresholds(certain, [alpha])[0]
        if gain.mean() > max(WORTH, 3 * gain.std() / np.sqrt(len(gain))):
            warn(
                f"The heads collapsed: {share.max():.0%} of the samples exit at stage"
                f" {share.argmax()}, although plain thresholds on the confidence would lower loss"
                f" + alpha * cost from {objective.mean():.4f} by {gain.mean():.4f}."
                " Raise `entropy`, lower `head_lr`, or choose gradient='exact'."
            )

    def first_alpha(self, alpha, gap):
        """The alpha at which plain thresholds come near the bound; `alpha` where there is none."""
        alphas = np.append(np.geomspace(*ALPHAS, 30), alpha)
        costs = self._with_thresholds(self.cost[np.newaxis].repeat(len(self.y), 0), alphas)
        reference = self.losses[:, [self.losses.mean(0).argmin()]].T
        drops = self._with_thresholds(self.losses, alphas) - reference
        errors = drops.std(axis=1) / np.sqrt(len(self.y))
        gaps = np.array([gap(*at) for at in zip(costs.mean(axis=1), drops.mean(axis=1), errors)])
        low_enough = alphas[gaps <= 0]
        return float(alpha if gaps[-1] == 0 else low_enough.min(initial=ALPHAS[1]))

    def _with_thresholds(self, values, alphas):
        """Entries of `values` (n_samples, n_stages) where samples exit, for each alpha."""
        n_stages = self.trace.n_stages
        score = np.stack([max_proba(self.trace.proba[:, k]) for k in range(n_stages)], axis=1)
        edges = np.diff(self.cost, prepend=0.0)[np.newaxis].repeat(n_stages, axis=0)
        found = fit_thresholds(score, self.losses, edges, alphas, np.ones(len(score)))
        taken = []
        for thresholds, in_use in zip(*found):
            exits = np.isin(np.arange(n_stages), in_use) & (score >= thresholds)
            exits[:, in_use[-1]] = True
            taken.append(values[np.arange(len(values)), exits.argmax(axis=1)])
        return np.stack(taken)


def _assemble(stages, heads, fitting, held_out, through_states=True):
    """Members and heads as one module, and the rows to train and to evaluate it on."""
    free = [(name, member) for name, member in stages.members if member.trainable()]
    fixed = [(name, member) for name, member in stages.members if not member.trainable()]
    parts, inputs = [], []
    for name, member in free:
        part, rows = member.joint(fitting[0], held_out[0])
        parts.append(Aligned(part, stages.get_columns(name), stages.n_classes))
        inputs.append(rows)
    mine = np.array([stages.get_member(k).trainable() for k in range(stages.n_stages)])
    module = JointModule(parts, np.argsort(mine, kind="stable"), heads, through_states)
    fixed = Stages(fixed, stages.classes)
    rows = [
        TensorRows(
            {
                "inputs": tuple(rows[i] for rows in inputs),
                "constant": record_log_proba(fixed, samples),
            },
            torch.as_tensor(codes).long(),
        )
        for i, (samples, codes) in enumerate([fitting, held_out])
    ]
    return module, rows


def record_log_proba(stages, X):
    """Log-probabilities (n_samples, n_stages, n_classes) of members that are not trained."""
    if stages.n_stages == 0:
        return torch.empty(num_rows(X), 0, stages.n_classes)
    return torch.from_numpy(Trace.record(stages, X).proba).log().clamp_min(LEAST)


class _Dual(Callback):
    """Dual ascent on alpha, and a record of the policy's cost and accuracy on validation rows.

    Parameters
    ----------
    gap : callable
        See :func:`fine_tune`.
    before : _Evaluation
        The answers of the members, until the first epoch gives newer ones.
    """

    def __init__(self, gap, before):
        self.gap = gap
        self.seen = states(torch.from_numpy(before.trace.proba))
        self.losses = torch.from_numpy(before.losses)

    def on_train_begin(self, net, **kwargs):
        """Nothing was seen yet."""
        self.answers = []

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Move alpha after a training step; keep the answers of a validation step."""
        if not training:
            self.answers.append((y_pred[1].cpu(), batch[1]))
            return
        cost, losses = self._evaluate(net)
        drop = losses - self.losses[:, self.losses.mean(dim=0).argmin()]
        gap = self.gap(cost, drop.mean().item(), drop.std().item() / len(drop) ** 0.5)
        rates = net.optimizer_.param_groups[0]  # the steps of alpha shrink as those of the heads
        rate = DUAL_RATE * rates["lr"] / rates["initial_lr"]
        net.criterion_.alpha.mul_(np.exp(rate * np.clip(gap, -1, 1)))
        if gap:
            net.criterion_.alpha.clamp_(*ALPHAS)

    def on_epoch_end(self, net, **kwargs):
        """Use the answers of the epoch's validation from here."""
        log_proba, y = (torch.cat(parts) for parts in zip(*self.answers))
        self.answers = []
        self.seen, self.losses = states(log_proba.exp()), zero_one(log_proba, y).double()
        cost, losses = self._evaluate(net)
        net.history.record("valid_cost", cost)
        net.history.record("valid_accuracy", 1 - losses.mean().item())
        net.history.record("alpha", net.criterion_.alpha.item())

    def _evaluate(self, net):
        """Mean relative cost, and the loss of each sample (n,), under the current heads."""
        with torch.no_grad():
            exit_proba = exit_log_proba(net.module_.heads(self.seen.to(net.device))).exp()
            cost = (exit_proba @ net.criterion_.cost).mean()
            return cost.item(), (exit_proba.cpu() * self.losses).sum(dim=1)


def _train(module, rows, before, cost, alpha, gap, settings):
    """Train a :class:`JointModule` in place; returns the skorch net that trained it."""
    fitting, held_out = rows
    n, size = len(fitting), rows_per_step(settings.batch_size, len(fitting))
    n_steps = settings.max_epochs * n_batches(size, n)
    callbacks = [*Anneal.callbacks(n_steps), ("dual", _Dual(gap, before))]
    callbacks += clone(settings.callbacks or [], safe=False)
    if settings.patience is not None:
        # Last: it ends an epoch by an exception, and the other callbacks must see the whole epoch.
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
        **criterion_params(settings, cost, alpha),
        **loader_params(size, n),
    )
    with raise_interrupts():
        net.fit(fitting, None)
    net.module_.heads.cpu().eval()
    for part in net.module_.members:
        part.member.restore_device()
    return net
