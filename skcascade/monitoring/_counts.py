"""How many samples reach each stage, exit there, and get the same answer as before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._kinds import as_array

__all__ = ["CountingEvidence", "Counts", "chain", "check_exits", "check_visited"]


class Counts:
    """Counts of samples on their routes through the stages.

    Parameters
    ----------
    n_stages : int

    Attributes
    ----------
    n_samples : int
        Samples counted.
    reach, exits : ndarray of int64, shape (n_stages,)
        Samples that visit each stage, and that exit there.
    moves, agree : ndarray of int64, shape (n_stages, n_stages)
        Samples deferred from one stage (row) to another (column) that does not reject, if the
        answers are known; and those of them for which both stages give the same answer.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.monitoring._counts import Counts
    >>> counts = Counts(2)
    >>> visited = np.array([[True, False], [True, True], [True, True]])
    >>> counts.add_routes(np.array([0, 1, 1]), visited)
    >>> counts.rate(None, 0)
    (1, 3)
    """

    def __init__(self, n_stages: int) -> None:
        self.n_samples = 0
        self.reach, self.exits = np.zeros((2, n_stages), dtype=np.int64)
        self.moves, self.agree = np.zeros((2, n_stages, n_stages), dtype=np.int64)

    def add_routes(self, exits: NDArray[np.intp], visited: NDArray[np.bool_]) -> None:
        """Count samples by their exits (n_samples,) and stages visited (n_samples, n_stages)."""
        self.n_samples += len(exits)
        self.reach += np.count_nonzero(visited, axis=0)
        self.exits += np.bincount(exits, minlength=len(self.exits))

    def add_moves(self, sources: NDArray[np.intp], stage: int, agree: NDArray[np.bool_]) -> None:
        """Count samples deferred from `sources` to `stage`, and those where both agree.

        `sources` and `agree` have the shape (n_rows,).
        """
        n_stages = len(self.reach)
        self.moves[:, stage] += np.bincount(sources, minlength=n_stages)
        self.agree[:, stage] += np.bincount(sources[agree], minlength=n_stages)

    def add(self, other: Counts) -> None:
        """Add other counts of the same stages."""
        self.n_samples += other.n_samples
        for name in ("reach", "exits", "moves", "agree"):
            mine = getattr(self, name)
            mine += getattr(other, name)

    def rate(self, source: int | None, stage: int) -> tuple[int, int]:
        """Hits and total of one rate: exits at `stage`, or agreement there with `source`."""
        if source is None:
            return int(self.exits[stage]), int(self.reach[stage])
        return int(self.agree[source, stage]), int(self.moves[source, stage])


class CountingEvidence:
    """Evidence that passes on the answers of other evidence, and counts which of them agree.

    Parameters
    ----------
    evidence : Trace or Live
    counts : Counts
        Its `moves` and `agree` are added to.
    """

    def __init__(self, evidence: Any, counts: Counts) -> None:
        self.evidence, self.counts = evidence, counts
        self.n_samples, self.n_stages = evidence.n_samples, evidence.n_stages
        self.n_classes = evidence.n_classes
        self.block_rows = getattr(evidence, "block_rows", sys.maxsize)
        self._stage: Any = None  # the stage that each row visited last
        self._answer: Any = None  # and its answer there

    def block(self, start: int, stop: int) -> CountingEvidence:
        """Evidence of rows `start` to `stop`; blocks add to the same counts."""
        return CountingEvidence(self.evidence.block(start, stop), self.counts)

    def observe(self, stage: int, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Answers of `stage` for `rows`; a walk asks for the first stage of all rows first."""
        proba = self.evidence.observe(stage, rows)
        answer = proba.argmax(axis=1)
        if self._stage is None:
            self._stage, self._answer = np.full(self.n_samples, stage), answer
            return proba
        answered = proba.any(axis=1)  # false at the reject stage
        self.counts.add_moves(
            self._stage[rows[answered]], stage, self._answer[rows[answered]] == answer[answered]
        )
        self._stage[rows], self._answer[rows] = stage, answer
        return proba


def chain(exits: NDArray[np.intp], in_use: Sequence[int], n_stages: int) -> NDArray[np.bool_]:
    """The stages visited (n_samples, n_stages) by samples that skip none of those in use."""
    stages = np.arange(n_stages)
    return (stages <= exits[:, np.newaxis]) & np.isin(stages, in_use)


def check_exits(exits: ArrayLike, in_use: Sequence[int]) -> NDArray[np.intp]:
    """`exits` as integers (n_samples,); ValueError if they are not stages in use."""
    exits = as_array("exits", exits)
    if exits.ndim != 1 or (exits.size and exits.dtype.kind not in "iu"):
        raise ValueError(
            "`exits` must be stage indices, integers of shape (n_samples,), got"
            f" {exits.dtype} of shape {exits.shape}."
        )
    exits = exits if exits.size else np.empty(0, dtype=np.intp)  # of whatever type it was
    unknown = np.setdiff1d(exits, in_use)
    if unknown.size:
        raise ValueError(
            f"`exits` must be among the stages in use, {in_use}, got {unknown[:5].tolist()}."
            " Logs of another policy need a monitor of their own."
        )
    return exits.astype(np.intp)


def check_visited(
    visited: ArrayLike, exits: NDArray[np.intp], in_use: Sequence[int], n_stages: int
) -> NDArray[np.bool_]:
    """`visited` as bool (n_samples, n_stages); ValueError if it does not match `exits`."""
    visited = as_array("visited", visited)
    shape = len(exits), n_stages
    if visited.shape != shape or not np.isin(visited, [0, 1]).all():
        raise ValueError(
            f"`visited` must be bool of the shape (n_samples, n_stages) = {shape}, got"
            f" {visited.dtype} of shape {visited.shape}."
        )
    visited = visited.astype(bool)
    ends = visited[np.arange(shape[0]), exits] & visited[:, in_use[0]]
    if not ends.all() or (visited & ~chain(exits, in_use, n_stages)).any():
        raise ValueError(
            "`visited` does not match `exits`: a sample visits the first stage in use,"
            f" {in_use[0]}, its exit, and only stages in use between them."
        )
    return visited
