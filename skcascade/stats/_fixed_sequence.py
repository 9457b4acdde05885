"""Fixed-sequence testing: hypotheses in a given order, until the first that is not rejected.

Every rejection is valid at the same level, without a correction for their number, since a
hypothesis is tested only after all before it were rejected (Angelopoulos et al., Learn then test,
2021, section 4.3).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fixed_sequence", "thin_sequence"]


def fixed_sequence(p_values: Iterable[float], level: float) -> int:
    """Number of hypotheses rejected.

    Parameters
    ----------
    p_values : iterable of float
        In the order of the tests. Those after the first failure are not computed.
    level : float

    Returns
    -------
    n_rejected : int

    Examples
    --------
    >>> from skcascade.stats._fixed_sequence import fixed_sequence
    >>> fixed_sequence([0.01, 0.04, 0.2, 0.001], level=0.05)
    2
    """
    n_rejected = 0
    for p_value in p_values:
        if not p_value <= level:  # NaN is no evidence
            break
        n_rejected += 1
    return n_rejected


def thin_sequence(order: ArrayLike, cost: NDArray[np.float64], least: float) -> NDArray[np.intp]:
    """Those of `order`, by falling cost, that are cheaper by `least` than the one kept before.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.stats._fixed_sequence import thin_sequence
    >>> thin_sequence([3, 0, 2, 1], np.array([0.9, 0.5, 0.8, 1.0]), least=0.15)
    array([3, 2, 1])
    """
    kept: list[int] = []
    for index in np.asarray(order):
        if not kept or cost[kept[-1]] - cost[index] >= least:
            kept.append(index)
    return np.array(kept, dtype=int)
