"""The plot of exit rates and accuracy per stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..evidence._row_costs import incurred
from ..evidence._walk import stages_in_use, walk
from ..utils._kinds import as_floats, as_indices, as_list
from ..utils._weights import row_weights
from ._drawing import COLORS, FAINT, legend_above, new_axes
from ._evidence import get_evidence

__all__ = ["ExitDisplay"]


class ExitDisplay:
    """Exit rate of each stage, and its score on the samples that exit there.

    Two bars for each stage: the share of the samples that exit there, and the accuracy of the
    stage on them. The mark is the accuracy of the stage on all samples. If the policy works,
    the bar ends beyond the mark: the stage answers samples that it predicts well.

    Parameters
    ----------
    exit_rates : array-like of shape (n_stages,)
        Share of the samples that exit at each stage.
    exit_accuracy : array-like of shape (n_stages,)
        Accuracy over the samples that exit there. NaN where no sample does, and at the reject
        stage.
    stage_accuracy : array-like of shape (n_stages,)
        Accuracy of each stage on all samples.
    metric : str, default="accuracy"
        Name of the score in `exit_accuracy` and `stage_accuracy`: another one with another loss.
    exit_cost : array-like of shape (n_stages,), default=None
        Mean relative cost of the samples that exit there, all stages visited included. NaN
        where no sample does.
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
    array([0.64, 0.36])
    """

    def __init__(
        self,
        exit_rates: ArrayLike,
        exit_accuracy: ArrayLike,
        stage_accuracy: ArrayLike,
        *,
        metric: str = "accuracy",
        exit_cost: ArrayLike | None = None,
        in_use: Sequence[int] | None = None,
        stage_names: Sequence[str] | None = None,
    ) -> None:
        self.exit_rates = _column("exit_rates", exit_rates)
        self.exit_accuracy = _column("exit_accuracy", exit_accuracy)
        self.stage_accuracy = _column("stage_accuracy", stage_accuracy)
        self.metric, n_stages = str(metric), len(self.exit_rates)
        exit_cost = np.full(n_stages, np.nan) if exit_cost is None else exit_cost
        self.exit_cost = _column("exit_cost", exit_cost)
        in_use = range(n_stages) if in_use is None else in_use
        self.in_use = as_indices("in_use", in_use, n_stages)
        names = range(n_stages) if stage_names is None else as_list("stage_names", stage_names)
        self.stage_names = list(map(str, names))
        arrays: dict[str, Any] = {
            "exit_accuracy": self.exit_accuracy,
            "stage_accuracy": self.stage_accuracy,
            "exit_cost": self.exit_cost,
            "stage_names": self.stage_names,
        }
        for name, values in arrays.items():
            if len(values) != n_stages:
                raise ValueError(
                    f"`{name}` must have one entry for each of the {n_stages} stages of"
                    f" `exit_rates`, got {len(values)}."
                )

    def __repr__(self) -> str:
        rates = dict(zip(self.stage_names, self.exit_rates.round(3).tolist()))
        return f"ExitDisplay(exit_rates={rates})"

    @classmethod
    def from_estimator(
        cls, cascade: Any, X: Any = None, y: ArrayLike | None = None, *, ax: Any = None
    ) -> Self:
        """Draw the exit rates of a fitted cascade.

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
            If only one of `X` and `y` is given, or none and the cascade was fitted with
            store_trace=False.
        """
        seen, policy = get_evidence(cascade, X, y), cascade.policy_
        curve = seen.replay(policy)
        route = walk(seen.trace, policy)
        weight = row_weights(seen.sample_weight, len(seen.y))
        cost = seen.cost.relative(incurred(route, seen.cost))
        n_stages = seen.trace.n_stages
        total = np.bincount(route.exit, weight * cost, n_stages)
        rows = np.bincount(route.exit, weight, n_stages)
        right, alone = curve.exit_accuracy[0].copy(), curve.stage_accuracy.copy()
        answering = n_stages - seen.trace.has_reject
        right[answering:] = alone[answering:] = np.nan  # a rejected sample is no error
        display = cls(
            curve.exit_rates[0],
            right,
            alone,
            metric=curve.metric,
            exit_cost=np.divide(total, rows, out=np.full(n_stages, np.nan), where=rows > 0),
            in_use=stages_in_use(policy, n_stages),
            stage_names=cascade.stage_names_,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
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
        self.rates_ = ax.barh(used - 0.19, share, 0.36, color=COLORS[0], label="exit rate")
        self.accuracy_ = ax.barh(
            used + 0.19, right, 0.36, color=COLORS[4], hatch="///", edgecolor="w", lw=0,
            label=f"{self.metric} of these samples",
        )  # fmt: skip
        (self.alone_,) = ax.plot(
            self.stage_accuracy, rows + 0.19, "d", color="k", ms=6, mfc="w", mew=1.5,
            label=f"{self.metric} of the stage on all",
        )  # fmt: skip
        self._numbers(used)
        ax.set_yticks(rows, [self._title(k) for k in rows])
        ax.set_ylim(n_stages - 0.5, -0.5)  # the first stage on top
        lowest = min(0.0, *np.nan_to_num(np.r_[right, self.stage_accuracy]))  # as of a log loss
        ax.set_xlim(1.1 * lowest, 1.14)  # room for the numbers
        if not lowest:
            ax.set_xticks(np.linspace(0, 1, 6))
        ax.grid(axis="x", alpha=0.3)
        ax.set_axisbelow(True)
        legend_above([self.rates_, self.accuracy_, self.alone_], ax, own)
        return self

    def _numbers(self, used):
        """The two numbers of each stage, or "not in use"."""
        plate = {"boxstyle": "round,pad=0.15", "facecolor": "w", "edgecolor": "none"}
        for k, (share, right) in enumerate(zip(self.exit_rates, self.exit_accuracy)):
            if k not in used:
                self._text(0, k - 0.19, "not in use", color=FAINT)
                continue
            self._text(share, k - 0.19, f"{share:.1%}")
            if np.isfinite(right):  # at the start of the bar: the mark may be at its end
                self._text(0, k + 0.19, f"{right:.3f}", bbox=plate)

    def _text(self, x, y, text, **style):
        offset = {"xytext": (6, 0), "textcoords": "offset points"}
        self.ax_.annotate(text, (x, y), va="center", fontsize="small", **offset, **style)

    def _title(self, k):
        """Name of a stage, and the mean cost of the samples that exit there."""
        cost = self.exit_cost[k]
        return self.stage_names[k] + (f"\ncost {cost:.3g}" if np.isfinite(cost) else "")


def _column(name, values):
    """Numbers (n_stages,)."""
    values = as_floats(name, values)
    if values.ndim != 1:
        raise ValueError(f"`{name}` must have the shape (n_stages,), got {values.shape}.")
    return values
