"""Drift of a deployed cascade, seen in exit rates and in the agreement of stages.

Two kinds of rates are compared with held-out rows, without labels. One is the share of the samples
at a stage that exit there. The other is the share of the samples deferred from one stage to another
for which both give the same answer.

Samples are taken to be independent draws. The exits at a stage (the agreements between two stages)
are then independent draws at one rate, whichever samples get there. The tests of
`skcascade.stats._sequential_fisher` watch such a rate over a whole stream. Each rate gets an equal
part of `false_alarm_rate`. By Bonferroni's inequality, this bounds the probability of ever
reporting a rate that did not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..evidence._reject import decode_labels
from ..evidence._walk import Walk, stages_in_use, walk
from ..stats._sequential_fisher import RateWatch
from ..utils._kinds import as_list, check_evidence, check_fitted_cascade
from ..utils._warn import warn
from ._counts import CountingEvidence, Counts, chain, check_exits, check_visited
from ._events import RateEvent
from ._report import rate_table

__all__ = ["ExitMonitor", "RateEvent"]


class ExitMonitor:
    """Watch whether exit rates and the agreement of stages are those of held-out samples.

    Feed it batches by :meth:`predict`, :meth:`walk` or :meth:`update`, in any mixture. It
    keeps counts and no samples. ``cascade.monitor()`` makes one for a fitted cascade.

    Parameters
    ----------
    policy : BaseExitPolicy
        A fitted policy.
    reference : Trace or Live
        Answers on rows like those to come that no member was fitted on. Labels are not
        needed. Each row counts once, whatever its weight. Only counts are kept.
    stage_names : list of str, default=None
        None: those of `cascade`, else "stage 0" and so on.
    false_alarm_rate : float in (0, 1), default=0.01
        Probability, over all batches ever fed, of an alarm about a rate that did not change.
    cascade : CascadeClassifier, default=None
        Predicts in :meth:`predict`; its policy must be `policy`.

    Attributes
    ----------
    alarm : bool
        Whether any rate changed. It stays True: make a new monitor to start again.
    events : list of RateEvent
        The rates that changed, in the order in which they were found. Each occurs once.
    n_samples : int
        Samples fed.
    held_out, seen : Counts
        Counts at each stage, of the reference and of the samples fed.

    Raises
    ------
    ValueError
        If `reference` is None, or `stage_names` or `false_alarm_rate` cannot be used.

    Warns
    -----
    CascadeWarning
        If the policy uses one stage only: nothing can be tested.

    Notes
    -----
    The rows a policy was tuned on can be the reference if its rule is as simple as thresholds.
    A rule that has memorized these rows (:class:`~skcascade.policies.WeightedBinary` with a
    forest) needs others.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace
    >>> from skcascade import ExitMonitor
    >>> from skcascade.policies import BaseExitPolicy
    >>> class Sure(BaseExitPolicy):
    ...     def exit_mask(self, stage, proba):
    ...         return proba[:, stage].max(axis=1) >= 0.9
    >>> sure, unsure = [[0.95, 0.05], [0.9, 0.1]], [[0.6, 0.4], [0.9, 0.1]]
    >>> monitor = ExitMonitor(Sure(), Trace([sure] * 800 + [unsure] * 200))
    >>> exits = monitor.walk(Trace([sure] * 40 + [unsure] * 10)).exit
    >>> monitor.alarm
    False
    >>> exits = monitor.walk(Trace([sure] * 20 + [unsure] * 30)).exit
    >>> print(monitor.events[0])
    fewer exit at stage 0: 40.0% of 50, held out 80.0% of 1,000 (p = 4.7e-09, after 100 samples)
    """

    def __init__(
        self,
        policy: Any,
        reference: Any,
        *,
        stage_names: Sequence[str] | None = None,
        false_alarm_rate: float = 0.01,
        cascade: Any = None,
    ) -> None:
        if reference is None:
            raise ValueError(
                "`reference` is None. Give the held-out trace of the cascade, which is kept with"
                " store_trace=True, or rows like those to come."
            )
        check_evidence("reference", reference)
        if not _is_share(false_alarm_rate):
            raise ValueError(
                f"`false_alarm_rate` must be a number between 0 and 1, got {false_alarm_rate!r}."
            )
        if cascade is not None:
            check_fitted_cascade("cascade", cascade)
            check_is_fitted(cascade)
        n_stages = reference.n_stages
        if stage_names is None:
            numbered = [f"stage {k}" for k in range(n_stages)]
            stage_names = numbered if cascade is None else cascade.stage_names_
        stage_names = as_list("stage_names", stage_names)
        if len(stage_names) != n_stages:
            raise ValueError(
                f"`stage_names` must name the {n_stages} stages, got {len(stage_names)} names."
            )
        self.policy, self.stage_names = policy, stage_names
        self.false_alarm_rate, self.cascade = false_alarm_rate, cascade
        self.n_classes, self._in_use = reference.n_classes, stages_in_use(policy, n_stages)
        self.events: list[RateEvent] = []
        self.seen = Counts(n_stages)
        route, self.held_out = self._count(reference)
        self._watches = self._all_watches()
        straight = np.array_equal(route.visited, chain(route.exit, self._in_use, n_stages))
        self._skips = policy.may_skip or not straight

    @property
    def alarm(self) -> bool:
        """Whether any rate changed."""
        return bool(self.events)

    @property
    def n_samples(self) -> int:
        """Samples fed."""
        return self.seen.n_samples

    @property
    def rates(self) -> list[tuple[int | None, int]]:
        """The rates that are tested, as (index of the source or None, index of the stage)."""
        return list(self._watches)

    def predict(self, X: Any) -> NDArray[Any]:
        """Label of each sample, as the cascade predicts it. Counts the samples.

        Parameters
        ----------
        X : samples
            One batch.

        Returns
        -------
        y : ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If there is no cascade, or it was fitted or its operating point changed since.
        """
        proba = self.predict_proba(X)
        return decode_labels(proba, self.cascade.labels_)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Probabilities, as the cascade predicts them; like :meth:`predict`.

        Parameters
        ----------
        X : samples

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32
        """
        if self.cascade is None:
            raise ValueError(
                "There is no `cascade` to predict with. Make the monitor by `cascade.monitor()`,"
                " or feed recorded answers to `walk` or logged exits to `update`."
            )
        if self.cascade.policy_ is not self.policy:
            raise ValueError(
                "The cascade was fitted, or its operating point changed, since this monitor was"
                " made. Make a new one by `cascade.monitor()`."
            )
        return self.walk(self.cascade.evidence(X)).proba

    def walk(self, evidence: Any) -> Walk:
        """Send samples through the stages as the policy decides, and count them.

        Parameters
        ----------
        evidence : Trace or Live
            One batch. Members run only on the samples that reach them, and once.

        Returns
        -------
        walk : Walk
            What :func:`skcascade.walk` returns.

        Raises
        ------
        ValueError
            If the evidence has other stages or classes than the reference.
        """
        check_evidence("evidence", evidence)
        shape = evidence.n_stages, evidence.n_classes
        if shape != (len(self.stage_names), self.n_classes):
            raise ValueError(
                f"`evidence` has {shape[0]} stages and {shape[1]} classes, the reference"
                f" {len(self.stage_names)} and {self.n_classes}."
            )
        route, counts = self._count(evidence)
        self._feed(counts)
        return route

    def update(self, exits: ArrayLike, visited: ArrayLike | None = None) -> Self:
        """Count samples of which only exits are logged. Agreement is not tested on them.

        Parameters
        ----------
        exits : array-like of int, shape (n_samples,)
            The stage at which each sample of one batch exited (`predict_exit`).
        visited : array-like of bool, shape (n_samples, n_stages), default=None
            The stages that each sample visited (`decision_path`). None: all in use up to its
            exit. Policies that skip stages need it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `exits` or `visited` cannot be used, or `visited` is missing.
        """
        exits = check_exits(exits, self._in_use)
        counts = Counts(len(self.stage_names))
        if visited is not None:
            visited = check_visited(visited, exits, self._in_use, len(counts.reach))
        elif self._skips:
            raise ValueError(
                "`visited` must be given, since this policy may skip stages: log"
                " `decision_path` as well."
            )
        else:
            visited = chain(exits, self._in_use, len(counts.reach))
        counts.add_routes(exits, visited)
        self._feed(counts)
        return self

    def report(self) -> str:
        """Every rate, held out and over all samples fed, and which of them changed.

        Returns
        -------
        text : str
        """
        samples = f"{self.n_samples:,} samples fed, {self.held_out.n_samples:,} held out"
        if not self._watches:
            return f"{samples}. One stage in use: there is nothing to test."
        found, tested = len(self.events), len(self._watches)
        verdict = f"ALARM, {found} of {tested} rates changed" if found else "no alarm"
        summary = f"{samples}. False alarm rate {self.false_alarm_rate:g}: {verdict}."
        table = rate_table(self._watches, self.stage_names, self.held_out, self.seen)
        return "\n".join([summary, *table, *map(str, self.events)])

    def _count(self, evidence):
        """Walk the evidence; the walk and its counts."""
        counts = Counts(evidence.n_stages)
        batch_size = getattr(self.cascade, "batch_size", None)
        route = walk(CountingEvidence(evidence, counts), self.policy, batch_size=batch_size)
        counts.add_routes(route.exit, route.visited)
        return route, counts

    def _all_watches(self):
        """The rates that held-out samples have, by (source or None, stage)."""
        keys = []
        for stage in self._in_use:
            keys += [(source, stage) for source in self._in_use if source < stage]
            keys += [(None, stage)] if stage != self._in_use[-1] else []
        keys = [key for key in keys if self.held_out.rate(*key)[1]]
        if not keys:
            warn(
                "The policy uses one stage only: there is no exit or agreement to test, and"
                " this monitor can never raise an alarm."
            )
        level = self.false_alarm_rate / max(1, len(keys))
        return {key: RateWatch(*self.held_out.rate(*key), level) for key in keys}

    def _feed(self, counts):
        self.seen.add(counts)
        for (source, stage), watch in self._watches.items():
            finding = watch.update(*counts.rate(source, stage))
            if finding is not None:
                before = None if source is None else self.stage_names[source]
                event = self.stage_names[stage], before, *finding, self.n_samples
                self.events.append(RateEvent(*event))


def _is_share(value):
    return isinstance(value, Real) and 0 < value < 1
