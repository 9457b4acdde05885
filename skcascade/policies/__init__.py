"""Exit policies: when to exit, and which stage comes next."""

from ._alpha_path import AlphaPathPolicy
from ._base import BaseExitPolicy
from ._confidence_threshold import ConfidenceThreshold
from ._cuts import Cuts
from ._edges import EdgeRule, Edges
from ._head import Head
from ._reinforce import Reinforce
from ._weighted_binary import WeightedBinary

__all__ = [
    "AlphaPathPolicy",
    "BaseExitPolicy",
    "ConfidenceThreshold",
    "Cuts",
    "EdgeRule",
    "Edges",
    "Head",
    "Reinforce",
    "WeightedBinary",
]
