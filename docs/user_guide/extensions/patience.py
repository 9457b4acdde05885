"""A policy: exit when two stages in a row agree (Zhou et al., NeurIPS 2020)."""

import numpy as np

from skcascade.policies import BaseExitPolicy


class Patience(BaseExitPolicy):
    """Exit when the stage predicts the class that the stage before it predicts.

    >>> from skcascade import Trace, walk
    >>> from skcascade.checks import check_policy
    >>> check_policy(Patience())
    >>> a, b = [0.9, 0.1], [0.2, 0.8]
    >>> walk(Trace([[a, a, b], [a, b, b], [b, a, b]]), Patience()).exit
    array([1, 2, 2])
    """

    def exit_mask(self, stage, proba):
        before = [k for k in self.stages_ or range(stage) if k < stage]
        if not before:
            return np.zeros(len(proba), dtype=bool)
        return proba[:, stage].argmax(axis=1) == proba[:, before[-1]].argmax(axis=1)
