"""The operating point: what the user asks for, and the point of a curve that serves it best."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..utils._kinds import check_kind

if TYPE_CHECKING:
    from ._curve import TradeoffCurve

__all__ = ["OperatingPoint", "check_reachable"]


class OperatingPoint(NamedTuple):
    """The parameter of the operating point: at most one of three, none meaning no drop.

    Attributes
    ----------
    alpha : float or None
        Cost weight: the cost of one full run of the last stage, in units of accuracy.
    max_accuracy_drop : float or None
        Largest acceptable drop below the reference stage.
    max_cost : float or None
        Largest acceptable mean relative cost.
    """

    alpha: float | None = None
    max_accuracy_drop: float | None = None
    max_cost: float | None = None

    @classmethod
    def check(
        cls,
        alpha: float | None = None,
        max_accuracy_drop: float | None = None,
        max_cost: float | None = None,
        confidence_level: float | None = None,
        tunable: bool = True,
        certifies_other: bool = False,
    ) -> OperatingPoint:
        """The operating point asked for, checked.

        `certifies_other` says that the confidence level is for another bound, on rejected samples.

        Raises
        ------
        ValueError
            If more than one is given, one is out of range, or a confidence level
            comes with `alpha`, which sets no bound that could be certified.
        """
        point = cls(alpha, max_accuracy_drop, max_cost)
        given = [name for name, value in point._asdict().items() if value is not None]
        if len(given) > 1:
            raise ValueError(
                f"At most one of `alpha`, `max_accuracy_drop` and `max_cost` may be given,"
                f" got {' and '.join(f'`{name}`' for name in given)}. Set the others to None."
            )
        if not tunable and (given or confidence_level is not None):
            raise ValueError(
                "The policy leaves nothing to tune (a ConfidenceThreshold with `epsilon`"
                f" follows that alone), got {', '.join(given) or 'confidence_level'} too. Drop"
                " one of them."
            )
        for name, value in (*point._asdict().items(), ("confidence_level", confidence_level)):
            check_kind(name, value, Real | None, "a number or None")
        if alpha is not None and not 0 <= alpha < np.inf:
            raise ValueError(f"`alpha` must be a finite number, 0 or more, got {alpha!r}.")
        if max_accuracy_drop is not None and not 0 <= max_accuracy_drop < 1:
            raise ValueError(f"`max_accuracy_drop` must lie in [0, 1), got {max_accuracy_drop!r}.")
        if max_cost is not None and not 0 < max_cost < np.inf:
            raise ValueError(f"`max_cost` must be a finite number above 0, got {max_cost!r}.")
        if confidence_level is not None:
            if not 0 < confidence_level < 1:
                raise ValueError(
                    f"`confidence_level` must lie in (0, 1), got {confidence_level!r}."
                )
            if alpha is not None and not certifies_other:
                raise ValueError(
                    "`confidence_level` certifies a bound, and `alpha` sets none. Give"
                    " `max_accuracy_drop` or `max_cost`, or drop `confidence_level`."
                )
        return point if given else cls(max_accuracy_drop=0.0)

    def choose(self, curve: TradeoffCurve) -> int:
        """Index of the point of `curve` that serves best.

        Raises
        ------
        ValueError
            If `max_cost` is below every point of the curve.
        """
        accuracy, cost = curve.accuracy, curve.relative_cost
        if self.alpha is not None:
            return _smallest(1 - accuracy + self.alpha * cost, cost)
        if self.max_cost is not None:
            self.choose_stage(curve)
            affordable = cost <= self.max_cost + 1e-12
            return _smallest(np.where(affordable, 1 - accuracy, np.inf), cost)
        enough = accuracy >= self._floor(curve) - 1e-12
        return _smallest(np.where(enough, cost, np.inf), -accuracy)

    def misses(self, curve: TradeoffCurve, index: int) -> bool:
        """Whether point `index` of `curve` breaks the bound."""
        if self.max_cost is not None:
            return curve.relative_cost[index] > self.max_cost + 1e-12
        if self.max_accuracy_drop is not None:
            return curve.accuracy[index] < self._floor(curve) - 1e-12
        return False

    def text(self) -> str:
        """The operating point as the user writes it."""
        return next(
            f"{name}={value}" for name, value in self._asdict().items() if value is not None
        )

    def _floor(self, curve):
        """Least accuracy that `max_accuracy_drop` allows."""
        return curve.reference_accuracy - self.max_accuracy_drop

    def choose_stage(self, curve: TradeoffCurve) -> int:
        """The most accurate single stage within `max_cost`.

        Raises
        ------
        ValueError
            If there is none.
        """
        affordable = curve.stage_cost <= (self.max_cost or 0.0) + 1e-12
        check_reachable(self.max_cost or 0.0, curve.stage_cost)
        return int(np.argmax(np.where(affordable, curve.stage_accuracy, -np.inf)))


def check_reachable(max_cost: float, stage_cost: NDArray[np.float64]) -> None:
    """ValueError if even the cheapest stage alone costs more than `max_cost`."""
    if stage_cost.min() > max_cost + 1e-12:
        raise ValueError(
            f"`max_cost`={max_cost} cannot be reached: the cheapest stage alone has a relative"
            f" cost of {stage_cost.min():.4g}. Raise `max_cost`, or add a cheaper member."
        )


def _smallest(value, tie):
    """Index of the smallest `value`, by `tie` among equals; of equals in both the last.

    Stages alone are the last candidates: where one of them is enough, no cascade is needed.
    """
    equal = np.flatnonzero(value <= value.min() + 1e-12)
    return int(equal[tie[equal] <= tie[equal].min() + 1e-12][-1])
