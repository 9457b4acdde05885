"""The only loop over stages: the way samples take through a cascade."""

from typing import NamedTuple

import numpy as np

__all__ = ["EXIT", "Walk", "walk"]

#: What :meth:`~skcascade.policies.BaseExitPolicy.route` answers for a row that
#: leaves. Every other answer is the index of a later stage.
EXIT = -1

#: The evidence of one block of rows (float32) is kept below this many bytes.
BLOCK_BYTES = 32 * 2**20


class Walk(NamedTuple):
    """The way every sample took.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        The answer of the stage at which the sample left.
    exit : ndarray of shape (n_samples,)
        Index of the stage at which the sample left.
    visited : ndarray of bool, shape (n_samples, n_stages)
        Which stages the sample visited, its exit included.
    """

    proba: np.ndarray
    exit: np.ndarray
    visited: np.ndarray


def walk(evidence, policy, *, batch_size=None):
    """Send every sample through the stages as `policy` says.

    Edges only go forward, so one pass in stage order serves chains (early exit)
    and directed acyclic graphs (network selection) alike. Each stage is asked
    for exactly the rows that reach it.

    Parameters
    ----------
    evidence : Trace or Live
        What the stages say: recorded, or computed on demand.
    policy : BaseExitPolicy
        A fitted policy. The walk enters at the first of its `stages_` (all
        stages when None) and always ends at the last of them.
    batch_size : int, default=None
        Rows handled at once. None keeps the evidence of a block near 32 MiB, and what
        its members hold as small as they ask. The result does not depend on it.

    Returns
    -------
    walk : Walk
        Named tuple of `proba` (n_samples, n_classes), `exit` (n_samples,) and
        `visited` (n_samples, n_stages).

    Raises
    ------
    ValueError
        If the policy names a stage that does not exist, or routes a row
        anywhere but to :data:`EXIT` or to a later stage in use; or if `batch_size` is
        below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace, walk
    >>> from skcascade.policies import BaseExitPolicy
    >>> class Sure(BaseExitPolicy):
    ...     def exit_mask(self, stage, proba):
    ...         return proba[:, stage].max(axis=1) >= 0.9
    >>> trace = Trace([[[0.95, 0.05], [0.6, 0.4]], [[0.5, 0.5], [0.2, 0.8]]])
    >>> walk(trace, Sure()).exit
    array([0, 1])
    """
    n, n_stages, n_classes = evidence.n_samples, evidence.n_stages, evidence.n_classes
    in_use = stages_in_use(policy, n_stages)
    if batch_size is None:
        batch_size = max(1, BLOCK_BYTES // (4 * n_stages * n_classes))
        batch_size = min(batch_size, getattr(evidence, "block_rows", batch_size))
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be 1 or more, or None, got {batch_size!r}.")
    if n <= batch_size:
        return _walk_block(evidence.block(0, n), policy, in_use)
    result = Walk(
        np.empty((n, n_classes), dtype=np.float32),
        np.empty(n, dtype=np.intp),
        np.empty((n, n_stages), dtype=bool),
    )
    for start in range(0, n, batch_size):
        stop = min(start + batch_size, n)
        part = _walk_block(evidence.block(start, stop), policy, in_use)
        for whole, piece in zip(result, part):
            whole[start:stop] = piece
    return result


def stages_in_use(policy, n_stages):
    """The stages `policy` may visit, as a sorted list of int."""
    stages = getattr(policy, "stages_", None)
    if stages is None:
        return list(range(n_stages))
    in_use = sorted({int(stage) for stage in stages})
    if not in_use or in_use[0] < 0 or in_use[-1] >= n_stages:
        raise ValueError(
            f"`stages_` of {type(policy).__name__} must name one or more of the stages"
            f" 0 to {n_stages - 1}, got {stages!r}."
        )
    return in_use


def _walk_block(block, policy, in_use):
    """`walk` over one block of rows, whose evidence fits in memory.

    A single row that leaves at once is the case where every array counts: what it does not
    need is made only when somebody goes on.
    """
    n, first, last = block.n_samples, in_use[0], in_use[-1]
    rows = np.arange(n)
    proba = block.observe(first, rows)
    exits = np.empty(n, dtype=np.intp)
    exits.fill(first)
    visited = np.zeros((n, block.n_stages), dtype=bool)
    visited[:, first] = True
    if first == last:
        return Walk(proba, exits, visited)
    seen = proba[:, np.newaxis]
    if first > 0:
        seen = _with_room(seen, first, first + 1)
    waiting = {}  # stage -> the rows that are to visit it, sorted
    _send_on(waiting, policy, first, rows, seen, in_use)
    if waiting:
        proba = proba.copy()
        seen = _with_room(seen, 0, block.n_stages)
    while waiting:
        stage = min(waiting)
        rows = waiting.pop(stage)
        seen[rows, stage] = proba[rows] = block.observe(stage, rows)
        exits[rows] = stage
        visited[rows, stage] = True
        if stage != last:
            _send_on(waiting, policy, stage, rows, seen[rows, : stage + 1], in_use)
    return Walk(proba, exits, visited)


def _with_room(seen, start, n_stages):
    """NaN of shape (n_rows, n_stages, n_classes) that holds `seen` from stage `start` on."""
    n, k, n_classes = seen.shape
    room = np.full((n, n_stages, n_classes), np.nan, dtype=np.float32)
    room[:, start : start + k] = seen
    return room


def _send_on(waiting, policy, stage, rows, seen, in_use):
    """Let the rows that do not leave wait at the stages they are routed to."""
    to = np.asarray(policy.route(stage, seen))
    stay = to != EXIT
    if to.shape == rows.shape and not np.count_nonzero(stay):
        return
    later = [k for k in in_use if k > stage]
    if to.shape != rows.shape or not np.isin(to[stay], later).all():
        raise ValueError(
            f"`route` of {type(policy).__name__} must return EXIT ({EXIT}) or one of the later"
            f" stages in use {later} for each of the {len(rows)} rows at stage {stage}, got an"
            f" array of shape {to.shape} with {np.unique(to)[:5].tolist()}."
        )
    for k in later:
        sent = rows[to == k]
        if sent.size:
            waiting[k] = np.sort(np.r_[waiting[k], sent]) if k in waiting else sent
