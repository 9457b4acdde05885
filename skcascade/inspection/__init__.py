"""Pictures of a fitted cascade; matplotlib is loaded when one is drawn."""

from ._tradeoff_display import TradeoffDisplay

__all__ = ["TradeoffDisplay"]
