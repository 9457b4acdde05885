"""From data to evidence: split, fit members, price them, fine-tune, record."""

import time
from contextlib import nullcontext
from copy import copy
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedShuffleSplit, check_cv, train_test_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from ._no_answer import NO_ANSWER, NoAnswer, with_free_stage
from ._stages import Stages, take
from ._trace import Trace
from .costs._pricing import fit_cost
from .members._adapters import is_local_net, thaw
from .utils._digest import digest

__all__ = ["Data", "MemberFitter", "fit_and_record", "record", "split_rows"]

#: Rows on which costs are measured.
COST_ROWS = 256


class Data(NamedTuple):
    """Samples `X`, their labels `y` and codes (n_samples,), and the classes of the codes."""

    X: Any
    y: np.ndarray
    codes: np.ndarray
    classes: np.ndarray

    def rows(self, index):
        """Samples, labels and codes of the rows `index`; three None for no rows at all."""
        if index is None:
            return None, None, None
        return take(self.X, index), self.y[index], self.codes[index]


def split_rows(cv, y, codes, rng):
    """Pairs of (fitting rows, held-out rows) as `cv` says.

    Parameters
    ----------
    cv : float, int, splitter, iterable or "prefit"
        A float is one stratified hold-out; "prefit" holds out every row.
    y, codes : ndarray of shape (n_samples,)
    rng : RandomState

    Returns
    -------
    splits : list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If the hold-out cannot hold every class, or a row is held out twice.
    """
    seed = rng.randint(2**31 - 1)
    if isinstance(cv, str):
        return [(np.arange(len(y)), np.arange(len(y)))]
    if isinstance(cv, float):
        return _hold_out(cv, codes, seed)
    cv = check_cv(cv, y, classifier=True)
    if getattr(cv, "random_state", 0) is None:
        cv = copy(cv)
        cv.random_state = seed
    splits = [(np.asarray(a), np.asarray(b)) for a, b in cv.split(np.zeros(len(y)), y)]
    held_out = np.concatenate([test for _, test in splits])
    if len(np.unique(held_out)) < len(held_out):
        raise ValueError(
            "`cv` holds out some rows more than once, so that their answers would count"
            " twice. Use folds that do not overlap."
        )
    if any(np.isin(test, train).any() for train, test in splits):
        raise ValueError(
            "`cv` holds out rows that members are fitted on, which would look better than they"
            " are. Use other rows, or cv='prefit' if the members are fitted already."
        )
    return splits


def _hold_out(share, codes, seed):
    """One stratified hold-out."""
    splitter = StratifiedShuffleSplit(1, test_size=share, random_state=seed)
    try:
        splits = list(splitter.split(np.zeros(len(codes)), codes))
        if any(len(np.unique(codes[rows])) <= codes.max() for rows in splits[0]):
            raise ValueError("The rarest class would be on one side only.")
        return splits
    except ValueError as error:
        raise ValueError(
            f"`cv`={share} cannot hold out rows of all {codes.max() + 1} classes from"
            f" n_samples={len(codes)}: {error} Give more rows of the rarest class, another"
            " share, or a number of folds."
        ) from error


class MemberFitter(NamedTuple):
    """Fits and records members, in parallel and through the cache.

    Attributes
    ----------
    names, members : lists of str and of members as `adapt` makes them
        Members are seeded and not fitted.
    params : list of dict
        Metadata for `fit` of each member.
    loss, batch_size, n_jobs, verbose
        As in `CascadeClassifier`.
    memory : joblib.Memory
    context : callback context
        The cascade's own, of scikit-learn's callbacks.
    """

    names: list
    members: list
    params: list
    loss: Any
    batch_size: int | None
    n_jobs: int | None
    verbose: int
    memory: joblib.Memory
    context: Any

    def fit(self, data, folds):
        """Fit every member on each of several sets of rows.

        Returns
        -------
        fitted : list of (Stages, str or None)
            One a fold; the string tells what its members were fitted from. None without a cache.
        """
        self._check_before(data)
        tasks = [(i, j) for i in range(len(folds)) for j in range(len(self.members))]
        keys = self._keys(data, folds)
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(self._fit_one)(data, folds[i], j, keys[i][j], n, len(tasks))
            for n, (i, j) in enumerate(tasks)
        )
        width = len(self.members)
        return [
            (
                Stages(list(zip(self.names, fitted[i * width : (i + 1) * width])), data.classes),
                None if self.memory.location is None else joblib.hash(keys[i]),
            )
            for i in range(len(folds))
        ]

    def _check_before(self, data):
        """ValueError for what would fail after, or in the middle of, fitting."""
        named = list(zip(self.names, self.members))
        # Frozen members are fitted already: whether they know other classes shows now.
        Stages([(n, m) for n, m in named if thaw(m.estimator) is not m.estimator], data.classes)
        backend, _ = joblib.parallel.get_active_backend()
        shared = getattr(backend, "supports_sharedmem", False)
        if shared or joblib.effective_n_jobs(self.n_jobs) == 1:
            return
        for name, member in named:
            if is_local_net(member.estimator):
                raise ValueError(
                    f"Member {name!r} has a torch module whose class is defined in `__main__`,"
                    f" where other processes cannot import it, and n_jobs={self.n_jobs}. Move"
                    " the class to a module that can be imported, or set n_jobs=None."
                )

    def record(self, stages, X, key):
        """Trace of `stages` on `X`, cached under `key`; not at all where it is None."""
        proba = record(stages, X, key, self.memory, batch_size=self.batch_size)
        return Trace(proba, loss=self.loss)

    def _keys(self, data, folds):
        """For each fold and member, what its fit depends on; None without a cache."""
        if self.memory.location is None:
            return [[None] * len(self.members) for _ in folds]
        own = [digest((m.estimator, m.seed, p)) for m, p in zip(self.members, self.params)]
        rows = [digest((*data.rows(fold), data.classes)) for fold in folds]
        return [[joblib.hash((key, fold)) for key in own] for fold in rows]

    def _fit_one(self, data, rows, j, key, n, total):
        """Fit member `j` on `rows`, or fetch it from the cache."""
        name, member = self.names[j], self.members[j].seeded(self.members[j].seed)
        self._say(f"({n + 1} of {total}) Fitting {name} ...")
        started = time.perf_counter()
        params = _check_method_params(data.X, self.params[j], indices=rows)
        fit = self.memory.cache(_fit, ignore=["member", "X", "y", "codes", "params"])
        context = self.context.subcontext(task_name=f"fit-{name}", task_id=n)
        heard = hasattr(member.estimator, "set_callbacks")
        with context.propagate_callback_context(member.estimator) if heard else nullcontext():
            context.call_on_fit_task_begin(estimator=member.estimator)
            fitted = fit(key, member, *data.rows(rows), params)
            context.call_on_fit_task_end(estimator=member.estimator)
        self._say(f"({n + 1} of {total}) {name}: {time.perf_counter() - started:.1f} s")
        return fitted

    def _say(self, message):
        if self.verbose:
            print(f"[CascadeClassifier] {message}", flush=True)  # noqa: T201


def _fit(key, member, X, y, codes, params):
    return member.fit(X, y, codes, **params)


def record(stages, X, key, memory, *, batch_size=None):
    """Answers of `stages` on `X`, cached in `memory` under `key`; not at all where it is None."""
    run = _record
    if key is not None:
        run = memory.cache(_record, ignore=["stages", "X", "batch_size"])
        key = joblib.hash((key, digest(X)))
    return run(key, stages, X, batch_size)


def _record(key, stages, X, batch_size):
    return Trace.record(stages, X, batch_size=batch_size).proba


class Fitted(NamedTuple):
    """The deployed stages, their prices, the policy that fine-tuned them, and the evidence.

    `key` is under what answers of the stages are cached; None: not at all.
    """

    stages: Stages
    cost: Any
    policy: Any
    trace: Trace
    key: str | None

    def with_no_answer(self, reject_cost):
        """The same with a last stage at which samples leave without an answer."""
        silent = NoAnswer(self.stages.n_classes)
        stages = Stages([*self.stages.members, (NO_ANSWER, silent)], self.stages.classes)
        trace = self.trace.with_no_answer(reject_cost)
        key = self.key and f"{self.key}, {NO_ANSWER}"
        return Fitted(stages, with_free_stage(self.cost), self.policy, trace, key)


def fit_and_record(fitter, data, splits, policy, cost, target, rng):
    """Fit members on each split, let the policy fine-tune them, record the held-out rows.

    Parameters
    ----------
    fitter : MemberFitter
    data : Data
    splits : list of (ndarray, ndarray)
        With several, one more set of members is fitted on everything and deployed.
    policy : BaseExitPolicy
        Its clones fine-tune, one for each set of members.
    cost : BaseCostModel, array-like or None
        As in `CascadeClassifier`.
    target : OperatingPoint
    rng : RandomState

    Returns
    -------
    fitted : Fitted
    """
    fitting = [train for train, _ in splits] + [np.arange(len(data.y))] * (len(splits) > 1)
    fitting = [_keep(rows, policy.validation_fraction, data.codes, rng) for rows in fitting]
    fitted = fitter.fit(data, [rows for rows, _ in fitting])
    held_out = np.concatenate([test for _, test in splits])
    cost = fit_cost(cost, fitted[-1][0], take(data.X, held_out[:COST_ROWS]))
    policies = [clone(policy) for _ in fitting]
    stages = []
    for own, (before, _), (rows, kept) in zip(policies, fitted, fitting):
        (X, _, codes), (X_val, _, codes_val) = data.rows(rows), data.rows(kept)
        stages.append(own.fine_tune(before, X, codes, X_val, codes_val, cost, target))
    # Stages that were left alone are what the key stands for.
    keys = [key if own is before else None for own, (before, key) in zip(stages, fitted)]
    traces = [
        fitter.record(own, take(data.X, test), key).proba
        for own, key, (_, test) in zip(stages, keys, splits)
    ]
    trace = Trace(traces[0] if len(traces) == 1 else np.concatenate(traces), loss=fitter.loss)
    return Fitted(stages[-1], cost, policies[-1], trace, keys[-1])


def _keep(rows, fraction, codes, rng):
    """`rows` without a stratified `fraction`, and that fraction (None where it is 0)."""
    if not fraction:
        return rows, None
    seed = rng.randint(2**31 - 1)
    size = max(int(np.ceil(fraction * len(rows))), len(np.unique(codes[rows])))
    try:
        return train_test_split(rows, test_size=size, stratify=codes[rows], random_state=seed)
    except ValueError as error:
        raise ValueError(
            f"The policy's `validation_fraction`={fraction} cannot keep rows of all classes from"
            f" {len(rows)} fitting rows: {error} Give more rows of the rarest class, or choose"
            " a policy that keeps none."
        ) from error
