"""A cascade as a diagram."""

from __future__ import annotations

import numpy as np

from ..utils._sklearn import _VisualBlock

__all__ = ["cascade_block"]


def cascade_block(cascade):
    """Diagram of `cascade` for its HTML representation.

    Members in order, each with its share of the cost of the last one where it is fitted,
    then the policy.
    """
    members = dict(cascade.members or {"members": "three torch nets of growing size"})
    titles = list(members)
    if cascade.__sklearn_is_fitted__():
        members = cascade.members_
        last_exits = np.cumsum([member.n_exits for _, member in cascade.stages_.members]) - 1
        shares = cascade.tradeoff_.stage_cost[last_exits]
        titles = [f"{name}: {share:.1%} of the cost" for name, share in zip(members, shares)]
    policy = getattr(cascade, "policy_", cascade.policy) or "ConfidenceThreshold()"
    blocks = [
        _VisualBlock("parallel", [estimator], names=[title], dash_wrapped=False)
        for title, estimator in [*zip(titles, members.values()), ("policy", policy)]
    ]
    return _VisualBlock("serial", blocks, dash_wrapped=False)
