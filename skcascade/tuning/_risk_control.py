"""Certified operating points: bounds that hold with a stated confidence.

Candidates are tuned on one part of the trace and tested one after the other on the rest, from
the safest to the boldest, until the first that fails (`fixed_sequence`). All that passed are
certified together, and the best of them is chosen. Where none passes, nothing is certified, and the
reference is chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from ..stats._fixed_sequence import fixed_sequence
from ..utils._warn import warn
from ._bound_tests import bound_test

__all__ = ["TUNING_SHARE", "Certificate", "best_certified", "certify", "smallest_group"]

#: Share of the trace on which the candidates are tuned when one is to be certified.
TUNING_SHARE = 0.3
#: With this probability a candidate is certified on the number of rows that is recommended.
POWER = 0.8


class Certificate(NamedTuple):
    """What was chosen, and whether its bound is certified.

    Attributes
    ----------
    index : int
        Of the candidate.
    certified : bool
        False: no test was passed.
    """

    index: int  # type: ignore[assignment]
    certified: bool


def certify(search, target, confidence_level, trace, y, cost, groups=None):
    """The best candidate that is certified on rows it was not tuned on.

    Parameters
    ----------
    search : Search
        Its `test_rows` are kept for this.
    target : OperatingPoint
        With `max_accuracy_drop` or `max_cost`.
    confidence_level : float
        In (0, 1).
    trace, y, cost
        The whole trace, its codes, the fitted cost model.
    groups : Groups, default=None
        The bound is to hold in each of these groups.

    Returns
    -------
    certificate : Certificate
        The reference, where nothing is certified.

    Raises
    ------
    ValueError
        If nothing is known of the largest loss.

    Warns
    -----
    CascadeWarning
        If nothing is certified.
    """
    test = bound_test(search, target, trace, y, cost, groups)
    level = 1 - confidence_level
    p_values = (test.p_value(index, level) for index in test.order)
    certified = best_certified(test, p_values, level)
    if certified is not None:
        return Certificate(certified, True)
    warn(
        "No operating point could be certified: the cascade is one stage alone, for which nothing"
        f" is guaranteed. {_advice(test, level)}{smallest_group(groups, search.test_rows)}"
    )
    return Certificate(test.fallback, False)


def best_certified(test, p_values, level):
    """The best candidate among those that pass, in the order of `test`; None if none does."""
    passed = test.order[: fixed_sequence(p_values, level)]
    return min(passed, key=test.rank) if len(passed) else None


def smallest_group(groups, test_rows):
    """A sentence that names the group with the fewest test rows; none without groups."""
    if groups is None:
        return ""
    label, n_rows = groups.smallest(test_rows)
    return f" The smallest group, {label!r}, has {n_rows} of {len(test_rows)} test rows."


def _advice(test, level):
    """A number of rows that would likely be enough, for the candidate that needs the fewest."""
    n_test = len(test.search.test_rows)
    margins, spreads = map(np.array, zip(*(test.margins(index) for index in test.order)))
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = ((test.deviations(level) + ndtri(POWER)) * spreads / margins) ** 2
    needed = np.where(margins > 0, needed, np.inf).max(axis=1)  # every bound must be kept
    if np.isfinite(needed.min(initial=np.inf)):
        rows = int(np.ceil(max(needed.min(), n_test + 1) / (1 - TUNING_SHARE)))
        return f"About {rows} held-out rows would likely be enough."
    beyond = (margins + 2 * spreads / np.sqrt(n_test / (1 - TUNING_SHARE)) < 0).any(axis=1)
    if beyond.all():
        return "On the rows at hand every candidate breaks it clearly: more rows will not help."
    return "Whether more rows would help cannot be told from so few."
