"""Live evidence: the stages of fitted members, each run only where it is needed."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils._sklearn import _num_samples, _safe_indexing
from ._probabilities import are_probabilities, explain

__all__ = ["CachedState", "Call", "Live", "Stages"]


class CachedState(NamedTuple):
    """What a member computed at one of its exits and can continue from.

    Attributes
    ----------
    exit : int
        The exit of the member.
    state : object
        Opaque, except that `state[index]` selects rows.
    """

    exit: int
    state: Any


class Stages:
    """The stages of fitted members, in order.

    Parameters
    ----------
    members : list of (str, member)
        Each member offers `n_exits` (int), `labels` (of its columns, or None for those of
        the cascade) and `step(exit, X, cached) -> (proba, state)`: the answer at one exit,
        and what later exits of the same member can continue from (None: nothing).
        `cached` is None or the :class:`CachedState` of an earlier exit of the member.
    classes : array-like of shape (n_classes,)
        Labels of the cascade, sorted.
    key : str, default=None
        What the members were fitted from, as a key for caches of their answers. None: their
        answers must not be cached.

    Attributes
    ----------
    n_stages, n_classes : int
    names : list of str
        Name of each stage: the member's, with `:exit` where it has several.
    has_reject : bool
        Whether the last stage rejects: its member has a true `rejects`.
    block_rows : int
        Most rows to handle at once, so that the states members cache stay small: the least
        of their own `block_rows`, an optional attribute.

    Raises
    ------
    ValueError
        If a member knows a label that is not in `classes`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade.evidence import Stages
    >>> class Coin:
    ...     n_exits, labels = 1, None
    ...
    ...     def step(self, exit, X, cached):
    ...         return np.full((len(X), 2), 0.5), None
    >>> stages = Stages([("coin", Coin())], classes=["heads", "tails"])
    >>> stages.step(0, np.zeros((1, 3)))[0]
    array([[0.5, 0.5]])
    """

    def __init__(
        self, members: list[tuple[str, Any]], classes: ArrayLike, key: str | None = None
    ) -> None:
        self.members = list(members)
        self.classes = np.asarray(classes)
        self.key = key
        self._exits = [
            (name, member, exit) for name, member in self.members for exit in range(member.n_exits)
        ]
        self.names = [
            name if member.n_exits == 1 else f"{name}:{exit}" for name, member, exit in self._exits
        ]
        self.n_stages, self.n_classes = len(self._exits), len(self.classes)
        self.has_reject = any(getattr(member, "rejects", False) for _, member in self.members)
        limits = [getattr(member, "block_rows", None) for _, member in self.members]
        self.block_rows = min((limit for limit in limits if limit), default=sys.maxsize)
        self._columns = {name: self._align(name, m.labels) for name, m in self.members}

    def _align(self, name, labels):
        """Columns of the cascade that hold the member's; None where all agree."""
        if labels is None or np.array_equal(labels, self.classes):
            return None
        unknown = sorted(set(np.asarray(labels).tolist()) - set(self.classes.tolist()))
        if unknown:
            raise ValueError(
                f"Member {name!r} knows classes that `y` lacks: {unknown[:5]}. Fit it on"
                " the labels of this cascade, or give the cascade samples of them."
            )
        return np.searchsorted(self.classes, labels)

    def get_columns(self, name: str) -> NDArray[np.intp]:
        """Columns of the cascade that hold those of member `name`."""
        columns = self._columns[name]
        return np.arange(self.n_classes) if columns is None else columns

    def step(
        self, stage: int, X: Any, cached: CachedState | None = None
    ) -> tuple[NDArray[Any], Any]:
        """Answer of `stage` for `X`, columns in the order of `classes`.

        Returns
        -------
        proba : ndarray of shape (n_rows, n_classes)
        state : object or None
            What later stages of the same member can continue from.

        Raises
        ------
        ValueError
            If the member's answers are no probabilities, or have the wrong shape.
        """
        name, member, exit = self._exits[stage]
        proba, state = member.step(exit, X, cached)
        columns = self._columns[name]
        shape = num_rows(X), self.n_classes if columns is None else len(columns)
        if proba.shape != shape:
            raise ValueError(
                f"Member {name!r} answered probabilities of shape {proba.shape}, expected"
                f" {shape}: one row a sample, one column a class."
            )
        if not are_probabilities(proba) and not getattr(member, "rejects", False):
            self._check(name, proba)
        if columns is None:
            return proba, state
        aligned = np.zeros((len(proba), self.n_classes), dtype=proba.dtype)
        aligned[:, columns] = proba
        return aligned, state

    def _check(self, name, proba):
        """ValueError if the answers of a member are no probabilities."""
        found = explain(proba)
        if found is not None:
            raise ValueError(
                f"Member {name!r} answered {found} instead of probabilities from 0 to 1 that add"
                " up to 1. Logits and log-probabilities are the usual cause: a skorch net on logits"
                " needs criterion=torch.nn.CrossEntropyLoss or predict_nonlinearity; other"
                " classifiers must return probabilities from `predict_proba`. NaN comes from bad"
                " input, or from training that diverged."
            )

    def earlier_exits(self, stage: int) -> range:
        """Earlier stages of the same member, the nearest first."""
        return range(stage - 1, stage - 1 - self.get_exit(stage), -1)

    def get_member(self, stage: int) -> Any:
        """The member that `stage` is an exit of."""
        return self._exits[stage][1]

    def get_exit(self, stage: int) -> int:
        """Index of `stage` among the exits of its member."""
        return self._exits[stage][2]

    def call(self, source: int | None, stage: int, X: Any) -> Call:
        """The edge from `source` (None: the input) to `stage`, for a cost model to measure."""
        name, member, exit = self._exits[stage]
        cached = None
        if source is not None and source in self.earlier_exits(stage):
            cached = CachedState(self._exits[source][2], self.step(source, X)[1])
        return Call(self, stage, name, member, exit, X, cached)


class Call(NamedTuple):
    """One edge of the cascade, ready to be run and measured by a cost model.

    Calling it runs the stage once on `X`, from the `cached` state if there is one.
    """

    stages: Stages
    stage: int
    name: str
    member: Any
    exit: int
    X: Any
    cached: CachedState | None

    def __call__(self) -> tuple[NDArray[Any], Any]:
        """Run the stage once."""
        return self.stages.step(self.stage, self.X, self.cached)

    def on(self, X: Any) -> Call:
        """The same edge over other rows."""
        cached = self.cached
        if cached is not None:
            source = self.stage - self.exit + cached.exit
            cached = CachedState(cached.exit, self.stages.step(source, X)[1])
        return self._replace(X=X, cached=cached)


class Live:
    """Evidence computed on demand: members run only on rows that reach them.

    Stages are observed in rising order, since edges only lead forward. A cached state is freed
    when all its rows have moved on, when a later member is observed, and with its block.

    Parameters
    ----------
    stages : Stages
        Fitted members.
    X : indexable of length n_samples
        Arrays, sparse matrices, frames, tensors, lists, dicts of arrays: whatever
        the members take.
    """

    def __init__(self, stages: Stages, X: Any) -> None:
        self.stages = stages
        self.X = X
        self.n_samples = num_rows(X)
        self.n_stages = stages.n_stages
        self.n_classes = stages.n_classes
        self.block_rows = stages.block_rows
        self._cache: dict[int, list] = {}  # stage -> [(rows, state its member can continue from)]

    def block(self, start: int, stop: int) -> Live:
        """Evidence of rows `start` to `stop`; its cached states are freed with it."""
        whole = start == 0 and stop == self.n_samples
        return Live(self.stages, self.X if whole else take(self.X, slice(start, stop)))

    def observe(self, stage: int, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Run `stage` on `rows` (sorted integers), each from the nearest cached state.

        A row continues from the state that the nearest earlier exit of the same member cached
        for it, or else starts from the input.
        """
        if self._cache:
            self._free_before(stage)
        if not self._cache:
            return self._run(stage, rows, None).astype(np.float32, copy=False)
        proba = np.empty((len(rows), self.n_classes), dtype=np.float32)
        open_ = np.arange(len(rows))
        for source in self.stages.earlier_exits(stage):
            for chunk in list(self._cache.get(source, ())):
                known, cached = chunk
                mine = open_[np.isin(rows[open_], known)]
                if mine.size:
                    whole = len(mine) == len(known)
                    state = cached.state
                    if not whole:
                        state = state[np.searchsorted(known, rows[mine])]
                    proba[mine] = self._run(stage, rows[mine], CachedState(cached.exit, state))
                    open_ = np.setdiff1d(open_, mine)
                    if whole:
                        self._cache[source] = [c for c in self._cache[source] if c is not chunk]
        if open_.size:
            proba[open_] = self._run(stage, rows[open_], None)
        return proba

    def _free_before(self, stage):
        """Free states that neither `stage` nor a later one can continue from."""
        member = stage - self.stages.get_exit(stage)
        for source in [source for source in self._cache if source < member]:
            del self._cache[source]

    def _run(self, stage, rows, cached):
        """Answers of `stage` for `rows`, from `cached`; caches the new state."""
        X = self.X if len(rows) == self.n_samples else take(self.X, rows)
        proba, state = self.stages.step(stage, X, cached)
        if state is not None:
            chunk = rows, CachedState(self.stages.get_exit(stage), state)
            self._cache.setdefault(stage, []).append(chunk)
        return proba


def num_rows(X: Any) -> int:
    """Number of samples in `X`; a dict holds one array per input of a net."""
    if isinstance(X, np.ndarray) and X.ndim:
        return len(X)
    if not isinstance(X, dict):
        return _num_samples(X)
    if not X:
        raise ValueError("`X` is an empty dict: it must hold one array per input of a net.")
    return num_rows(next(iter(X.values())))


def take(X: Any, index: Any) -> Any:
    """Rows of `X` that `index` (slice or integers) selects."""
    if isinstance(X, dict):
        return {key: take(value, index) for key, value in X.items()}
    frame = hasattr(X, "columns") or hasattr(X, "iloc")  # X[index] would select by label
    if isinstance(X, np.ndarray) or (hasattr(X, "shape") and not frame):
        return X[index]
    return _safe_indexing(X, index)
