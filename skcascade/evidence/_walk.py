"""The only loop over stages: how samples walk through a cascade."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils._kinds import check_evidence, check_kind
from ._outcome import Walk

__all__ = ["EXIT", "awalk", "stages_in_use", "steps", "walk"]

#: What :meth:`~skcascade.policies.BaseExitPolicy.route` returns for a row that exits.
#: Every other value is the index of a later stage.
EXIT = -1

#: The evidence of one block of rows (float32) stays below this many bytes.
BLOCK_BYTES = 32 * 2**20


def walk(evidence: Any, policy: Any, *, batch_size: int | None = None) -> Walk:
    """Send every sample through the stages as `policy` decides.

    Edges only lead forward, so one pass in stage order serves chains (early exit)
    and directed acyclic graphs (network selection) alike. Each stage is asked
    for exactly the rows that reach it.

    Parameters
    ----------
    evidence : Trace or Live
        Answers of the stages: recorded, or computed on demand.
    policy : BaseExitPolicy
        A fitted policy. The walk enters at the first of its `stages_` (all
        stages when None) and always ends at the last of them.
    batch_size : int, default=None
        Rows handled at once. None keeps the evidence of a block near 32 MiB, and the
        states that members cache as small as they ask. The result does not depend on it.

    Returns
    -------
    walk : Walk
        With `proba` (n_samples, n_classes), `exit` (n_samples,) and
        `visited` (n_samples, n_stages); and `cost` (n_samples,) if the trace has costs of
        the rows: the sum over the stages visited.

    Raises
    ------
    ValueError
        If the policy uses a stage that does not exist, or routes a row
        anywhere but to :data:`EXIT` or to a later stage in use; or if `batch_size` is
        below 1.

    See Also
    --------
    steps : The walk as a generator, one request for answers at a time.
    awalk : The walk with answers that are awaited.

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
    check_evidence("evidence", evidence)
    _check_policy(policy)
    n = evidence.n_samples
    if batch_size is not None:
        check_kind("batch_size", batch_size, Integral, "an integer or None")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be 1 or more, or None, got {batch_size!r}.")
    size: int = n if n == 1 else batch_size or _block_size(evidence)
    if n <= size:
        return _with_cost(evidence, _walk_block(evidence.block(0, n), policy))
    n_stages, n_classes = evidence.n_stages, evidence.n_classes
    proba = np.empty((n, n_classes), dtype=np.float32)
    exits = np.empty(n, dtype=np.intp)
    visited = np.empty((n, n_stages), dtype=bool)
    for start in range(0, n, size):
        stop = min(start + size, n)
        part = _walk_block(evidence.block(start, stop), policy)
        proba[start:stop], exits[start:stop], visited[start:stop] = part[:3]
    return _with_cost(evidence, Walk(proba, exits, visited))


def _with_cost(evidence, route):
    """`route`, and what it cost each row if that was recorded."""
    cost = getattr(evidence, "cost", None)
    if cost is None:
        return route
    return route._replace(cost=np.where(route.visited, cost, 0.0).sum(axis=1))


def _block_size(evidence):
    """Rows whose evidence, and the states that members cache for them, fit in memory."""
    size = max(1, BLOCK_BYTES // (4 * evidence.n_stages * evidence.n_classes))
    return min(size, getattr(evidence, "block_rows", size))


def _walk_block(evidence, policy):
    """`walk` over rows whose evidence fits in memory."""
    walking = _steps(policy, evidence.n_samples, evidence.n_stages, evidence.n_classes)
    stage, rows = next(walking)
    try:
        while True:
            stage, rows = walking.send(evidence.observe(stage, rows))
    except StopIteration as end:
        return end.value


async def awalk(
    observe: Callable[[int, NDArray[np.intp]], Awaitable[Any]],
    policy: Any,
    n_samples: int,
    n_stages: int,
    n_classes: int,
) -> Walk:
    """:func:`walk` over stages that are awaited, such as remote services.

    Many walks can run concurrently in one event loop: while one waits for an answer, the
    others proceed.

    Parameters
    ----------
    observe : async callable
        ``await observe(stage, rows)`` gives the probabilities of `stage` for `rows` (sorted
        integers), of shape (n_rows, n_classes).
    policy : BaseExitPolicy
        A fitted policy.
    n_samples, n_stages, n_classes : int
        Of this walk.

    Returns
    -------
    walk : Walk

    Raises
    ------
    ValueError
        As :func:`walk`, or if an answer has the wrong shape.

    Examples
    --------
    >>> import asyncio
    >>> from skcascade import awalk
    >>> from skcascade.policies import ConfidenceThreshold
    >>> async def observe(stage, rows):
    ...     await asyncio.sleep(0)  # a request
    ...     return [[[0.6, 0.4], [0.1, 0.9]][stage]] * len(rows)
    >>> policy = ConfidenceThreshold().with_thresholds([0.8, float("inf")])
    >>> asyncio.run(awalk(observe, policy, n_samples=3, n_stages=2, n_classes=2)).exit
    array([1, 1, 1])
    """
    check_kind("observe", observe, Callable, "an async function")
    walking = steps(policy, n_samples, n_stages, n_classes)
    stage, rows = next(walking)
    try:
        while True:
            stage, rows = walking.send(await observe(stage, rows))
    except StopIteration as end:
        return end.value


def steps(
    policy: Any, n_samples: int, n_stages: int, n_classes: int
) -> Generator[tuple[int, NDArray[np.intp]], Any, Walk]:
    """The walk as a generator: it yields requests for answers, and is sent the answers.

    :func:`walk` drives it over evidence, :func:`awalk` over answers that are awaited. Drive it
    yourself where answers come from elsewhere.

    Parameters
    ----------
    policy : BaseExitPolicy
        A fitted policy.
    n_samples, n_stages, n_classes : int
        Of this walk. All rows are handled at once.

    Yields
    ------
    stage : int
        The stage whose answers are needed; later requests name later stages.
    rows : ndarray of int, shape (n_rows,)
        Sorted. Send the probabilities, of shape (n_rows, n_classes).

    Returns
    -------
    walk : Walk
        The value of the generator: `value` of the StopIteration.

    Raises
    ------
    ValueError
        As :func:`walk`, or if an answer has the wrong shape.

    Examples
    --------
    >>> from skcascade import steps
    >>> from skcascade.policies import ConfidenceThreshold
    >>> policy = ConfidenceThreshold().with_thresholds([0.8, float("inf")])
    >>> walking = steps(policy, n_samples=2, n_stages=2, n_classes=2)
    >>> next(walking)
    (0, array([0, 1]))
    >>> walking.send([[0.9, 0.1], [0.6, 0.4]])
    (1, array([1]))
    """
    _check_policy(policy)
    shape = ("n_samples", n_samples, 0), ("n_stages", n_stages, 1), ("n_classes", n_classes, 1)
    for name, value, least in shape:
        check_kind(name, value, Integral, "an integer")
        if value < least:
            raise ValueError(f"`{name}` must be {least} or more, got {value}.")
    return _steps(policy, n_samples, n_stages, n_classes)


def _check_policy(policy):
    """TypeError if `policy` cannot route."""
    if not hasattr(policy, "route"):
        raise TypeError(f"`policy` must be a fitted exit policy, got {policy!r:.80}.")


def _steps(policy, n_samples, n_stages, n_classes):
    """`steps`, of checked arguments."""
    in_use = stages_in_use(policy, n_stages)
    first, last = in_use[0], in_use[-1]
    rows = np.arange(n_samples)
    proba = _checked((yield first, rows), first, rows, n_classes)
    exits = np.empty(len(rows), dtype=np.intp)
    exits.fill(first)
    visited = np.zeros((len(rows), n_stages), dtype=bool)
    visited[:, first] = True
    if first == last:
        return Walk(proba, exits, visited)
    # A single row that exits at once is where every array counts: what it does not need is
    # made only when a row is deferred.
    seen = proba[:, np.newaxis]
    if first > 0:
        seen = _with_room(seen, first, first + 1)
    waiting = {}  # stage -> the rows that are to visit it, sorted
    _send_on(waiting, policy, first, rows, seen, in_use)
    if waiting:
        proba = proba.copy()
        seen = _with_room(seen, 0, n_stages)
    while waiting:
        stage = min(waiting)
        rows = waiting.pop(stage)
        seen[rows, stage] = proba[rows] = _checked((yield stage, rows), stage, rows, n_classes)
        exits[rows] = stage
        visited[rows, stage] = True
        if stage != last:
            _send_on(waiting, policy, stage, rows, seen[rows, : stage + 1], in_use)
    return Walk(proba, exits, visited)


def stages_in_use(policy: Any, n_stages: int) -> list[int]:
    """The stages `policy` may visit, as a sorted list."""
    stages = getattr(policy, "stages_", None)
    if stages is None:
        return list(range(n_stages))
    in_use = sorted({int(stage) for stage in stages})
    if not in_use or in_use[0] < 0 or in_use[-1] >= n_stages:
        raise ValueError(
            f"`stages_` of {type(policy).__name__} must hold one or more of the stages"
            f" 0 to {n_stages - 1}, got {stages!r}."
        )
    return in_use


def _checked(proba, stage, rows, n_classes):
    """The answer that was sent, as float32."""
    proba = np.asarray(proba, dtype=np.float32)
    if proba.shape != (len(rows), n_classes):
        raise ValueError(
            f"The answer of stage {stage} must have the shape (n_rows, n_classes) ="
            f" {(len(rows), n_classes)}, got {proba.shape}."
        )
    return proba


def _with_room(seen, start, n_stages):
    """NaN of shape (n_rows, n_stages, n_classes) that holds `seen` from stage `start` on."""
    n, k, n_classes = seen.shape
    room = np.full((n, n_stages, n_classes), np.nan, dtype=np.float32)
    room[:, start : start + k] = seen
    return room


def _send_on(waiting, policy, stage, rows, seen, in_use):
    """Queue the rows that do not exit at the stages they are routed to."""
    to = np.asarray(policy.route(stage, seen))
    deferred = to != EXIT
    if to.shape == rows.shape and not np.count_nonzero(deferred):
        return
    later = [k for k in in_use if k > stage]
    if to.shape != rows.shape or not np.isin(to[deferred], later).all():
        raise ValueError(
            f"`route` of {type(policy).__name__} must return EXIT ({EXIT}) or one of the later"
            f" stages in use {later} for each of the {len(rows)} rows at stage {stage}, got an"
            f" array of shape {to.shape} with {np.unique(to)[:5].tolist()}."
        )
    for k in later:
        sent = rows[to == k]
        if sent.size:
            waiting[k] = np.sort(np.r_[waiting[k], sent]) if k in waiting else sent
