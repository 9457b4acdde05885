"""Do samples still leave where they did? Drift seen in exit rates and in agreement of stages.

Two kinds of rates are compared with held-out rows, and no label is needed: of those that reach a
stage, the share that leaves there; of those that go from one stage to another, the share to which
both give the same answer.

Samples are taken to be independent draws. Among those that reach a stage (that go from one to
another), who leaves (agrees) is then a series of independent draws at one rate, whichever samples
these are; :mod:`skcascade._shift` tests such a rate over a whole stream. Each rate is given an
equal part of `false_alarm_rate`, so that is what the chance of ever naming one that did not move
adds up to at most (Bonferroni).
"""

import warnings
from numbers import Real

import numpy as np

from ._exit_counts import Counts, Witness, chain, check_exits, check_visited
from ._no_answer import labels_of
from ._shift import RateEvent, RateWatch
from ._walk import stages_in_use, walk
from .exceptions import CascadeWarning

__all__ = ["ExitMonitor", "RateEvent"]


class ExitMonitor:
    """Watch whether samples still leave where held-out samples left, and stages agree as they did.

    Feed it batches by :meth:`predict`, :meth:`walk` or :meth:`update`, mixed as you like. It
    keeps counts, no samples. ``cascade.monitor()`` makes one for a fitted cascade.

    Parameters
    ----------
    policy : BaseExitPolicy
        A fitted policy.
    reference : Trace or Live
        Answers on rows like those to come, which no member was fitted on; labels are not
        needed. Each row counts once, weights do not matter. Only its counts are kept.
    stage_names : list of str, default=None
        None: those of `cascade`, else "stage 0" and so on.
    false_alarm_rate : float in (0, 1), default=0.01
        Chance, over all batches ever fed, that a rate is named which did not move.
    cascade : CascadeClassifier, default=None
        What :meth:`predict` predicts with; its policy must be `policy`.

    Attributes
    ----------
    alarm : bool
        Whether any rate moved. It stays: make a new monitor to start again.
    events : list of RateEvent
        The rates that moved, as they were found; each is named once.
    n_samples : int
        Samples fed.
    held_out, seen : Counts
        Samples at each stage, of the reference and fed.

    Raises
    ------
    ValueError
        If `reference` is None (a cascade without its trace), or `stage_names` or
        `false_alarm_rate` cannot be used.

    Warns
    -----
    CascadeWarning
        If the policy uses one stage only: nothing can be tested.

    Notes
    -----
    The rows a policy was tuned on do as a reference where its rule is as simple as thresholds
    are; one that knows its rows by heart (:class:`~skcascade.policies.WeightedBinary` with a
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
    fewer leave at stage 0: 40.0% of 50, held out 80.0% of 1,000 (p = 4.7e-09, after 100 samples)
    """

    def __init__(self, policy, reference, *, stage_names=None, false_alarm_rate=0.01, cascade=None):
        if reference is None:
            raise ValueError(
                "`reference` is None: the held-out trace of this cascade was dropped. Give rows"
                " like those to come, fit again, or make the monitor before dropping the trace."
            )
        if not (isinstance(false_alarm_rate, Real) and 0 < false_alarm_rate < 1):
            raise ValueError(
                f"`false_alarm_rate` must be a number between 0 and 1, got {false_alarm_rate!r}."
            )
        n_stages = reference.n_stages
        if stage_names is None:
            plain = [f"stage {k}" for k in range(n_stages)]
            stage_names = plain if cascade is None else cascade.stage_names_
        if len(stage_names) != n_stages:
            raise ValueError(
                f"`stage_names` must name the {n_stages} stages, got {len(stage_names)} names."
            )
        self.policy, self.stage_names = policy, list(stage_names)
        self.false_alarm_rate, self.cascade = false_alarm_rate, cascade
        self.n_classes, self._in_use = reference.n_classes, stages_in_use(policy, n_stages)
        self.events = []
        self.seen = Counts(n_stages)
        way, self.held_out = self._count(reference)
        self._watches = self._all_watches()
        # A policy that skips is known by its parameter, one of a user's by what it does.
        straight = np.array_equal(way.visited, chain(way.exit, self._in_use, n_stages))
        self._skips = bool(getattr(policy, "skip", False)) or not straight

    @property
    def alarm(self):
        """Whether any rate moved."""
        return bool(self.events)

    @property
    def n_samples(self):
        """Samples fed."""
        return self.seen.n_samples

    @property
    def rates(self):
        """The rates that are tested, as (index of the source or None, index of the stage)."""
        return list(self._watches)

    def predict(self, X):
        """Label of each sample, as the cascade predicts it; counts them.

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
            If there is no cascade, or it was fitted or its operating point moved since.
        """
        proba = self.predict_proba(X)
        return labels_of(proba, self.cascade.classes_, self.cascade.reject_label)

    def predict_proba(self, X):
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
                "The cascade was fitted, or its operating point moved, since this monitor was"
                " made. Make a new one by `cascade.monitor()`."
            )
        return self.walk(self.cascade._live(X)).proba

    def walk(self, evidence):
        """Send samples through the stages as the policy says, and count them.

        Parameters
        ----------
        evidence : Trace or Live
            One batch. Members run only on the samples that reach them, and once.

        Returns
        -------
        way : Walk
            What :func:`skcascade.walk` returns.

        Raises
        ------
        ValueError
            If it has other stages or classes than the reference.
        """
        shape = evidence.n_stages, evidence.n_classes
        if shape != (len(self.stage_names), self.n_classes):
            raise ValueError(
                f"`evidence` has {shape[0]} stages and {shape[1]} classes, the reference"
                f" {len(self.stage_names)} and {self.n_classes}."
            )
        way, counts = self._count(evidence)
        self._feed(counts)
        return way

    def update(self, exits, visited=None):
        """Count samples of which only the way is known. Agreement is not tested on them.

        Parameters
        ----------
        exits : array-like of int, shape (n_samples,)
            The stage at which each sample of one batch left (`predict_exit`).
        visited : array-like of bool, shape (n_samples, n_stages), default=None
            The stages each visited (`decision_path`). None: all in use up to its exit;
            policies that skip stages need it.

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
        counts.add_ways(exits, visited)
        self._feed(counts)
        return self

    def report(self):
        """Every rate, held out and over all samples fed, and what moved.

        Returns
        -------
        text : str
        """
        samples = f"{self.n_samples:,} samples fed, {self.held_out.n_samples:,} held out"
        if not self._watches:
            return f"{samples}. One stage in use: there is nothing to test."
        found, tested = len(self.events), len(self._watches)
        verdict = f"ALARM, {found} of {tested} rates moved" if found else "no alarm"
        lines = [f"{samples}. False alarm rate {self.false_alarm_rate:g}: {verdict}."]
        what = {key: _words(self.stage_names, *key) for key in self._watches}
        width = max(map(len, what.values()))
        lines.append(f"{'share of those':<{width}}  {'held out':>17}  {'fed':>17}")
        for key, watch in self._watches.items():
            held_out, fed = (_share(*c.of(*key)) for c in (self.held_out, self.seen))
            moved = "  moved" if watch.finding else ""
            lines.append(f"{what[key]:<{width}}  {held_out:>17}  {fed:>17}{moved}")
        return "\n".join([*lines, *map(str, self.events)])

    def _count(self, evidence):
        """Walk the evidence; its way and counts."""
        counts = Counts(evidence.n_stages)
        batch_size = getattr(self.cascade, "batch_size", None)
        way = walk(Witness(evidence, counts), self.policy, batch_size=batch_size)
        counts.add_ways(way.exit, way.visited)
        return way, counts

    def _all_watches(self):
        """The rates that held-out samples have, by (source or None, stage)."""
        keys = []
        for stage in self._in_use:
            keys += [(source, stage) for source in self._in_use if source < stage]
            keys += [(None, stage)] if stage != self._in_use[-1] else []
        keys = [key for key in keys if self.held_out.of(*key)[1]]
        if not keys:
            warnings.warn(
                "The policy uses one stage only: there is no exit or agreement to test, and"
                " this monitor can never raise an alarm.",
                CascadeWarning,
                stacklevel=3,  # whoever made the monitor
            )
        level = self.false_alarm_rate / max(1, len(keys))
        return {key: RateWatch(*self.held_out.of(*key), level) for key in keys}

    def _feed(self, counts):
        self.seen.add(counts)
        for (source, stage), watch in self._watches.items():
            finding = watch.update(*counts.of(source, stage))
            if finding is not None:
                before = None if source is None else self.stage_names[source]
                event = self.stage_names[stage], before, *finding, self.n_samples
                self.events.append(RateEvent(*event))


def _share(hits, total):
    """A rate and what it is a share of."""
    return f"{hits / total:.4f} of {total:,}" if total else "none"


def _words(names, source, stage):
    """What a rate is the share of."""
    if source is None:
        return f"at {names[stage]} that leave"
    return f"from {names[source]} to {names[stage]} that keep their answer"
