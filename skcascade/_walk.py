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
        Rows handled at once. None keeps the evidence of a block near 32 MiB.
        The result does not depend on it.

    Returns
    -------
    walk : Walk
        Named tuple of `proba` (n_samples, n_classes), `exit` (n_samples,) and
        `visited` (n_samples, n_stages).

    Raises
    ------
    ValueError
        If the policy names a stage that does not exist, or routes a row
        anywhere but to :data:`EXIT` or to a later stage in use.

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
    """`walk` over one block of rows, whose evidence fits in memory."""
    n, last = block.n_samples, in_use[-1]
    seen = np.full((n, block.n_stages, block.n_classes), np.nan, dtype=np.float32)
    visited = np.zeros((n, block.n_stages), dtype=bool)
    at = np.full(n, in_use[0])
    for stage in in_use:
        here = at == stage
        rows = np.flatnonzero(here)
        if rows.size == 0:
            continue
        visited[rows, stage] = True
        seen[rows, stage] = block.observe(stage, rows)
        if stage != last:
            evidence = seen[:, : stage + 1]
            if rows.size < n:
                evidence = evidence[rows]
            to = np.asarray(policy.route(stage, evidence))
            leaves = to == EXIT
            _check_route(policy, stage, to[~leaves], rows.size, to.shape, in_use)
            at[rows] = np.where(leaves, stage, to)
    return Walk(seen[np.arange(n), at], at, visited)


def _check_route(policy, stage, to, n_rows, shape, in_use):
    later = [k for k in in_use if k > stage]
    if shape != (n_rows,) or not np.isin(to, later).all():
        raise ValueError(
            f"`route` of {type(policy).__name__} must return one of EXIT ({EXIT}) or a"
            f" later stage in use {later} for each of the {n_rows} rows at stage"
            f" {stage}, got an array of shape {shape} with stages"
            f" {np.unique(to)[:5].tolist()}."
        )
