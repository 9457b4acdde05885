"""A fitted cascade in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..evidence._walk import stages_in_use
from ._curve import TradeoffCurve

__all__ = ["summarize"]


def summarize(
    names: Sequence[str],
    policy: Any,
    curve: TradeoffCurve,
    index: int,
    exits: TradeoffCurve | None = None,
) -> str:
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
        One point with the exit rates to show; None: those of the point of `curve`.

    Returns
    -------
    text : str
    """
    in_use = stages_in_use(policy, len(names))
    rates, right = curve.exit_rates[index], curve.exit_accuracy[index]
    if exits is not None:
        rates, right = exits.exit_rates[0], exits.exit_accuracy[0]
    width = max(7, *map(len, names))
    of_exits = f"{curve.metric} of exits"
    wide, wider = max(8, len(curve.metric)), len(of_exits)
    lines = [f"{'stage':<{width}}  {curve.metric:>{wide}}     cost  exits here  {of_exits}"]
    for k, name in enumerate(names):
        row = f"{name:<{width}}  {curve.stage_accuracy[k]:{wide}.4f}  {curve.stage_cost[k]:7.4f}"
        row += f"  {rates[k]:10.1%}" if k in in_use else f"  {'not used':>10}"
        row += f"  {right[k]:{wider}.4f}" if k in in_use and rates[k] > 0 else ""
        lines.append(row)
    score, cost = curve.accuracy[index], curve.relative_cost[index]
    total = f"{'cascade':<{width}}  {score:{wide}.4f}  {cost:7.4f}"
    lines += [total, verdict(names, curve, index, rates), *_dominated(names, curve)]
    return "\n".join(lines)


def verdict(names, curve, index, rates):
    """Whether the cascade is better than its reference stage."""
    reference = curve.reference
    name, accuracy = names[reference], curve.stage_accuracy[reference]
    k = int(np.argmax(rates))
    if rates[k] > 1 - 1e-12:
        return f"One stage alone is as good: {names[k]!r} serves this operating point best."
    cost, alone = curve.relative_cost[index], curve.stage_cost[reference]
    ratio = f"{cost / alone:.0%} of the cost of" if alone > 0 else "more expensive than"
    change = curve.accuracy[index] - accuracy
    score = f"{curve.metric} {change:+.4f}"
    return f"Worth a cascade: {ratio} {name!r} alone, {score}, on held-out rows."


def _dominated(names, curve):
    """A line for each stage that a later one beats in cost without a lower score."""
    cost, accuracy = curve.stage_cost, curve.stage_accuracy
    as_good = "is at least as accurate"
    if curve.metric != "accuracy":
        as_good = f"has at least its {curve.metric}"
    n_answering = len(names) - curve.has_reject
    for j in range(n_answering):
        for k in range(j + 1, n_answering):
            if cost[k] < cost[j] and accuracy[k] >= accuracy[j]:
                yield (
                    f"{names[k]!r} costs less than {names[j]!r} and {as_good}: put it"
                    f" first, or drop {names[j]!r}."
                )
                break
