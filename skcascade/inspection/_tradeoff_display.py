"""The plot of accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..tuning._curve import TradeoffCurve
from ..utils._kinds import as_list
from ._drawing import COLORS, FAINT, STYLES, label_points, new_axes, outline, widen
from ._evidence import check_cascade, check_pair
from ._tradeoff_curve import tradeoff_curve

__all__ = ["TradeoffDisplay"]

#: What is drawn: the keys of a mapping are the names.
Curves = TradeoffCurve | Sequence[TradeoffCurve] | Mapping[str, TradeoffCurve]


class TradeoffDisplay:
    """Accuracy against relative cost: cascades as curves, each stage alone as a point.

    A curve joins those of its points that no other point beats. The dashed line is the random
    mixture of stages, which a cascade must at least beat. The star is an oracle: it knows for
    each sample the cheapest of the stages with the smallest loss. A ring marks the operating
    point in use. Bands, where a curve has them, cover its intervals in both directions.

    Of several curves, the stages, random mixture and oracle of the first are drawn in gray.
    Those of another curve follow in its own color if its stages are not the same, for
    instance after joint training.

    Parameters
    ----------
    curves : TradeoffCurve, list of TradeoffCurve or dict of str to TradeoffCurve
        The curves; the keys of a dict are their names.
    names : list of str, default=None
        Names in the legend. None: "cascade", or "cascade 1" and so on.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curves.
    line_ : matplotlib Line2D
        The first of them.
    bands_ : list of matplotlib Polygon or None
        The band of each curve.
    chosen_ : list of matplotlib PathCollection or None
        The ring of each curve.
    stages_ : matplotlib PathCollection
        Stages of the first curve.
    random_mixture_ : matplotlib Line2D
        Random mixture of the stages of the first curve.
    oracle_ : matplotlib PathCollection
        Oracle of the first curve.

    Raises
    ------
    ValueError
        If `curves` is empty, holds anything else or several metrics, or does not match
        `names`.

    See Also
    --------
    skcascade.tradeoff_curve : Computes a curve on given samples.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcascade import make_cascade
    >>> from skcascade.inspection import TradeoffDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> cascade = make_cascade(LogisticRegression(max_iter=5000), GaussianNB(), random_state=0)
    >>> display = TradeoffDisplay.from_estimator(cascade.fit(X, y))
    >>> round(float(display.stages_.get_offsets()[-1, 0]), 2)
    1.0
    """

    def __init__(self, curves: Curves, *, names: Sequence[str] | None = None) -> None:
        if isinstance(curves, Mapping):
            names = list(curves) if names is None else names
            curves = list(curves.values())
        curves = [curves] if isinstance(curves, TradeoffCurve) else as_list("curves", curves)
        if not curves or not all(isinstance(curve, TradeoffCurve) for curve in curves):
            raise ValueError(
                "`curves` must be one or more TradeoffCurve, such as `tradeoff_curve` returns,"
                f" got {curves!r:.100}."
            )
        if names is None:
            names = [f"cascade {i}" for i in range(1, len(curves) + 1)]
            names = names if len(curves) > 1 else ["cascade"]
        names = as_list("names", names)
        if len(names) != len(curves):
            raise ValueError(f"`names` must name {len(curves)} curves, got {len(names)} names.")
        metrics = sorted({curve.metric for curve in curves})
        if len(metrics) > 1:
            raise ValueError(
                f"`curves` must share one metric, got {metrics}. Draw them in several plots."
            )
        self.curves = curves
        self.names = list(map(str, names))

    def __repr__(self) -> str:
        return f"TradeoffDisplay({self.names})"

    @classmethod
    def from_estimator(
        cls,
        cascade: Any,
        X: Any = None,
        y: ArrayLike | None = None,
        *,
        by: str = "alpha",
        points: int | ArrayLike = 30,
        cv: Any = None,
        scoring: Any = None,
        n_bootstrap: int = 0,
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
        xscale: str = "linear",
        **kwargs: Any,
    ) -> Self:
        """Draw the curve of a fitted cascade.

        Parameters
        ----------
        cascade : CascadeClassifier
            Fitted.
        X : samples, default=None
            Rows that no member was fitted on. None: the cross-fitted curve on held-out
            rows from which the cascade chose its operating point.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        by : {"alpha", "max_accuracy_drop", "max_cost"}, default="alpha"
        points : int or array-like of float, default=30
        cv : int, splitter or iterable, default=None
        scoring : str or callable, default=None
        n_bootstrap : int, default=0
        random_state : int, RandomState instance or None, default=None
            As for :func:`~skcascade.tradeoff_curve`; they need `X` and `y`.
        name : str, default=None
            Name of the curve in the legend. None: "cascade".
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        xscale : {"linear", "log"}, default="linear"
            Scale of the costs.
        **kwargs : dict
            For `Axes.plot`, which draws the curve.

        Returns
        -------
        display : TradeoffDisplay

        Raises
        ------
        ValueError
            If only one of `X` and `y` is given, or none of them and a parameter that needs
            them.
        """
        check_cascade(cascade)
        check_pair(X, y)
        names = None if name is None else [name]
        if X is not None and y is not None:
            curve = tradeoff_curve(
                cascade, X, y, by=by, points=points, cv=cv, scoring=scoring,
                n_bootstrap=n_bootstrap, random_state=random_state,
            )  # fmt: skip
            return cls(curve, names=names).plot(ax=ax, xscale=xscale, **kwargs)
        changed = {"by": by != "alpha", "points": np.ndim(points) > 0 or points != 30}
        given = {"cv": cv, "scoring": scoring, "n_bootstrap": n_bootstrap or None}
        changed |= {key: value is not None for key, value in given.items()}
        if any(changed.values()):
            unused = ", ".join(f"`{key}`" for key, was in changed.items() if was)
            raise ValueError(
                f"{unused}: give `X` and `y` as well. Without them, the curve is the one that"
                " `fit` computed on the held-out rows."
            )
        display = cls(cascade.tradeoff_, names=names).plot(ax=ax, xscale=xscale, **kwargs)
        display.ax_.set_ylabel(f"{cascade.tradeoff_.metric} (held out)")
        return display

    @classmethod
    def from_curves(
        cls,
        curves: Curves,
        *,
        names: Sequence[str] | None = None,
        ax: Any = None,
        xscale: str = "linear",
        **kwargs: Any,
    ) -> Self:
        """Draw one curve, or several in one plot.

        Parameters
        ----------
        curves, names
            As for the class itself.
        ax, xscale, **kwargs
            As for :meth:`from_estimator`.

        Returns
        -------
        display : TradeoffDisplay
        """
        return cls(curves, names=names).plot(ax=ax, xscale=xscale, **kwargs)

    def plot(self, *, ax: Any = None, xscale: str = "linear", **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax, xscale, **kwargs
            As for :meth:`from_estimator`.

        Returns
        -------
        self : TradeoffDisplay
        """
        ax = new_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        drawn = zip(*[self._curve(i, kwargs) for i in range(len(self.curves))])
        self.lines_, self.bands_ = map(list, drawn)
        self.line_ = self.lines_[0]
        self.chosen_ = [self._ring(curve) for curve in self.curves]
        self.stages_, self.random_mixture_, self.oracle_ = self._landmarks(
            0, FAINT, facecolor="#333333", edgecolor="#333333"
        )
        for i, curve in enumerate(self.curves[1:], start=1):
            if not any(_same_stages(curve, before) for before in self.curves[:i]):
                color = self.lines_[i].get_color()
                self._landmarks(i, color, facecolor="none", edgecolor=color)
        ax.set(
            xscale=xscale,
            xlabel="mean cost / cost of the last stage alone",
            ylabel=self.curves[0].metric,
        )
        ax.margins(x=0.08, y=0.1)
        widen(ax)
        ax.grid(alpha=0.3)
        self._names()
        ax.legend(fontsize="small")
        return self

    def _curve(self, i, kwargs):
        """Curve `i` and its band."""
        curve, best = self.curves[i], self.curves[i].pareto()
        (line, marker), color = STYLES[i % len(STYLES)], COLORS[i % len(COLORS)]
        style = {"color": color, "ls": line, "marker": marker, "ms": 4, "label": self.names[i]}
        clash = {"c": "color", "linestyle": "ls", "markersize": "ms"}
        style |= {clash.get(key, key): value for key, value in kwargs.items()}
        cost, accuracy = curve.relative_cost[best], curve.accuracy[best]
        (drawn,) = self.ax_.plot(cost, accuracy, **style)
        band = None
        if curve.accuracy_band is not None or curve.cost_band is not None:
            corners = outline(
                cost if curve.cost_band is None else curve.cost_band[best],
                accuracy if curve.accuracy_band is None else curve.accuracy_band[best],
            )
            (band,) = self.ax_.fill(*corners.T, color=drawn.get_color(), alpha=0.18, lw=0)
        return drawn, band

    def _ring(self, curve):
        """Mark the operating point in use, if it is known."""
        if curve.chosen is None:
            return None
        first = next(known for known in self.curves if known.chosen is not None)
        label = "operating point" if curve is first else None
        ring = {"s": 110, "facecolors": "none", "edgecolors": "k", "lw": 1.4, "zorder": 4}
        return self.ax_.scatter(*curve.chosen, label=label, **ring)

    def _landmarks(self, i, color, **squares):
        """Stages, random mixture and oracle of curve `i`; the legend has those of the first."""
        curve = self.curves[i]
        labels = ["stage alone", "random mixture of stages", "oracle"] if i == 0 else [None] * 3
        hull = curve.random_mixture()
        corners, between = curve.stage_cost[hull], curve.stage_accuracy[hull]
        # A straight line is curved on a logarithmic axis.
        costs = np.union1d(corners, np.geomspace(*np.maximum(corners[[0, -1]], 1e-9), 200))
        costs = costs[(costs >= corners[0]) & (costs <= corners[-1])]
        stages = self.ax_.scatter(
            curve.stage_cost, curve.stage_accuracy, marker="s", s=32, label=labels[0], zorder=3,
            **squares,
        )  # fmt: skip
        (mixture,) = self.ax_.plot(
            costs, np.interp(costs, corners, between), ls=(0, (3, 4)), lw=1, color=color,
            label=labels[1] if len(hull) > 1 else None, zorder=1.5,
        )  # fmt: skip
        oracle = self.ax_.scatter(
            *curve.oracle, marker="*", s=90, facecolor="w", edgecolor=color, zorder=3,
            label=labels[2] if np.isfinite(curve.oracle).all() else None,
        )  # fmt: skip
        return stages, mixture, oracle

    def _names(self):
        """Names of the stages; of later curves, only names that are new."""
        points, names = [], []
        for curve in self.curves:
            new = [k for k, name in enumerate(curve.stage_names) if name not in names]
            points += [(curve.stage_cost[k], curve.stage_accuracy[k]) for k in new]
            names += [curve.stage_names[k] for k in new]
        lines = [line.get_xydata() for line in [*self.lines_, self.random_mixture_]]
        lines += [[curve.oracle] for curve in self.curves if np.isfinite(curve.oracle).all()]
        self.labels_ = label_points(self.ax_, points, names, lines, fontsize="small")


def _same_stages(one, other):
    """Whether two curves have the same stages on the same rows."""
    pairs = (one.stage_cost, other.stage_cost), (one.stage_accuracy, other.stage_accuracy)
    return all(a.shape == b.shape and np.allclose(a, b) for a, b in pairs)
