"""Peers: other methods that tune a cascade on recorded predictions for a target.

Each has one parameter. It gets the cheapest setting with an accuracy drop within the target, on the
rows tuned on; a peer with a guarantee gets the cheapest setting that it certifies. Unless it says
otherwise, a peer ignores costs: it runs all stages up to the exit, in their order. If no setting
is within the target, no sample exits early: all stages run, and the last one answers.

A more expensive and less accurate last stage would be no fair comparison. So chains end at the
stage that is best on the rows tuned on.
"""

from typing import NamedTuple

import numpy as np

from skcascade.costs import FixedCost
from skcascade.tuning._build_curve import reference_stage

from ._draws import TARGETS

#: Probability with which a bound that is certified holds.
LEVEL = 0.9
NO_PRUNING = "omit a stage that is not worth its cost"
NO_GUARANTEE = "guarantee the drop"


class Answers(NamedTuple):
    """Predictions of a cascade.

    Attributes
    ----------
    label : ndarray of shape (n_samples,)
    visited : ndarray of bool, shape (n_samples, n_stages)
        The stages that each sample incurs the cost of.
    """

    label: np.ndarray
    visited: np.ndarray


def measure(answers, trace, y, cost):
    """Accuracy drop below the best single stage, and mean relative cost."""
    drop = np.mean(answers.label != y) - trace.losses(y).mean(axis=0).min()
    return drop, cost.relative(cost.path_cost(answers.visited)).mean()


def best_stage(draw):
    """The most accurate stage on the rows tuned on, the cheaper of two equals."""
    losses = draw.trace.losses(draw.y).mean(axis=0)
    return reference_stage(1 - losses, draw.cost.edge_costs_[0])


def up_to(draw, n_stages):
    """The draw with the first stages only."""
    trace, test = (part.select_stages(slice(n_stages)) for part in (draw.trace, draw.test))
    cost = FixedCost(draw.cost.edge_costs_[0][:n_stages]).fit(n_stages)
    return draw._replace(trace=trace, test=test, cost=cost)


class Peer:
    """A method that does the task of :func:`skcascade.fit_policy`.

    Attributes
    ----------
    cannot : tuple of str
        Tasks it is unable to do.
    module, requirement : str or None
        The package it needs: name of the import, and requirement for pip.
    targets : tuple
        The largest drops it is tuned for.
    """

    cannot = ()
    module = requirement = None
    targets = TARGETS

    def prepare(self, draw):
        """A state that serves all targets, made once for the rows of `draw`."""
        return draw

    def choose(self, prepared, target):
        """The cascade for one target: a function of a trace that returns `Answers`."""
        raise NotImplementedError


class Measured(NamedTuple):
    """Settings of a parameter, with drop and relative cost of each on the rows tuned on."""

    settings: list
    drop: np.ndarray
    cost: np.ndarray

    def cheapest(self, target):
        """The cheapest setting within the target; None if there is none."""
        within = self.drop <= target + 1e-12
        return self.settings[np.where(within, self.cost, np.inf).argmin()] if any(within) else None


class Chain(Peer):
    """A rule by which a sample exits at the first stage whose score reaches its threshold."""

    cannot = NO_PRUNING, NO_GUARANTEE

    def score(self, trace):
        """Score of each stage but the last, of shape (n_samples, n_stages - 1)."""
        return trace.proba[:, :-1].max(axis=2)

    def grid(self, score):
        """The settings: a threshold for each stage, of shape (n_settings, n_stages - 1)."""
        raise NotImplementedError

    def label(self, pred, exits):
        """Predicted classes (n_samples,), given those of all stages (n_samples, n_stages)."""
        return pred[np.arange(len(pred)), exits]

    def answers(self, trace, thresholds, score=None, pred=None):
        """Predictions with given thresholds."""
        score = self.score(trace) if score is None else score
        pred = trace.proba.argmax(axis=2) if pred is None else pred
        exits = np.argmax(np.c_[score >= thresholds, np.full(len(pred), True)], axis=1)
        return Answers(self.label(pred, exits), np.arange(trace.n_stages) <= exits[:, np.newaxis])

    def replay(self, draw, settings):
        """Predictions with each of several settings, on the rows tuned on."""
        score, pred = self.score(draw.trace), draw.trace.proba.argmax(axis=2)
        return [self.answers(draw.trace, one, score, pred) for one in settings]

    def prepare(self, draw):
        """Drop and cost of every setting."""
        settings = self.grid(self.score(draw.trace))
        least = draw.trace.losses(draw.y).mean(axis=0).min()
        route_cost = np.cumsum(draw.cost.relative(draw.cost.edge_costs_[0]))
        replayed = self.replay(draw, settings)
        drop = [np.mean(one.label != draw.y) - least for one in replayed]
        cost = [route_cost[one.visited.sum(axis=1) - 1].mean() for one in replayed]
        return Measured(settings, np.array(drop), np.array(cost))

    def choose(self, prepared, target):
        """The cheapest setting within the target; else no sample exits early."""
        found = prepared.cheapest(target)
        return lambda trace: self.answers(trace, np.inf if found is None else found)
