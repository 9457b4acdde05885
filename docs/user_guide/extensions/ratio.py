"""A confidence: how many times as probable the predicted class is as the second one."""

import numpy as np


def log_ratio(proba):
    """Log ratio r of the two largest probabilities, scaled to [0, 1] by 1 - exp(-r).

    >>> log_ratio(np.array([[0.8, 0.2], [0.5, 0.5], [0.6, 0.3]])).round(2)
    array([0.75, 0.  , 0.5 ])
    >>> from skcascade.checks import check_policy
    >>> from skcascade.policies import ConfidenceThreshold
    >>> check_policy(ConfidenceThreshold(confidence=log_ratio))
    """
    top = np.partition(proba, -2, axis=1)[:, -2:]
    second, first = np.log(np.maximum(top, 1e-12)).T  # all are 0 where a sample is rejected
    return 1 - np.exp(second - first)
