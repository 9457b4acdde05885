"""What a learnt rule looks at: a few numbers per row instead of all probabilities."""

import numpy as np
from scipy.special import entr

__all__ = ["N_TOP", "stage_features"]

#: Largest probabilities that become features.
N_TOP = 3
#: Doubt that is told from none; answers are float32.
LEAST_DOUBT = 1e-6


def stage_features(stage, proba):
    """Features of the answer of `stage`, and how far earlier answers agree with it.

    Parameters
    ----------
    stage : int
        The stage just run.
    proba : ndarray of shape (n_rows, stage + 1, n_classes)
        All that was seen so far; NaN for stages that were skipped.

    Returns
    -------
    features : ndarray of shape (n_rows, 6 + 2 * stage + n_classes), float64
        All in [0, 1], and finite whatever was skipped:

        - the three largest probabilities (0 where there are fewer classes);
        - the margin between the first two;
        - the entropy, as a share of its maximum;
        - the doubt 1 - (largest probability) on a log scale, 0 for none of it known and
          1 for one millionth or less: nets tell a sure answer from a surer one far
          beyond the second digit;
        - for each earlier stage: whether its answer is the same (1 or 0), and the
          probability it gave to the answer of `stage`. Both are 0 if it was skipped;
        - for each class, whether it is the answer: one class is announced too boldly,
          another is hard for every stage.
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
