"""Checks of parameters that contradict each other or what is known before members are fitted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ..costs import FixedCost
from ..costs._default import check_cost
from ..evidence._losses import resolve_loss
from ..tuning._operating_point import OperatingPoint, check_reachable
from ..tuning._reject_bound import RejectBound
from ..utils._warn import warn

__all__ = [
    "check_certificate",
    "check_costs",
    "check_loss",
    "check_reject",
    "may_reject",
    "n_stages_before_fit",
    "operating_point",
    "reject_bound",
    "warn_if_memorized",
]

#: Rows and accuracy from which prefit members look as if they had been fitted on these rows.
MEMORIZED_ROWS, MEMORIZED = 30, 0.999


#: Parameters that allow rejecting samples.
REJECTING = ("reject_cost", "max_error", "reject_rate")


def may_reject(cascade):
    """Whether samples may be rejected."""
    return any(getattr(cascade, name) is not None for name in REJECTING)


def check_reject(cascade):
    """ValueError if parameters about rejected samples contradict each other."""
    given = [f"`{name}`" for name in REJECTING if getattr(cascade, name) is not None]
    if len(given) > 1:
        raise ValueError(
            "At most one of `reject_cost`, `max_error` and `reject_rate` may be given: the last two"
            f" choose the reject cost. Got {' and '.join(given)}. Set the others to None."
        )


def reject_bound(cascade):
    """The bound on rejected samples that the parameters set, or None."""
    bound = RejectBound(cascade.max_error, cascade.reject_rate)
    return None if bound == (None, None) else bound


def operating_point(cascade, policy, bound=None):
    """The operating point that the parameters set, checked.

    Parameters
    ----------
    cascade : CascadeClassifier
    policy : BaseExitPolicy
    bound : RejectBound, default=None
        What is certified instead; None: what the parameters say.
    """
    return OperatingPoint.check(
        cascade.alpha,
        cascade.max_accuracy_drop,
        cascade.max_cost,
        cascade.confidence_level,
        tunable=policy.tunable,
        certifies_other=(bound or reject_bound(cascade)) is not None,
    )


def check_certificate(cascade, *, recorded=True):
    """ValueError if `confidence_level` is set where nothing can be certified.

    Parameters
    ----------
    cascade : CascadeClassifier
    recorded : bool, default=True
        Whether the held-out answers are those of the deployed members.
    """
    if cascade.confidence_level is not None and not recorded:
        raise ValueError(
            "`confidence_level` needs held-out answers of the very members that are deployed:"
            f" a float `cv`, 'prefit' or FrozenEstimator members, got cv={cascade.cv!r}."
        )


class _Unfitted(NamedTuple):
    """Number and names of stages, before there are any."""

    n_stages: int
    names: list[str]


def n_stages_before_fit(members):
    """Number of stages, None if a member has several exits: it is known after its fit."""
    estimators = members.estimators
    several = [hasattr(e, "step") and getattr(e, "n_exits", None) != 1 for e in estimators]
    return None if any(several) else len(estimators)


def check_costs(cascade, members):
    """ValueError if given costs do not fit, as far as this is known before anything is fitted."""
    n_stages = n_stages_before_fit(members)
    if cascade.cost is None or not isinstance(model := check_cost(cascade.cost), FixedCost):
        return
    if n_stages is None:
        return
    fitted = clone(model).fit(_Unfitted(n_stages, members.names))
    if cascade.max_cost is not None and not may_reject(cascade):
        check_reachable(cascade.max_cost, fitted.relative(fitted.edge_costs_[0]))


def check_loss(loss, n_classes):
    """The loss that a name or a matrix stands for; ValueError for one that cannot be used.

    A callable must return one finite number for each of a few samples.
    """
    loss = resolve_loss(loss, n_classes)
    if loss is None:
        return None
    y = np.arange(n_classes)
    proba = np.full((n_classes, n_classes), 1 / n_classes, dtype=np.float32)
    values = np.asarray(loss(y, proba))
    if values.shape != y.shape:
        raise ValueError(
            f"`loss` must return one number per sample, an array of shape {y.shape}, got"
            f" {values.shape}."
        )
    if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise ValueError("`loss` must return finite numbers, got NaN, infinity or others.")
    return loss


def warn_if_memorized(cv, trace, codes):
    """Warn if every stage is correct on practically all of many held-out rows."""
    if not isinstance(cv, str) or len(codes) < MEMORIZED_ROWS:
        return
    stages = range(trace.n_stages)
    accuracy = [np.mean(trace.proba[:, k].argmax(axis=1) == codes) for k in stages]
    if min(accuracy) >= MEMORIZED:
        warn(
            f"With cv='prefit', every member is correct on {min(accuracy):.1%} of the rows or more:"
            " they look like the rows that the members were fitted on, where thresholds come out"
            " too permissive. Give rows that no member was fitted on."
        )
