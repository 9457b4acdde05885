"""The plot of accuracy against the score of each stage: a reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..evidence._walk import stages_in_use, walk
from ..utils._kinds import as_list, check_kind
from ._drawing import COLORS, FAINT, check_axes, legend_above
from ._evidence import get_evidence

__all__ = ["ConfidenceDisplay", "StageConfidence"]

#: Bars over the range of scores.
N_BARS = 20
#: Fewest rows in a bin.
LEAST_ROWS = 10
#: Quantile of the normal distribution for 95 % intervals.
Z = 1.96
#: Panels side by side.
N_COLUMNS = 3


class StageConfidence(NamedTuple):
    """The panel that :class:`ConfidenceDisplay` draws for one stage.

    Attributes
    ----------
    name : str
        Name of the stage.
    score : ndarray of shape (n_bins,)
        Mean score of the rows in each bin. All bins hold about the same number of rows.
    accuracy : ndarray of shape (n_bins,)
        Share of correct answers in each bin.
    interval : ndarray of shape (n_bins, 2)
        Wilson's 95 % interval of the accuracy.
    edges : ndarray of shape (n_bars + 1,)
        Ends of the bars, of equal width.
    share : ndarray of shape (n_bars,)
        Share of the rows in each bar.
    exiting : ndarray of shape (n_bars,)
        Share of the rows that are in each bar and exit here: at most `share`.
    threshold : float
        Score from which rows exit. NaN where there is no such number.
    """

    name: str
    score: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    interval: NDArray[np.float64]
    edges: NDArray[np.float64]
    share: NDArray[np.float64]
    exiting: NDArray[np.float64]
    threshold: float = np.nan


class ConfidenceDisplay:
    """Accuracy of each stage against its score, and which samples exit.

    There is one panel for each stage that samples visit, about these samples. The score is
    that of the policy (:meth:`~skcascade.policies.BaseExitPolicy.exit_score`): the calibrated
    confidence, the uncalibrated confidence, the probability of an exit, or else the largest
    probability. If the score is a probability of being correct, a calibrated stage lies on
    the diagonal. Bars show the share of the rows with a score, and the share that exits. The
    vertical line is the threshold, if the policy has one.

    Parameters
    ----------
    stages : list of StageConfidence
        One for each panel.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, shape (n_panels,)
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        Accuracy against score.
    thresholds_ : list of matplotlib Line2D or None
    bars_ : list of (matplotlib BarContainer, matplotlib BarContainer)
        Rows with that score, and those of them that exit.

    Raises
    ------
    ValueError
        If `stages` is empty.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import make_cascade
    >>> from skcascade.inspection import ConfidenceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> linear = LogisticRegression(C=0.01, solver="newton-cholesky")
    >>> cascade = make_cascade(linear, KNeighborsClassifier(3), cv=5, random_state=0).fit(X, y)
    >>> display = ConfidenceDisplay.from_estimator(cascade)
    >>> display.stages[0].accuracy[[0, -1]].round(2)
    array([0.48, 1.  ])
    >>> bool(display.stages[0].threshold == cascade.policy_.thresholds_[0])
    True
    """

    def __init__(self, stages: Sequence[StageConfidence]) -> None:
        self.stages = as_list("stages", stages)
        if not self.stages:
            raise ValueError("`stages` is empty: all samples are rejected.")
        for stage in self.stages:
            check_kind("stages", stage, StageConfidence, "a list of StageConfidence")

    def __repr__(self) -> str:
        return f"ConfidenceDisplay(stages={[stage.name for stage in self.stages]})"

    @classmethod
    def from_estimator(
        cls,
        cascade: Any,
        X: Any = None,
        y: ArrayLike | None = None,
        *,
        n_bins: int = 10,
        ax: Any = None,
    ) -> Self:
        """Draw the score by which the policy of a fitted cascade decides.

        Parameters
        ----------
        cascade : CascadeClassifier
            Fitted.
        X : samples, default=None
            None: the held-out rows.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        n_bins : int, default=10
            Bins of accuracy in each panel, of about the same number of rows. There are fewer
            if bins would hold less than 10 rows, or if scores are equal: these share a bin.
        ax : array of matplotlib Axes, default=None
            One for each panel; None: a new figure.

        Returns
        -------
        display : ConfidenceDisplay

        Raises
        ------
        ValueError
            If only one of `X` and `y` is given, or none and the cascade was fitted with
            store_trace=False; if `n_bins` is below 1, or `ax` holds the wrong number of axes.
        """
        check_kind("n_bins", n_bins, Integral, "an integer")
        if n_bins < 1:
            raise ValueError(f"`n_bins` must be 1 or more, got {n_bins!r}.")
        seen, policy = get_evidence(cascade, X, y), cascade.policy_
        route = walk(seen.trace, policy)
        in_use = stages_in_use(policy, seen.trace.n_stages)
        stages = []
        for k in in_use:
            rows = np.flatnonzero(route.visited[:, k])
            # As the policy sees it: stages that were skipped are NaN.
            proba = seen.trace.proba[rows, : k + 1].copy()
            proba[~route.visited[rows, : k + 1]] = np.nan
            if not proba[:, k].any():
                continue  # no sample visits this stage, or it is the reject stage
            right = proba[:, k].argmax(axis=1) == seen.y[rows]
            exits = route.exit[rows] == k
            score = np.asarray(policy.exit_score(k, proba), dtype=float)
            # At the last stage in use all samples exit, whatever the threshold.
            threshold = np.nan if k == in_use[-1] else float(policy.exit_threshold(k))
            name = cascade.stage_names_[k]
            stages.append(_stage(name, score, right, exits, threshold, n_bins))
        return cls(stages).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : array of matplotlib Axes, default=None
            One for each panel; None: a new figure.

        Returns
        -------
        self : ConfidenceDisplay
        """
        self.ax_ = self._axes(ax)
        self.figure_ = self.ax_[0].figure
        drawn = [self._panel(panel, stage) for panel, stage in zip(self.ax_, self.stages)]
        accuracy, self.thresholds_, self.bars_, diagonals = map(list, zip(*drawn))
        self.lines_ = [container[0] for container in accuracy]
        thresholds = [line for line in self.thresholds_ if line is not None]
        artists = [accuracy[0], *self.bars_[0], diagonals[0], *thresholds[:1]]
        legend_above(artists, self.ax_[0], ax is None)
        return self

    def _axes(self, ax):
        import matplotlib.pyplot as plt

        n = len(self.stages)
        if ax is not None:
            ax = np.ravel(np.asarray(ax, dtype=object))
            if len(ax) != n:
                raise ValueError(f"`ax` must hold {n} axes, one for each stage, got {len(ax)}.")
            check_axes(*ax)
            return ax
        columns = min(n, N_COLUMNS)
        rows = -(-n // columns)
        _, grid = plt.subplots(
            rows, columns, figsize=(6, 0.8 + 2.4 * rows), layout="constrained", sharex=True,
            sharey=True, squeeze=False,
        )  # fmt: skip
        for spare in grid.flat[n:]:
            spare.remove()
        return grid.ravel()[:n]

    def _panel(self, ax, stage):
        left, width = stage.edges[:-1], np.diff(stage.edges)
        all_rows = ax.bar(
            left, stage.share, width, align="edge", color="#DDDDDD", label="share of the rows"
        )
        exiting = ax.bar(
            left, stage.exiting, width, align="edge", color=COLORS[5], alpha=0.7,
            hatch="....", edgecolor="w", lw=0, label="of them exit here",
        )  # fmt: skip
        diagonal = ax.axline((0, 0), (1, 1), ls=":", color=FAINT, lw=1, label="accuracy = score")
        ends = np.abs(stage.interval.T - stage.accuracy)
        accuracy = ax.errorbar(
            stage.score, stage.accuracy, ends, fmt="o-", ms=3.5, lw=1.2, elinewidth=1,
            color=COLORS[0], label="accuracy",
        )  # fmt: skip
        line = None
        if np.isfinite(stage.threshold):
            line = ax.axvline(stage.threshold, color=COLORS[1], ls="--", lw=1.6, label="threshold")
        ax.set(title=stage.name, ylim=(0, 1.03), xlabel="score")
        ax.title.set_size("medium")
        if ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
            ax.set_ylabel("accuracy, share of the rows")
        return accuracy, line, (all_rows, exiting), diagonal


def _stage(name, score, right, exits, threshold, n_bins):
    """Bins and bars of one stage, from its rows: score, whether right, whether it exits."""
    n_bins = max(1, min(n_bins, len(score) // LEAST_ROWS))
    bounds = np.unique(np.quantile(score, np.linspace(0, 1, n_bins + 1)[1:-1]))
    _, bins, rows = np.unique(
        np.searchsorted(bounds, score, side="right"), return_inverse=True, return_counts=True
    )
    accuracy = np.bincount(bins, right) / rows
    low, high = min(score.min(), 0.0), max(score.max(), 1.0)
    share, edges = np.histogram(score, N_BARS, (low, high))
    exiting, _ = np.histogram(score[exits], N_BARS, (low, high))
    return StageConfidence(
        name,
        np.bincount(bins, score) / rows,
        accuracy,
        _wilson(accuracy, rows),
        edges,
        share / len(score),
        exiting / len(score),
        threshold,
    )


def _wilson(share, n):
    """Wilson's interval (n_bins, 2) of a share among `n`."""
    middle = share + Z**2 / (2 * n)
    half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    ends = np.stack([middle - half, middle + half], axis=1) / (1 + Z**2 / n)[:, np.newaxis]
    return ends.clip(0, 1)
