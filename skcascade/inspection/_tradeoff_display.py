"""The trade-off between accuracy and cost, drawn."""

from sklearn.utils.validation import check_is_fitted

__all__ = ["TradeoffDisplay"]

# Two of the colours of Okabe and Ito that everybody can tell apart, also in print.
CURVE, POINT = "#0072B2", "#D55E00"


class TradeoffDisplay:
    """Accuracy against relative cost: the cascade as a curve, each stage alone as a point.

    Parameters
    ----------
    curve : TradeoffCurve
        What is drawn.
    stage_names : list of str
        Names of the single stages.
    index : int, default=None
        Point of the curve to mark: the chosen operating point.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The curve: the points that no other point beats.
    stages_ : matplotlib PathCollection
        The single stages.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcascade import make_cascade
    >>> from skcascade.inspection import TradeoffDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> cascade = make_cascade(GaussianNB(), LogisticRegression(max_iter=5000), random_state=0)
    >>> display = TradeoffDisplay.from_estimator(cascade.fit(X, y))
    >>> round(float(display.stages_.get_offsets()[-1, 0]), 2)
    1.0
    """

    def __init__(self, curve, stage_names, index=None):
        self.curve = curve
        self.stage_names = stage_names
        self.index = index

    @classmethod
    def from_estimator(cls, cascade, *, ax=None, name=None, **kwargs):
        """Draw the held-out curve that a fitted cascade chose its operating point from.

        Parameters
        ----------
        cascade : CascadeClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        name : str, default=None
            Name of the curve in the legend.
        **kwargs : dict
            For `Axes.plot`.

        Returns
        -------
        display : TradeoffDisplay
        """
        check_is_fitted(cascade)
        display = cls(cascade.tradeoff_, cascade.stage_names_, cascade.tradeoff_index_)
        return display.plot(ax=ax, name=name, **kwargs)

    def plot(self, *, ax=None, name=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax, name, **kwargs
            As for :meth:`from_estimator`.

        Returns
        -------
        self : TradeoffDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
        curve, best = self.curve, self.curve.pareto()
        style = {"marker": ".", "color": CURVE, "label": name or "cascade", **kwargs}
        (self.line_,) = ax.plot(curve.relative_cost[best], curve.accuracy[best], **style)
        self.stages_ = ax.scatter(
            curve.stage_cost, curve.stage_accuracy, color=POINT, marker="s", label="stage alone"
        )
        for stage, at in zip(self.stage_names, zip(curve.stage_cost, curve.stage_accuracy)):
            ax.annotate(stage, at, xytext=(6, -11), textcoords="offset points")
        if self.index is not None:
            at = curve.relative_cost[self.index], curve.accuracy[self.index]
            ax.scatter(*at, s=120, facecolors="none", edgecolors="k", label="chosen", zorder=3)
        ax.set(xlabel="mean cost / cost of the last stage alone", ylabel="accuracy (held out)")
        ax.margins(x=0.12, y=0.1)
        ax.grid(alpha=0.3)
        ax.legend(loc="lower right")
        self.ax_, self.figure_ = ax, ax.figure
        return self
