"""The table of rates in the report of a monitor."""

import numpy as np

from skcascade.monitoring._counts import Counts
from skcascade.monitoring._report import rate_table
from skcascade.stats._sequential_fisher import RateWatch


def test_columns_line_up():
    held_out, seen = Counts(2), Counts(2)
    visited = np.array([[True, True]] * 2000)
    for counts, n, stage in ((held_out, 2000, 1), (seen, 200, 0)):
        counts.add_routes(np.full(n, stage), visited[:n])
        counts.add_moves(np.zeros(n, dtype=int), 1, np.arange(n) % 2 == 0)
    exits, agree = RateWatch(0, 2000, 0.01), RateWatch(1000, 2000, 0.01)
    assert exits.update(200, 200) is not None
    table = rate_table({(None, 0): exits, (0, 1): agree}, ["a", "bb"], held_out, seen)
    assert table == [
        f"share of those{' ' * 21}           held out                fed",
        f"at a that exit{' ' * 21}    0.0000 of 2,000      1.0000 of 200  changed",
        "from a to bb that keep their answer    0.5000 of 2,000      0.5000 of 200",
    ]
