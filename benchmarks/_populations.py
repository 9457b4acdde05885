"""Simulated populations of known truth, for the coverage of certificates.

A population is a large table. It is the truth: rows are drawn from it with replacement, so that
its means are the expectations of a draw, exactly.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from skcascade import Trace
from skcascade.costs import FixedCost

#: Rows of a population.
N_ROWS = 50_000


class Population(NamedTuple):
    """All rows there are.

    Attributes
    ----------
    name : str
    trace : Trace
    y : ndarray of shape (n_rows,)
    cost : FixedCost
        Fitted; not used where the trace has costs of its rows.
    groups : ndarray of int, shape (n_rows,)
        Group 1 holds the harder quarter of the rows.
    """

    name: str
    trace: Trace
    y: np.ndarray
    cost: FixedCost
    groups: np.ndarray


def make(
    name,
    accuracies,
    *,
    costs=None,
    n_classes=3,
    spread=1.5,
    boldness=1.0,
    shared=0.7,
    rare=False,
    duplicate=False,
    loss=None,
    tokens=False,
    seed=0,
):
    """A population of stages with given accuracies.

    A row has a difficulty, and a stage is correct on it with a probability that it knows.

    Parameters
    ----------
    name : str
    accuracies : sequence of float
        Of each stage.
    costs : sequence of float, default=None
        Of each stage. None: from 1 to 10 in equal ratios.
    n_classes : int
    spread : float
        Standard deviation of the log odds of being correct; 0: all rows are equally hard.
    boldness : float
        Factor of the log odds that a stage reports: 1 is calibrated, 3 overconfident, 0 useless.
    shared : float in [0, 1]
        Correlation of the errors of two stages on a row.
    rare : bool
        Classes are rarer by factors of 2, and all stages but the last are worse on rare ones.
    duplicate : bool
        The second stage repeats the first.
    loss : str, default=None
        As for a trace.
    tokens : bool
        Each row has costs of its own, log-normal with a standard deviation of 1.2.
    seed : int
    """
    rng = np.random.default_rng(seed)
    n_stages = len(accuracies)
    share = 0.5 ** np.arange(n_classes) if rare else np.ones(n_classes)
    y = rng.choice(n_classes, size=N_ROWS, p=share / share.sum())
    ease = rng.normal(size=N_ROWS)
    luck = rng.normal(size=N_ROWS)
    predicted, confidence = np.empty((N_ROWS, n_stages), int), np.empty((N_ROWS, n_stages))
    wrong = (y + rng.integers(1, n_classes, size=N_ROWS)) % n_classes
    for k, accuracy in enumerate(accuracies):
        easier = spread * (0.8 * ease + 0.6 * rng.normal(size=N_ROWS))
        if rare and k < n_stages - 1:
            easier = easier - 0.7 * y
        level = brentq(lambda a, e=easier, t=accuracy: expit(a + e).mean() - t, -20, 20)
        own = np.sqrt(shared) * luck + np.sqrt(1 - shared) * rng.normal(size=N_ROWS)
        correct = ndtr(own) < expit(level + easier)
        predicted[:, k] = np.where(correct, y, wrong)
        confidence[:, k] = expit(boldness * (level + easier))
    if boldness == 0:
        confidence = rng.uniform(0.4, 1, size=confidence.shape)
    if duplicate:
        predicted[:, 1], confidence[:, 1] = predicted[:, 0], confidence[:, 0]
    costs = np.geomspace(1, 10, n_stages) if costs is None else np.array(costs, dtype=float)
    rows = costs * rng.lognormal(sigma=1.2, size=(N_ROWS, 1)) if tokens else None
    proba = Trace.from_top1(predicted, confidence, n_classes).proba
    groups = (ease < np.quantile(ease, 0.25)).astype(int)
    return Population(
        name, Trace(proba, loss=loss, cost=rows), y, FixedCost(costs).fit(n_stages), groups
    )


#: Name -> what `make` is given.
POPULATIONS = {
    "equal ties": {"accuracies": (0.85, 0.85)},
    "duplicates": {"accuracies": (0.8, 0.8, 0.88), "duplicate": True},
    "rare classes": {"accuracies": (0.85, 0.9), "n_classes": 8, "rare": True},
    "bad cheap stage": {"accuracies": (0.8, 0.88), "spread": 0.3},
    "six equal stages": {"accuracies": (0.85,) * 6},
    "worse last stage": {"accuracies": (0.8, 0.9, 0.84)},
    "Brier losses": {"accuracies": (0.8, 0.88), "loss": "brier"},
    "costs of zero": {"accuracies": (0.8, 0.84, 0.88), "costs": (0, 0, 1)},
    "useless confidences": {"accuracies": (0.84, 0.86), "boldness": 0.0},
    "very accurate": {"accuracies": (0.985, 0.999)},
    "overconfident": {"accuracies": (0.8, 0.86, 0.88), "boldness": 3.0},
    "costs per row": {"accuracies": (0.8, 0.84, 0.88), "tokens": True},
    "twelve stages": {"accuracies": tuple(np.linspace(0.75, 0.9, 12))},
}


@lru_cache
def population(name):
    """The population of that name."""
    return make(name, **POPULATIONS[name])
