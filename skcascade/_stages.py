"""Live evidence: the stages of fitted members, each run only where it is needed."""

import math
import sys
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

__all__ = ["Call", "Held", "Live", "Stages"]


class Held(NamedTuple):
    """What a member computed at one of its exits and can go on from.

    `state` is opaque but for `state[index]`, which selects rows.
    """

    exit: int
    state: Any


class Stages:
    """The stages of fitted members, in order.

    Parameters
    ----------
    members : list of (str, member)
        Each member offers `n_exits` (int), `labels` (of its columns, or None for those of
        the cascade) and `step(exit, X, held) -> (proba, state)`: the answer at one exit,
        and what later exits of the same member can go on from (None: nothing).
        `held` is None or the :class:`Held` of an earlier exit of the member.
    classes : array-like of shape (n_classes,)
        Labels of the cascade, sorted.

    Attributes
    ----------
    n_stages, n_classes : int
    names : list of str
        Name of each stage: the member's, with `:exit` where it has several.
    no_answer : bool
        Whether the last stage gives none: its member says so by `silent`.
    block_rows : int
        Rows to handle at once at most, so that what members hold stays small: the least
        of their own `block_rows`, an optional attribute.

    Raises
    ------
    ValueError
        If a member knows a label that is not in `classes`.
    """

    def __init__(self, members, classes):
        self.members = list(members)
        self.classes = np.asarray(classes)
        self._where = [
            (name, member, exit) for name, member in self.members for exit in range(member.n_exits)
        ]
        self.names = [
            name if member.n_exits == 1 else f"{name}:{exit}" for name, member, exit in self._where
        ]
        self.n_stages, self.n_classes = len(self._where), len(self.classes)
        self.no_answer = any(getattr(member, "silent", False) for _, member in self.members)
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

    def columns_of(self, name):
        """Columns of the cascade that hold those of member `name`."""
        columns = self._columns[name]
        return np.arange(self.n_classes) if columns is None else columns

    def step(self, stage, X, held=None):
        """Answer of `stage` for `X`, columns in the order of `classes`.

        Returns
        -------
        proba : ndarray of shape (n_rows, n_classes)
        state : object or None
            What later stages of the same member can go on from.

        Raises
        ------
        ValueError
            If the member answers NaN, infinity or the wrong shape.
        """
        name, member, exit = self._where[stage]
        proba, state = member.step(exit, X, held)
        columns = self._columns[name]
        shape = num_rows(X), self.n_classes if columns is None else len(columns)
        if proba.shape != shape:
            raise ValueError(
                f"Member {name!r} answered probabilities of shape {proba.shape}, expected"
                f" {shape}: one row a sample, one column a class."
            )
        # The sum is as finite as the numbers are, but where it overflows.
        wide = None if proba.itemsize > 2 else np.float64  # float16 cannot add up many rows
        total = np.add.reduce(proba, axis=None, dtype=wide)
        if not (math.isfinite(total) or np.isfinite(proba).all()):
            raise ValueError(
                f"Member {name!r} answered NaN or infinity as a probability. Look at its"
                " input, or at its training if it is a net."
            )
        if columns is None:
            return proba, state
        aligned = np.zeros((len(proba), self.n_classes), dtype=proba.dtype)
        aligned[:, columns] = proba
        return aligned, state

    def earlier_exits(self, stage):
        """Earlier stages of the same member, the nearest first."""
        return range(stage - 1, stage - 1 - self.exit_of(stage), -1)

    def member_of(self, stage):
        """The member that `stage` is an exit of."""
        return self._where[stage][1]

    def exit_of(self, stage):
        """Index of `stage` among the exits of its member."""
        return self._where[stage][2]

    def call(self, source, stage, X):
        """The price tag of an edge: going from `source` (None: the input) to `stage`."""
        name, member, exit = self._where[stage]
        held = None
        if source is not None and source in self.earlier_exits(stage):
            held = Held(self._where[source][2], self.step(source, X)[1])
        return Call(self, stage, name, member, exit, X, held)


class Call(NamedTuple):
    """One edge of the cascade, ready to be run and priced by a cost model.

    Calling it runs the stage once on `X`, going on from `held` if there is any.
    """

    stages: Stages
    stage: int
    name: str
    member: Any
    exit: int
    X: Any
    held: Held | None

    def __call__(self):
        """Run the stage once."""
        return self.stages.step(self.stage, self.X, self.held)

    def on(self, X):
        """The same edge over other rows."""
        held = self.held
        if held is not None:
            source = self.stage - self.exit + held.exit
            held = Held(held.exit, self.stages.step(source, X)[1])
        return self._replace(X=X, held=held)


class Live:
    """Evidence computed on demand: members run only on rows that ask for them.

    Stages are observed in rising order, since rows only go forward. What is held is let go
    when all its rows have gone on, or a later member is asked; and with the block.

    Parameters
    ----------
    stages : Stages
        Fitted members.
    X : indexable of length n_samples
        Arrays, sparse matrices, frames, tensors, lists, dicts of arrays: whatever
        the members take.
    """

    def __init__(self, stages, X):
        self.stages = stages
        self.X = X
        self.n_samples = num_rows(X)
        self.n_stages = stages.n_stages
        self.n_classes = stages.n_classes
        self.block_rows = stages.block_rows
        self._held = {}  # stage -> (rows, state) from which its member can go on

    def block(self, start, stop):
        """Evidence of rows `start` to `stop`; what it holds is freed with it."""
        whole = start == 0 and stop == self.n_samples
        return Live(self.stages, self.X if whole else take(self.X, slice(start, stop)))

    def observe(self, stage, rows):
        """Run `stage` on `rows` (sorted integers), each from where it stands.

        Rows that an earlier exit of the same member holds a state of go on from it,
        from the nearest such exit; all others start from the input.
        """
        self._let_go(stage)
        if not self._held:
            return self._run(stage, rows, None).astype(np.float32, copy=False)
        proba = np.empty((len(rows), self.n_classes), dtype=np.float32)
        todo = np.arange(len(rows))
        for source in self.stages.earlier_exits(stage):
            for chunk in list(self._held.get(source, ())):
                known, held = chunk
                mine = todo[np.isin(rows[todo], known)]
                if mine.size:
                    everyone = len(mine) == len(known)
                    state = held.state
                    if not everyone:
                        state = state[np.searchsorted(known, rows[mine])]
                    proba[mine] = self._run(stage, rows[mine], Held(held.exit, state))
                    todo = np.setdiff1d(todo, mine)
                    if everyone:
                        self._held[source] = [c for c in self._held[source] if c is not chunk]
        if todo.size:
            proba[todo] = self._run(stage, rows[todo], None)
        return proba

    def _let_go(self, stage):
        """Forget what neither `stage` nor a later one can go on from."""
        member = stage - self.stages.exit_of(stage)
        for source in [source for source in self._held if source < member]:
            del self._held[source]

    def _run(self, stage, rows, held):
        """Answers of `stage` for `rows`, from `held`; keeps what can be gone on from."""
        X = self.X if len(rows) == self.n_samples else take(self.X, rows)
        proba, state = self.stages.step(stage, X, held)
        if state is not None:
            chunk = rows, Held(self.stages.exit_of(stage), state)
            self._held.setdefault(stage, []).append(chunk)
        return proba


def num_rows(X):
    """Number of samples in `X`; a dict holds one array per input of a net."""
    if isinstance(X, np.ndarray) and X.ndim:
        return len(X)
    return num_rows(next(iter(X.values()))) if isinstance(X, dict) else _num_samples(X)


def take(X, index):
    """Rows of `X` that `index` (slice or integers) selects."""
    if isinstance(X, dict):
        return {key: take(value, index) for key, value in X.items()}
    frame = hasattr(X, "columns") or hasattr(X, "iloc")  # X[index] would select by label
    if isinstance(X, np.ndarray) or (hasattr(X, "shape") and not frame):
        return X[index]
    return _safe_indexing(X, index)
