"""Cost models: the cost of going from one stage to the next."""

from ._base import BaseCostModel
from ._fixed import FixedCost
from ._latency import LatencyCost
from ._macs import MacsCost

__all__ = ["BaseCostModel", "FixedCost", "LatencyCost", "MacsCost"]
