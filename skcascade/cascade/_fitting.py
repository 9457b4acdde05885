"""From data to evidence: fit members, measure costs, fine-tune, record."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.utils.parallel import Parallel, delayed

from ..costs._default import fit_cost
from ..evidence._reject import REJECT, RejectMember
from ..evidence._stages import Stages, take
from ..evidence._trace import Trace
from ..members._adapters import is_local_net, unwrap_frozen
from ..tuning._fit_policy import add_free_stage
from ..utils._digest import UnkeyableError, digest
from ..utils._logging import logger, shown
from ..utils._sklearn import _check_method_params
from ..utils._warn import warn

__all__ = ["Data", "MemberFitter", "fit_and_record", "record"]

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


class MemberFitter(NamedTuple):
    """Fits members, in parallel and through the cache.

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
        fitted : list of Stages
            One for each fold. Without a cache they have no `key`.
        """
        self._check_before(data)
        tasks = [(i, j) for i in range(len(folds)) for j in range(len(self.members))]
        keys = self._keys(data, folds)
        with shown(self.verbose):
            fitted = Parallel(n_jobs=self.n_jobs)(
                delayed(self._fit_one)(data, folds[i], j, keys[i][j], n, len(tasks))
                for n, (i, j) in enumerate(tasks)
            )
        width, no_cache = len(self.members), self.memory.location is None
        return [
            Stages(
                list(zip(self.names, fitted[i * width : (i + 1) * width])),
                data.classes,
                key=None if no_cache else joblib.hash(keys[i]),
            )
            for i in range(len(folds))
        ]

    def _check_before(self, data):
        """ValueError for errors that would otherwise come during or after fitting."""
        named = list(zip(self.names, self.members))
        # Frozen members are fitted already, so their classes can be checked now.
        Stages(
            [(n, m) for n, m in named if unwrap_frozen(m.estimator) is not m.estimator],
            data.classes,
        )
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

    def _keys(self, data, folds):
        """For each fold and member, a key of all its fit depends on; None without a cache."""
        if self.memory.location is None:
            return [[None] * len(self.members) for _ in folds]
        own = [self._member_key(*of) for of in zip(self.names, self.members, self.params)]
        rows = [digest((*data.rows(fold), data.classes)) for fold in folds]
        return [[joblib.hash((key, fold)) for key in own] for fold in rows]

    def _member_key(self, name, member, params):
        """A key of what a member is before it is fitted; ValueError if there is none."""
        try:
            return digest((member.estimator, member.seed, params))
        except UnkeyableError as error:
            raise ValueError(f"Member {name!r} cannot be cached in `memory`: {error}") from error

    def _fit_one(self, data, rows, j, key, n, total):
        """Fit member `j` on `rows`, or fetch it from the cache."""
        name, member = self.names[j], self.members[j].seeded(self.members[j].seed)
        params = _check_method_params(data.X, self.params[j], indices=rows)
        fit = self.memory.cache(_fit, ignore=["member", "X", "y", "codes", "params"])
        context = self.context.subcontext(task_name=f"fit-{name}", task_id=n)
        has_callbacks = hasattr(member.estimator, "set_callbacks")
        own = context.propagate_callback_context(member.estimator) if has_callbacks else None
        with shown(self.verbose), own or nullcontext():  # shown again: this may be a worker
            logger.info("(%d of %d) Fitting %s ...", n + 1, total, name)
            started = time.perf_counter()
            context.call_on_fit_task_begin(estimator=member.estimator)
            try:
                fitted = fit(key, member, *data.rows(rows), params)
            except Exception as error:
                error.add_note(f"While fitting member {name!r}.")
                raise
            context.call_on_fit_task_end(estimator=member.estimator)
            seconds = time.perf_counter() - started
            logger.info("(%d of %d) %s: %.1f s", n + 1, total, name, seconds)
        return fitted


def _fit(key, member, X, y, codes, params):
    return member.fit(X, y, codes, **params)


def record(stages, X, memory, *, batch_size=None):
    """Answers of `stages` on `X`, cached in `memory` if the stages have a key."""
    run, key = _record, stages.key
    if key is not None and memory.location is not None:
        run = memory.cache(_record, ignore=["stages", "X", "batch_size"])
        key = joblib.hash((key, digest(X)))
    return run(key, stages, X, batch_size)


def _record(key, stages, X, batch_size):
    return Trace.record(stages, X, batch_size=batch_size).proba


class Fitted(NamedTuple):
    """The deployed stages, their costs, the policy that fine-tuned them, and the evidence."""

    stages: Stages
    cost: Any
    policy: Any
    trace: Trace

    def with_reject(self, reject_cost):
        """The same with a last stage at which samples are rejected."""
        own = self.stages
        members = [*own.members, (REJECT, RejectMember(own.n_classes))]
        stages = Stages(members, own.classes, key=own.key and f"{own.key}, {REJECT}")
        trace = self.trace.with_reject(reject_cost)
        return Fitted(stages, add_free_stage(self.cost), self.policy, trace)


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
    cost = fit_cost(cost, fitted[-1], take(data.X, held_out[:COST_ROWS]))
    _warn_of_order(fitted[-1].names, cost.edge_costs_[0])
    policies = [clone(policy) for _ in fitting]
    stages = []
    for own, before, (rows, kept) in zip(policies, fitted, fitting):
        (X, _, codes), (X_val, _, codes_val) = data.rows(rows), data.rows(kept)
        tuned = own.fine_tune(before, X, codes, X_val, codes_val, cost, target)
        # The key is for stages that were not changed.
        stages.append(before if tuned is before else Stages(tuned.members, tuned.classes))
    answers = [
        record(own, take(data.X, test), fitter.memory, batch_size=fitter.batch_size)
        for own, (_, test) in zip(stages, splits)
    ]
    trace = Trace(answers[0] if len(answers) == 1 else np.concatenate(answers), loss=fitter.loss)
    return Fitted(stages[-1], cost, policies[-1], trace)


def _warn_of_order(names, costs):
    """Warn if a stage costs less than one before it: members go from cheap to expensive."""
    for k in range(1, len(costs)):
        most = int(np.argmax(costs[:k]))
        if costs[k] < costs[most]:
            warn(
                f"Stage {names[k]!r} costs {costs[k]:.4g} and comes after {names[most]!r}, which"
                f" costs {costs[most]:.4g}. Give members from the cheapest to the most expensive."
            )
            return


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
