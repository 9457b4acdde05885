"""How far the score of each stage can be trusted, drawn."""

from typing import NamedTuple

import numpy as np

from .._walk import stages_in_use, walk
from ._drawing import COLORS, FAINT, legend_above
from ._evidence import evidence_of

__all__ = ["ConfidenceDisplay", "StageConfidence"]

#: Bars over the range of scores.
N_BARS = 20
#: Rows in a bin at least.
LEAST_ROWS = 10
#: Quantile of the normal distribution for intervals of 95 %.
Z = 1.96
#: Panels side by side.
N_COLUMNS = 3


class StageConfidence(NamedTuple):
    """What :class:`ConfidenceDisplay` draws of one stage.

    Attributes
    ----------
    name : str
        The stage.
    score : ndarray of shape (n_bins,)
        Mean score of the rows in each bin; bins hold about as many rows each.
    accuracy : ndarray of shape (n_bins,)
        Share of right answers in each bin.
    interval : ndarray of shape (n_bins, 2)
        Wilson's interval of 95 % around it.
    edges : ndarray of shape (n_bars + 1,)
        Ends of the bars, of equal width.
    share : ndarray of shape (n_bars,)
        Share of the rows in each bar.
    leaving : ndarray of shape (n_bars,)
        Share of the rows that are in each bar and leave here: at most `share`.
    threshold : float
        Score from which rows leave; NaN where there is no such number.
    """

    name: str
    score: np.ndarray
    accuracy: np.ndarray
    interval: np.ndarray
    edges: np.ndarray
    share: np.ndarray
    leaving: np.ndarray
    threshold: float = np.nan


class ConfidenceDisplay:
    """Accuracy of each stage against its score, and who leaves.

    One panel for each stage that samples get to, about those samples. The
    score is the one that the policy looks at
    (:meth:`~skcascade.policies.BaseExitPolicy.exit_score`): the chance to be right, the
    confidence, the probability to stop, or else the largest probability. Where that is a
    probability of being right, a calibrated stage lies on the diagonal. Bars tell how many
    rows have a score, and how many of them leave; the vertical line is the threshold of
    policies that have one.

    Parameters
    ----------
    stages : list of StageConfidence
        What is drawn.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, shape (n_panels,)
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        Accuracy against score.
    thresholds_ : list of matplotlib Line2D or None
    bars_ : list of (matplotlib BarContainer, matplotlib BarContainer)
        Rows with that score, and those of them that leave.

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

    def __init__(self, stages):
        if not len(stages):
            raise ValueError("`stages` is empty: no sample gets an answer.")
        self.stages = list(stages)

    @classmethod
    def from_estimator(cls, cascade, X=None, y=None, *, n_bins=10, ax=None):
        """Draw what the policy of a fitted cascade goes by.

        Parameters
        ----------
        cascade : CascadeClassifier
            Fitted.
        X : samples, default=None
            None: the held-out rows.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        n_bins : int, default=10
            Bins of accuracy in each panel, of about as many rows each. Fewer where they would
            hold less than 10 rows, or where scores are equal: these stay together.
        ax : array of matplotlib Axes, default=None
            One for each panel; None: a new figure.

        Returns
        -------
        display : ConfidenceDisplay

        Raises
        ------
        ValueError
            If only one of `X` and `y` is given, the held-out rows were dropped, `n_bins` is
            below 1, or `ax` holds the wrong number of axes.
        """
        if n_bins < 1:
            raise ValueError(f"`n_bins` must be 1 or more, got {n_bins!r}.")
        seen, policy = evidence_of(cascade, X, y), cascade.policy_
        way = walk(seen.trace, policy)
        in_use = stages_in_use(policy, seen.trace.n_stages)
        stages = []
        for k in in_use:
            rows = np.flatnonzero(way.visited[:, k])
            # As the policy sees it: nothing of what was skipped.
            proba = seen.trace.proba[rows, : k + 1].copy()
            proba[~way.visited[rows, : k + 1]] = np.nan
            if not proba[:, k].any():
                continue  # nobody gets there, or it gives no answers
            right = proba[:, k].argmax(axis=1) == seen.y[rows]
            leaves = way.exit[rows] == k
            score = np.asarray(policy.exit_score(k, proba), dtype=float)
            # At the last stage in use everybody leaves, whatever the threshold says.
            threshold = np.nan if k == in_use[-1] else float(policy.exit_threshold(k))
            name = cascade.stage_names_[k]
            stages.append(_stage(name, score, right, leaves, threshold, n_bins))
        return cls(stages).plot(ax=ax)

    def plot(self, *, ax=None):
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
        cuts = [cut for cut in self.thresholds_ if cut is not None]
        artists = [accuracy[0], *self.bars_[0], diagonals[0], *cuts[:1]]
        legend_above(artists, self.ax_[0], ax is None)
        return self

    def _axes(self, ax):
        import matplotlib.pyplot as plt

        n = len(self.stages)
        if ax is not None:
            ax = np.ravel(np.asarray(ax, dtype=object))
            if len(ax) != n:
                raise ValueError(f"`ax` must hold {n} axes, one for each stage, got {len(ax)}.")
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
        everyone = ax.bar(
            left, stage.share, width, align="edge", color="#DDDDDD", label="share of the rows"
        )
        leaving = ax.bar(
            left, stage.leaving, width, align="edge", color=COLORS[5], alpha=0.7,
            hatch="....", edgecolor="w", lw=0, label="of them leave here",
        )  # fmt: skip
        diagonal = ax.axline((0, 0), (1, 1), ls=":", color=FAINT, lw=1, label="accuracy = score")
        ends = np.abs(stage.interval.T - stage.accuracy)
        accuracy = ax.errorbar(
            stage.score, stage.accuracy, ends, fmt="o-", ms=3.5, lw=1.2, elinewidth=1,
            color=COLORS[0], label="accuracy",
        )  # fmt: skip
        cut = None
        if np.isfinite(stage.threshold):
            cut = ax.axvline(stage.threshold, color=COLORS[1], ls="--", lw=1.6, label="threshold")
        ax.set(title=stage.name, ylim=(0, 1.03), xlabel="score")
        ax.title.set_size("medium")
        if ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
            ax.set_ylabel("accuracy, share of the rows")
        return accuracy, cut, (everyone, leaving), diagonal


def _stage(name, score, right, leaves, threshold, n_bins):
    """Bins and bars of one stage, from score, success and exit of its rows (n_rows,) each."""
    n_bins = max(1, min(n_bins, len(score) // LEAST_ROWS))
    cuts = np.unique(np.quantile(score, np.linspace(0, 1, n_bins + 1)[1:-1]))
    _, bins, rows = np.unique(
        np.searchsorted(cuts, score, side="right"), return_inverse=True, return_counts=True
    )
    accuracy = np.bincount(bins, right) / rows
    low, high = min(score.min(), 0.0), max(score.max(), 1.0)
    share, edges = np.histogram(score, N_BARS, (low, high))
    leaving, _ = np.histogram(score[leaves], N_BARS, (low, high))
    return StageConfidence(
        name,
        np.bincount(bins, score) / rows,
        accuracy,
        _wilson(accuracy, rows),
        edges,
        share / len(score),
        leaving / len(score),
        threshold,
    )


def _wilson(share, n):
    """Wilson's interval (n_bins, 2) of a share among `n`."""
    middle = share + Z**2 / (2 * n)
    half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    ends = np.stack([middle - half, middle + half], axis=1) / (1 + Z**2 / n)[:, np.newaxis]
    return ends.clip(0, 1)
