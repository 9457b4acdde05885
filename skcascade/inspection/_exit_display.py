"""Who leaves where, drawn."""

import numpy as np

from .._walk import stages_in_use, walk
from ..policies._base import row_weights
from ._drawing import COLORS, FAINT, legend_above, new_axes
from ._evidence import evidence_of

__all__ = ["ExitDisplay"]


class ExitDisplay:
    """Share and accuracy of the samples that leave at each stage.

    Two bars for each stage: how many samples leave there, and how accurate it is for them.
    The mark is the accuracy of the stage alone, on all samples: a stage is at its best
    where it answers only those it is sure of.

    Parameters
    ----------
    exit_rates : array-like of shape (n_stages,)
        Share of the samples that leaves at each stage.
    exit_accuracy : array-like of shape (n_stages,)
        Accuracy over those that leave there; NaN where nobody does, and at the exit
        without an answer.
    stage_accuracy : array-like of shape (n_stages,)
        Accuracy of each stage on all samples.
    exit_cost : array-like of shape (n_stages,), default=None
        Mean relative cost, from the start, of those that leave there; NaN where nobody
        does.
    in_use : sequence of int, default=None
        The stages that are run; None: all.
    stage_names : sequence of str, default=None
        None: their indices.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    rates_, accuracy_ : matplotlib BarContainer
        The bars of the stages in use.
    alone_ : matplotlib Line2D
        The marks.

    Raises
    ------
    ValueError
        If the arrays have different lengths.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import make_cascade
    >>> from skcascade.inspection import ExitDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> linear = LogisticRegression(C=0.01, solver="newton-cholesky")
    >>> cascade = make_cascade(linear, KNeighborsClassifier(3), cv=5, random_state=0).fit(X, y)
    >>> ExitDisplay.from_estimator(cascade).exit_rates.round(2)
    array([0.77, 0.23])
    """

    def __init__(
        self,
        exit_rates,
        exit_accuracy,
        stage_accuracy,
        *,
        exit_cost=None,
        in_use=None,
        stage_names=None,
    ):
        n_stages = len(exit_rates)
        exit_cost = np.full(n_stages, np.nan) if exit_cost is None else exit_cost
        stage_names = range(n_stages) if stage_names is None else stage_names
        arrays = {
            "exit_accuracy": exit_accuracy,
            "stage_accuracy": stage_accuracy,
            "exit_cost": exit_cost,
            "stage_names": stage_names,
        }
        for name, values in arrays.items():
            if len(values) != n_stages:
                raise ValueError(
                    f"`{name}` must have one entry for each of the {n_stages} stages of"
                    f" `exit_rates`, got {len(values)}."
                )
        self.exit_rates = np.asarray(exit_rates, dtype=float)
        self.exit_accuracy = np.asarray(exit_accuracy, dtype=float)
        self.stage_accuracy = np.asarray(stage_accuracy, dtype=float)
        self.exit_cost = np.asarray(exit_cost, dtype=float)
        self.in_use = list(range(n_stages) if in_use is None else in_use)
        self.stage_names = list(map(str, stage_names))

    @classmethod
    def from_estimator(cls, cascade, X=None, y=None, *, ax=None):
        """Draw what a fitted cascade does with samples.

        Parameters
        ----------
        cascade : CascadeClassifier
            Fitted.
        X : samples, default=None
            None: the held-out rows.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : ExitDisplay

        Raises
        ------
        ValueError
            If only one of `X` and `y` is given, or the held-out rows were dropped.
        """
        seen, policy = evidence_of(cascade, X, y), cascade.policy_
        curve = seen.replay(policy)
        way = walk(seen.trace, policy)
        weight = row_weights(seen.sample_weight, len(seen.y))
        price = seen.cost.relative(seen.cost.path_cost(way.visited))
        n_stages = seen.trace.n_stages
        paid = np.bincount(way.exit, weight * price, n_stages)
        rows = np.bincount(way.exit, weight, n_stages)
        right, alone = curve.exit_accuracy[0].copy(), curve.stage_accuracy.copy()
        answering = n_stages - seen.trace.no_answer
        right[answering:] = alone[answering:] = np.nan  # no answer is neither right nor wrong
        display = cls(
            curve.exit_rates[0],
            right,
            alone,
            exit_cost=np.divide(paid, rows, out=np.full(n_stages, np.nan), where=rows > 0),
            in_use=stages_in_use(policy, n_stages),
            stage_names=cascade.stage_names_,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        self : ExitDisplay
        """
        n_stages, own = len(self.exit_rates), ax is None
        ax = new_axes(ax, figsize=(6, 1.4 + 0.75 * n_stages))
        self.ax_, self.figure_ = ax, ax.figure
        rows, used = np.arange(n_stages), np.array(self.in_use, dtype=int)
        share, right = self.exit_rates[used], np.nan_to_num(self.exit_accuracy[used])
        self.rates_ = ax.barh(
            used - 0.19, share, 0.36, color=COLORS[0], label="share that leaves here"
        )
        self.accuracy_ = ax.barh(
            used + 0.19, right, 0.36, color=COLORS[4], hatch="///", edgecolor="w", lw=0,
            label="accuracy of those",
        )  # fmt: skip
        (self.alone_,) = ax.plot(
            self.stage_accuracy, rows + 0.19, "d", color="k", ms=6, mfc="w", mew=1.5,
            label="accuracy of the stage on all",
        )  # fmt: skip
        self._numbers(used)
        ax.set_yticks(rows, [self._title(k) for k in rows])
        ax.set_ylim(n_stages - 0.5, -0.5)  # the first stage on top
        ax.set_xlim(0, 1.14)  # room for the numbers
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.grid(axis="x", alpha=0.3)
        ax.set_axisbelow(True)
        legend_above([self.rates_, self.accuracy_, self.alone_], ax, own)
        return self

    def _numbers(self, used):
        """The two numbers of each stage; a word where it is not run."""
        plate = {"boxstyle": "round,pad=0.15", "facecolor": "w", "edgecolor": "none"}
        for k, (share, right) in enumerate(zip(self.exit_rates, self.exit_accuracy)):
            if k not in used:
                self._text(0, k - 0.19, "not in use", color=FAINT)
                continue
            self._text(share, k - 0.19, f"{share:.1%}")
            if np.isfinite(right):  # at the foot of the bar: at its end may be the mark
                self._text(0, k + 0.19, f"{right:.3f}", bbox=plate)

    def _text(self, x, y, text, **style):
        offset = {"xytext": (6, 0), "textcoords": "offset points"}
        self.ax_.annotate(text, (x, y), va="center", fontsize="small", **offset, **style)

    def _title(self, k):
        """Name of a stage, and what those that leave there have paid."""
        cost = self.exit_cost[k]
        return self.stage_names[k] + (f"\ncost {cost:.3g}" if np.isfinite(cost) else "")
