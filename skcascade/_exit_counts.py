"""How many samples reach each stage, leave there, and hear the same answer again."""

import sys

import numpy as np

__all__ = ["Counts", "Witness", "chain", "check_exits", "check_visited"]


class Counts:
    """Counts of samples on their ways through the stages.

    Parameters
    ----------
    n_stages : int

    Attributes
    ----------
    n_samples : int
        Samples counted.
    reach, leave : ndarray of int64, shape (n_stages,)
        Samples that visit each stage, and that leave there.
    moves, agree : ndarray of int64, shape (n_stages, n_stages)
        Samples that go from one stage (row) to another (column) and get an answer there
        that is known, and those of them to which both give the same answer.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade._exit_counts import Counts
    >>> counts = Counts(2)
    >>> counts.add_ways(np.array([0, 1, 1]), np.array([[True, False], [True, True], [True, True]]))
    >>> counts.of(None, 0)
    (1, 3)
    """

    def __init__(self, n_stages):
        self.n_samples = 0
        self.reach, self.leave = np.zeros((2, n_stages), dtype=np.int64)
        self.moves, self.agree = np.zeros((2, n_stages, n_stages), dtype=np.int64)

    def add_ways(self, exits, visited):
        """Count samples by their exits (n_samples,) and stages visited (n_samples, n_stages)."""
        self.n_samples += len(exits)
        self.reach += np.count_nonzero(visited, axis=0)
        self.leave += np.bincount(exits, minlength=len(self.leave))

    def add_moves(self, sources, stage, agree):
        """Count samples that go to `stage` from `sources` (n_rows,), and whether both agree."""
        n_stages = len(self.reach)
        self.moves[:, stage] += np.bincount(sources, minlength=n_stages)
        self.agree[:, stage] += np.bincount(sources[agree], minlength=n_stages)

    def add(self, other):
        """Add other counts of the same stages."""
        self.n_samples += other.n_samples
        for name in ("reach", "leave", "moves", "agree"):
            mine = getattr(self, name)
            mine += getattr(other, name)

    def of(self, source, stage):
        """Hits and total of one rate: leaving at `stage`, or agreement there with `source`."""
        if source is None:
            return int(self.leave[stage]), int(self.reach[stage])
        return int(self.agree[source, stage]), int(self.moves[source, stage])


class Witness:
    """Evidence that hands on what another says, and counts which answers agree.

    Parameters
    ----------
    evidence : Trace or Live
    counts : Counts
        Its `moves` and `agree` are added to.
    """

    def __init__(self, evidence, counts):
        self.evidence, self.counts = evidence, counts
        self.n_samples, self.n_stages = evidence.n_samples, evidence.n_stages
        self.n_classes = evidence.n_classes
        self.block_rows = getattr(evidence, "block_rows", sys.maxsize)
        self._stage = self._answer = None  # of each row: where it was last, what was said there

    def block(self, start, stop):
        """Evidence of rows `start` to `stop`; blocks add to the same counts."""
        return Witness(self.evidence.block(start, stop), self.counts)

    def observe(self, stage, rows):
        """What `stage` says of `rows`; a walk asks for the first stage of all rows first."""
        proba = self.evidence.observe(stage, rows)
        answer = proba.argmax(axis=1)
        if self._stage is None:
            self._stage, self._answer = np.full(self.n_samples, stage), answer
            return proba
        said = proba.any(axis=1)  # not at the exit "no answer"
        self.counts.add_moves(
            self._stage[rows[said]], stage, self._answer[rows[said]] == answer[said]
        )
        self._stage[rows], self._answer[rows] = stage, answer
        return proba


def chain(exits, in_use, n_stages):
    """The stages visited (n_samples, n_stages) by samples that skip none of those in use."""
    stages = np.arange(n_stages)
    return (stages <= exits[:, np.newaxis]) & np.isin(stages, in_use)


def check_exits(exits, in_use):
    """`exits` as integers (n_samples,); ValueError if they are not stages in use."""
    exits = np.asarray(exits)
    if exits.ndim != 1 or (exits.size and exits.dtype.kind not in "iu"):
        raise ValueError(
            "`exits` must be stage indices, integers of shape (n_samples,), got"
            f" {exits.dtype} of shape {exits.shape}."
        )
    unknown = np.setdiff1d(exits, in_use)
    if unknown.size:
        raise ValueError(
            f"`exits` must be among the stages in use, {in_use}, got {unknown[:5].tolist()}."
            " Logs of another policy need a monitor of their own."
        )
    return exits.astype(np.intp)


def check_visited(visited, exits, in_use, n_stages):
    """`visited` as bool (n_samples, n_stages); ValueError if it does not go with `exits`."""
    visited = np.asarray(visited)
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
            "`visited` does not go with `exits`: a sample visits the first stage in use,"
            f" {in_use[0]}, its exit, and between them others in use only."
        )
    return visited
