"""Thresholds between the steps of neighboring alphas, and careful ones."""

import numpy as np
import pytest

from skcascade.policies._threshold import fit_thresholds

# Careful rules ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [100, 1000])
def test_below_two_errors_in_n_rows_the_rule_tends_to_its_best_stage_alone(n):
    """Not to the last one: here that is worse, but right where the first is unsure."""
    sure, right = np.arange(n) % 5 > 0, np.arange(n) % 5 < 3
    score = np.column_stack([np.where(sure, 0.9, 0.6) + np.arange(n) / (99 * n), np.ones(n)])
    loss = np.column_stack([~sure, sure & right]).astype(float)  # .2 and .4 are wrong
    edges = np.array([[0.1, 1.0], [np.nan, 1.0]])
    alphas = np.r_[np.geomspace(1e-5, 1 / n, 6), np.geomspace(3 / n, 0.5, 20)]
    thresholds, stages = fit_thresholds(score, loss, edges, alphas, np.ones(n))
    together = [i for i, in_use in enumerate(stages) if in_use == (0, 1)]
    assert together[0] == 0
    exits = np.array([(score[:, 0] >= thresholds[i, 0]).mean() for i in together])
    assert exits[0] == 1  # all at the first stage, which is the better one
    rises = np.diff(exits[alphas[together] <= 2 / n])
    assert (rises <= 0).all() and len(rises) > 3
    np.testing.assert_allclose(exits[alphas[together] > 2 / n], 0.8)
