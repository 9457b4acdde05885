"""What a cascade decides by: the stages, their answers, and the walk of the samples.

Evidence is recorded (:class:`Trace`) or computed on demand (:class:`Live`). :func:`walk` reads
either in the same way.
"""

from ._named_losses import CostMatrix
from ._outcome import Walk
from ._stages import CachedState, Live, Stages
from ._trace import Trace
from ._walk import EXIT, awalk, steps, walk

__all__ = [
    "EXIT",
    "CachedState",
    "CostMatrix",
    "Live",
    "Stages",
    "Trace",
    "Walk",
    "awalk",
    "steps",
    "walk",
]
