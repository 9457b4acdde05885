"""Exit policies: when to stop, and where to go on."""

from ._base import BaseExitPolicy
from ._confidence_threshold import ConfidenceThreshold
from ._reinforce import Reinforce
from ._weighted_binary import WeightedBinary

__all__ = ["BaseExitPolicy", "ConfidenceThreshold", "Reinforce", "WeightedBinary"]
