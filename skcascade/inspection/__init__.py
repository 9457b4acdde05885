"""Plots of a fitted cascade. Matplotlib is imported when one is drawn."""

from ._confidence_display import ConfidenceDisplay, StageConfidence
from ._exit_display import ExitDisplay
from ._exit_examples import plot_exit_examples
from ._tradeoff_display import TradeoffDisplay

__all__ = [
    "ConfidenceDisplay",
    "ExitDisplay",
    "StageConfidence",
    "TradeoffDisplay",
    "plot_exit_examples",
]
