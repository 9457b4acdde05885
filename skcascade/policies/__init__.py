"""Exit policies: when to stop, and where to go on."""

from ._base import BaseExitPolicy
from ._confidence_threshold import ConfidenceThreshold

__all__ = ["BaseExitPolicy", "ConfidenceThreshold"]
