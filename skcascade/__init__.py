"""Cascades of classifiers: the accuracy of the large one at a fraction of its cost."""

from .cascade._cascade import CascadeClassifier
from .cascade._make_cascade import make_cascade
from .evidence._outcome import Walk
from .evidence._trace import Trace
from .evidence._walk import EXIT, awalk, steps, walk
from .inspection._tradeoff_curve import tradeoff_curve
from .monitoring._monitor import ExitMonitor
from .tuning._curve import TradeoffCurve, TradeoffPoint
from .tuning._fit_policy import fit_policy
from .tuning._sample_size import SampleSize, sample_size
from .tuning._select_members import MemberSelection, select_members
from .utils._version import __version__

__all__ = [
    "EXIT",
    "CascadeClassifier",
    "ExitMonitor",
    "MemberSelection",
    "SampleSize",
    "Trace",
    "TradeoffCurve",
    "TradeoffPoint",
    "Walk",
    "__version__",
    "awalk",
    "fit_policy",
    "make_cascade",
    "sample_size",
    "select_members",
    "steps",
    "tradeoff_curve",
    "walk",
]
