"""Cascades of classifiers: the accuracy of the big one at a fraction of its cost."""

from ._cascade import CascadeClassifier
from ._curve import TradeoffCurve, TradeoffPoint
from ._fit_policy import fit_policy
from ._held_out_size import HeldOutSize, held_out_size
from ._make_cascade import make_cascade
from ._monitor import ExitMonitor
from ._select_members import MemberSelection, select_members
from ._trace import Trace
from ._tradeoff_curve import tradeoff_curve
from ._walk import EXIT, Walk, walk

__version__ = "0.1.0"
__all__ = [
    "EXIT",
    "CascadeClassifier",
    "ExitMonitor",
    "HeldOutSize",
    "MemberSelection",
    "Trace",
    "TradeoffCurve",
    "TradeoffPoint",
    "Walk",
    "fit_policy",
    "held_out_size",
    "make_cascade",
    "select_members",
    "tradeoff_curve",
    "walk",
]
