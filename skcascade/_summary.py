"""A fitted cascade in words and as a diagram."""

import numpy as np

from ._walk import stages_in_use
from .utils._sklearn import _VisualBlock

__all__ = ["cascade_block", "summarize"]


def summarize(names, policy, curve, index, exits=None):
    """Table of the stages at point `index` of `curve`, and the verdict.

    Parameters
    ----------
    names : list of str
        Of the stages.
    policy : BaseExitPolicy
        Fitted.
    curve : TradeoffCurve
    index : int
    exits : TradeoffCurve, default=None
        One point that tells who leaves where; None: the point of `curve` does.

    Returns
    -------
    text : str
    """
    in_use = stages_in_use(policy, len(names))
    rates, right = curve.exit_rates[index], curve.exit_accuracy[index]
    if exits is not None:
        rates, right = exits.exit_rates[0], exits.exit_accuracy[0]
    width = max(7, *map(len, names))
    lines = [f"{'stage':<{width}}  accuracy     cost  leave here  accuracy of those"]
    for k, name in enumerate(names):
        row = f"{name:<{width}}  {curve.stage_accuracy[k]:8.4f}  {curve.stage_cost[k]:7.4f}"
        row += f"  {rates[k]:10.1%}" if k in in_use else f"  {'not used':>10}"
        row += f"  {right[k]:17.4f}" if k in in_use and rates[k] > 0 else ""
        lines.append(row)
    total = f"{'cascade':<{width}}  {curve.accuracy[index]:8.4f}  {curve.relative_cost[index]:7.4f}"
    return "\n".join([*lines, total, verdict(names, curve, index, rates)])


def verdict(names, curve, index, rates):
    """Whether the cascade is worth having over its reference stage."""
    reference = curve.reference
    name, accuracy = names[reference], curve.stage_accuracy[reference]
    k = int(np.argmax(rates))
    if rates[k] > 1 - 1e-12:
        return f"One stage alone is as good: {names[k]!r} serves this operating point best."
    cost, alone = curve.relative_cost[index], curve.stage_cost[reference]
    paid = f"{cost / alone:.0%} of the cost of" if alone > 0 else "dearer than"
    change = curve.accuracy[index] - accuracy
    return f"Worth a cascade: {paid} {name!r} alone, accuracy {change:+.4f}, on held-out rows."


def cascade_block(cascade):
    """Diagram of `cascade` for its HTML representation.

    Members in order, each with its share of the cost of the last one where it is fitted,
    then the policy.
    """
    members = dict(cascade.members or {"members": "three torch nets of growing size"})
    titles = list(members)
    if cascade.__sklearn_is_fitted__():
        members = cascade.members_
        last_exits = np.cumsum([member.n_exits for _, member in cascade._stages.members]) - 1
        shares = cascade.tradeoff_.stage_cost[last_exits]
        titles = [f"{name}: {share:.1%} of the cost" for name, share in zip(members, shares)]
    policy = getattr(cascade, "policy_", cascade.policy) or "ConfidenceThreshold()"
    blocks = [
        _VisualBlock("parallel", [estimator], names=[title], dash_wrapped=False)
        for title, estimator in [*zip(titles, members.values()), ("policy", policy)]
    ]
    return _VisualBlock("serial", blocks, dash_wrapped=False)
