"""Features of learned rules: a few numbers per row instead of all probabilities."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

__all__ = ["N_TOP", "last_seen", "show_only", "stage_features"]

#: Largest probabilities that become features.
N_TOP = 3
#: End of the logarithmic scale of the doubt.
LEAST_DOUBT = 1e-6


def stage_features(stage, proba):
    """Features of the answer of `stage`, and of its agreement with earlier answers.

    Parameters
    ----------
    stage : int
        The stage just run.
    proba : ndarray of shape (n_rows, stage + 1, n_classes)
        All answers seen so far; NaN for stages that were skipped.

    Returns
    -------
    features : ndarray of shape (n_rows, 6 + 2 * stage + n_classes), float64
        All in [0, 1], and finite even if stages were skipped:

        - the three largest probabilities (0 where there are fewer classes);
        - the margin between the first two;
        - the entropy, as a share of its maximum;
        - the doubt 1 - (largest probability) on a log scale, 0 for complete doubt and
          1 for one millionth or less: the confidences of nets differ far
          beyond the second digit;
        - for each earlier stage: whether it predicts the same class (1 or 0), and its
          probability of the class that `stage` predicts. Both are 0 if it was skipped;
        - for each class, whether it is predicted: stages are overconfident for one class,
          and another is hard for every stage.
    """
    here = proba[:, stage].astype(float)
    n_rows, n_classes = here.shape
    top = np.zeros((n_rows, N_TOP))
    kept = min(N_TOP, n_classes)
    top[:, :kept] = np.sort(np.partition(here, -kept, axis=1)[:, -kept:], axis=1)[:, ::-1]
    doubt = np.log(np.clip(1 - top[:, 0], LEAST_DOUBT, 1)) / np.log(LEAST_DOUBT)
    entropy = entr(here).sum(axis=1) / np.log(max(n_classes, 2))
    answer = here.argmax(axis=1)
    share = np.nan_to_num(proba[np.arange(n_rows), :stage, answer])
    same = (proba[:, :stage].argmax(axis=2) == answer[:, np.newaxis]) & (share > 0)
    answers = answer[:, np.newaxis] == np.arange(n_classes)
    return np.column_stack([top, top[:, 0] - top[:, 1], entropy, doubt, same, share, answers])


def show_only(proba, shown):
    """`proba` (n_rows, stage + 1, n_classes), NaN for all stages but those in `shown`."""
    hidden = [k for k in range(proba.shape[1]) if k not in shown]
    if hidden:
        proba = proba.copy()
        proba[:, hidden] = np.nan
    return proba


def last_seen(proba):
    """Index of the last stage seen (n_rows,); -1 where there is none."""
    seen = ~np.isnan(proba[:, :, 0])
    return np.where(seen, np.arange(proba.shape[1]), -1).max(axis=1, initial=-1)
