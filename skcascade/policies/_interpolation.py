"""Thresholds as a smooth function of alpha, and careful ones at the smallest alphas.

As a function of alpha the best thresholds are a staircase, and the width of a step is mostly noise:
a sample of 1,000 rows has a few steps where the whole population would give a curve. So between
the middles of neighboring steps that use the same stages, the share of samples above each threshold
is interpolated.

At an alpha below 2 / n, a full run of the last stage is worth less than two errors among n rows,
which is too little to be measured. There the rule tends to the best of its stages alone, which it
reaches at the smallest alpha. A certificate starts from these careful rules.
"""

from itertools import groupby

import numpy as np

__all__ = ["interpolate"]

#: Errors among all rows that a full run of the last stage must avoid for a rule to be trusted.
N_ERRORS = 2.0


def interpolate(rules, alphas, thresholds, stages):
    """Thresholds between the middles of the steps that neighboring alphas share.

    Parameters
    ----------
    rules : ThresholdRules
    alphas : ndarray of shape (n_alphas,)
    thresholds : ndarray of shape (n_alphas, n_stages)
        The best ones at each alpha.
    stages : list of tuple of int
        The stages in use there.

    Returns
    -------
    thresholds : ndarray of shape (n_alphas, n_stages)
    """
    smooth = thresholds.copy()
    position = np.log(np.maximum(alphas, 1e-300))
    trust = _trust(position, rules.n_samples)
    for subset, run in groupby(range(len(alphas)), key=lambda i: stages[i]):
        run = list(run)
        own = thresholds[run]
        steps = np.cumsum(np.r_[0, (own[1:] != own[:-1]).any(axis=1)])
        first = np.searchsorted(steps, np.arange(steps[-1] + 1))
        last = np.r_[first[1:], len(run)] - 1
        middle = (position[run][first] + position[run][last]) / 2
        if len(middle) == 1 and trust[run].min() == 1:
            continue  # one step alone stays as it was found
        best = rules.best_stage(subset)
        for k in subset[:-1]:
            share = np.interp(position[run], middle, rules.share_above(k, own[first, k]))
            alone = float(k >= best)
            smooth[run, k] = rules.threshold_at(k, alone + trust[run] * (share - alone))
    return smooth


def _trust(position, n_samples):
    """How far each rule is trusted (n_alphas,): from 0 at the smallest alpha to 1 at a few / n.

    `position` are the logarithms of the alphas.
    """
    lowest, enough = position.min(), np.log(N_ERRORS / n_samples)
    if len(position) == 1 or enough <= lowest:
        return np.ones(len(position))
    return np.clip((position - lowest) / (enough - lowest), 0, 1)
