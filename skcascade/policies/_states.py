"""Features of the answers that stop heads read."""

import torch
from torch.nn import functional as F

from ..utils._numbers import SMALLEST_DOUBT

__all__ = ["states"]

#: Log-odds of the most likely class are cut off here.
MAX_ODDS = 15.0


def states(proba):
    """Features of label probabilities (..., n_classes) for the heads: (..., n_features).

    The probabilities, the three largest in falling order, their entropy, the
    log-odds of the largest, and the predicted class. So a linear head can weigh classes
    differently and follow any of the usual confidences.
    """
    top = proba.topk(min(3, proba.shape[-1]), dim=-1).values
    entropy = torch.special.entr(proba).sum(dim=-1, keepdim=True)
    odds = torch.logit(top[..., :1], eps=SMALLEST_DOUBT).clamp(-MAX_ODDS, MAX_ODDS) / MAX_ODDS
    predicted = F.one_hot(proba.argmax(dim=-1), proba.shape[-1]).to(proba.dtype)
    return torch.cat([proba, top, entropy, odds, predicted], dim=-1)
