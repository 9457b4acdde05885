"""What every peer is: something that tunes a cascade on recorded answers for a target.

A user would take the cheapest setting of a peer's knob whose accuracy drop on the rows tuned on
keeps the target; a peer that comes with a guarantee takes the cheapest that it certifies. Unless
it says otherwise, a peer knows nothing of prices: it runs all stages up to the exit, in their
order. If no setting will do, nobody leaves early: all stages run, and the last one answers.

Nobody would end a chain with a dearer stage that is worse than the one before, so chains end at
the stage that is best on the rows tuned on.
"""

from typing import NamedTuple

import numpy as np

from skcascade._curve import reference_of
from skcascade.costs import FixedCost

from ._draws import TARGETS

#: Probability with which a bound that is certified holds.
LEVEL = 0.9
NO_PRUNING = "leave out a stage that is not worth its price"
NO_GUARANTEE = "say how sure the drop is"


class Answers(NamedTuple):
    """What a cascade answers.

    Attributes
    ----------
    label : ndarray of shape (n_samples,)
    visited : ndarray of bool, shape (n_samples, n_stages)
        The stages that are paid for.
    """

    label: np.ndarray
    visited: np.ndarray


def measure(answers, trace, y, prices):
    """Accuracy drop below the best single stage, and mean relative cost."""
    drop = np.mean(answers.label != y) - trace.losses(y).mean(axis=0).min()
    return drop, prices.relative(prices.path_cost(answers.visited)).mean()


def best_stage(draw):
    """The most accurate stage on the rows tuned on, the cheaper of two equals."""
    losses = draw.trace.losses(draw.y).mean(axis=0)
    return reference_of(1 - losses, draw.prices.edge_costs_[0])


def up_to(draw, n_stages):
    """The draw with the first stages only."""
    trace, test = (part.of_stages(slice(n_stages)) for part in (draw.trace, draw.test))
    prices = FixedCost(draw.prices.edge_costs_[0][:n_stages]).fit(n_stages)
    return draw._replace(trace=trace, test=test, prices=prices)


class Peer:
    """What does the work of :func:`skcascade.fit_policy`.

    Attributes
    ----------
    cannot : tuple of str
        What it cannot do.
    module, requirement : str or None
        The package it needs, as it is imported and as it is installed.
    targets : tuple
        What it is asked for.
    """

    cannot = ()
    module = requirement = None
    targets = TARGETS

    def prepare(self, draw):
        """Whatever serves all targets; made once for the rows of `draw`."""
        return draw

    def choose(self, prepared, target):
        """What is used at one target: a function of a trace that returns `Answers`."""
        raise NotImplementedError


class Measured(NamedTuple):
    """Settings of a knob, and the drop and relative cost of each on the rows tuned on."""

    settings: list
    drop: np.ndarray
    cost: np.ndarray

    def cheapest(self, target):
        """The cheapest setting within the target; None if there is none."""
        within = self.drop <= target + 1e-12
        return self.settings[np.where(within, self.cost, np.inf).argmin()] if any(within) else None


class Chain(Peer):
    """A rule by which a sample leaves at the first stage whose score reaches its cut."""

    cannot = NO_PRUNING, NO_GUARANTEE

    def score(self, trace):
        """Score of each stage but the last, of shape (n_samples, n_stages - 1)."""
        return trace.proba[:, :-1].max(axis=2)

    def cuts(self, score):
        """The settings of the knob: the cut of each stage, (n_settings, n_stages - 1)."""
        raise NotImplementedError

    def label(self, pred, exits):
        """The answers (n_samples,), given those of all stages (n_samples, n_stages)."""
        return pred[np.arange(len(pred)), exits]

    def answers(self, trace, cuts, score=None, pred=None):
        """What is answered with given cuts."""
        score = self.score(trace) if score is None else score
        pred = trace.proba.argmax(axis=2) if pred is None else pred
        exits = np.argmax(np.c_[score >= cuts, np.full(len(pred), True)], axis=1)
        return Answers(self.label(pred, exits), np.arange(trace.n_stages) <= exits[:, np.newaxis])

    def play(self, draw, cuts):
        """Answers with each of several cuts, on the rows tuned on."""
        score, pred = self.score(draw.trace), draw.trace.proba.argmax(axis=2)
        return [self.answers(draw.trace, one, score, pred) for one in cuts]

    def prepare(self, draw):
        """Drop and cost of every setting."""
        cuts = self.cuts(self.score(draw.trace))
        least = draw.trace.losses(draw.y).mean(axis=0).min()
        paid = np.cumsum(draw.prices.relative(draw.prices.edge_costs_[0]))
        played = self.play(draw, cuts)
        drop = [np.mean(one.label != draw.y) - least for one in played]
        cost = [paid[one.visited.sum(axis=1) - 1].mean() for one in played]
        return Measured(cuts, np.array(drop), np.array(cost))

    def choose(self, prepared, target):
        """The cheapest setting within the target; else nobody leaves early."""
        cuts = prepared.cheapest(target)
        return lambda trace: self.answers(trace, np.inf if cuts is None else cuts)
