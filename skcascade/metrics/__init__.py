"""Scorers and refit rules for searches over the trade-off."""

from ._refit import best_within, cheapest_within
from ._scorers import accuracy_cost_scorer, make_cost_scorer, relative_cost_scorer, tradeoff_scorer

__all__ = [
    "accuracy_cost_scorer",
    "best_within",
    "cheapest_within",
    "make_cost_scorer",
    "relative_cost_scorer",
    "tradeoff_scorer",
]
