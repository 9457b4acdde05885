"""What `CascadeClassifier` checks before anything is fitted, and before every walk.

Checks return what they find and change nothing.
"""

from __future__ import annotations

from copy import copy
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, assert_all_finite, get_tags
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from ..costs._fixed import FixedCost, check_cost
from ..evidence._reject import REJECT, resolve_reject_label
from ..evidence._stages import num_rows
from ..members._adapters import as_estimator, freeze, unwrap_frozen
from ..members._default import default_members
from ..policies import ConfidenceThreshold
from ..utils._sklearn import _check_y, _make_indexable, _raise_for_params, _routing_enabled

__all__ = [
    "Inputs",
    "Members",
    "are_recorded_members",
    "check_costs",
    "check_data",
    "check_members",
    "check_reject",
    "check_samples",
    "input_tags",
    "may_reject",
    "route_metadata",
    "seeded_policy",
]


class Inputs(NamedTuple):
    """What later samples must have in common with those of `fit`.

    Attributes
    ----------
    names : dict
        `n_features_in_` and `feature_names_in_`, if X has them.
    some_allow_nan : bool
        Whether some members take NaN, and some do not.
    plain_shape : tuple or None
        The shape[1:2] of arrays that need no check at all; None where all need one.
    """

    names: dict[str, Any]
    some_allow_nan: bool
    plain_shape: tuple | None

    @classmethod
    def of(cls, names, some_allow_nan):
        """The inputs of a fit with these names."""
        plain = not (some_allow_nan or "feature_names_in_" in names)
        return cls(names, some_allow_nan, (names.get("n_features_in_"),) if plain else None)


class Members(NamedTuple):
    """Names and estimators of the members, and whether only some of them take NaN."""

    names: list[str]
    estimators: list[Any]
    some_allow_nan: bool


def seeded_policy(policy, seed):
    """A checked clone of `policy` (None: the default), seeded if its `random_state` is None."""
    policy = ConfidenceThreshold() if policy is None else clone(policy)
    policy.check_params()
    if policy.get_params().get("random_state", 0) is None:
        policy.set_params(random_state=seed)
    return policy


def check_data(cascade, X, y):
    """X as rows that can be indexed, y, its classes and codes, and the names of features."""
    if cascade.memory is not None and not isinstance(cascade.random_state, Integral):
        raise ValueError(
            "`memory` needs an int `random_state`, so that the cache returns what a fit would"
            f" give; got random_state={cascade.random_state!r}."
        )
    if y is None:
        raise ValueError(
            f"This {type(cascade).__name__} estimator requires y to be passed, but the target"
            " y is None."
        )
    X = _rows_of(X)
    y = _check_y(np.asarray(y), estimator=cascade)
    check_classification_targets(y)
    if num_rows(X) != len(y):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples:"
            f" {num_rows(X)} in `X`, {len(y)} in `y`."
        )
    names = _feature_names(cascade, X)
    classes, codes = np.unique(y, return_inverse=True)
    label = resolve_reject_label(classes, cascade.reject_label)
    if may_reject(cascade) and label in classes.tolist():
        raise ValueError(
            f"`reject_label`, {label!r}, is a label in `y`. Choose another one for rejected"
            " samples."
        )
    if len(classes) < 2:
        raise ValueError("`y` holds one class only; a classifier needs at least 2 classes.")
    return X, y, classes, codes, names


def _feature_names(cascade, X):
    """`n_features_in_` and `feature_names_in_` for X; texts and dicts have neither."""
    if isinstance(X, dict):
        return {}
    seen, known = copy(cascade), ("n_features_in_", "feature_names_in_")
    for name in known:
        vars(seen).pop(name, None)
    validate_data(seen, X, skip_check_array=True)  # sets them on the copy
    return {name: vars(seen)[name] for name in known if name in vars(seen)}


def _rows_of(X):
    """X as at least one row that can be indexed."""
    X = _make_indexable(X)
    if num_rows(X) == 0:
        raise ValueError("Found array with 0 sample(s) in `X`, at least 1 is required.")
    return X


def check_samples(cascade, inputs, X):
    """X as rows that can be indexed, of the width that the cascade was fitted on.

    The members check the rest, except for NaN where only some of them would: a row that exits
    early never reaches a member that refuses it.
    """
    if isinstance(X, np.ndarray) and X.shape[1:2] == inputs.plain_shape and len(X):
        return X  # the checks below take as long as a small net does for one row
    X = _rows_of(X)
    if isinstance(X, dict):
        return X
    if getattr(X, "ndim", 2) == 1 and "n_features_in_" in inputs.names:
        raise ValueError(
            "Expected 2D array, got 1D array instead. Reshape your data using"
            " X.reshape(-1, 1) if it has a single feature or X.reshape(1, -1) if it is a"
            " single sample."
        )
    validate_data(cascade, X, reset=False, skip_check_array=True)
    if inputs.some_allow_nan and getattr(X, "dtype", None) in (np.float32, np.float64):
        assert_all_finite(X, input_name="X")
    return X


def check_members(cascade, X):
    """The members, checked.

    Modules become :class:`TorchClassifier`, and with `cv="prefit"` all are frozen.
    """
    given = default_members(_make_indexable(X)) if cascade.members is None else cascade.members
    if len(given) == 0:
        raise ValueError("`members` is empty: give at least one (name, classifier).")
    if not all(isinstance(m, tuple) and len(m) == 2 and isinstance(m[0], str) for m in given):
        raise ValueError("`members` must be a list of (name, estimator) tuples.")
    names = [name for name, _ in given]
    if len({*names, REJECT}) <= len(names):
        raise ValueError(
            f"`members` must have different names, none of them {REJECT!r}, got {names}."
            " Rename some."
        )
    cascade._validate_names(names)
    prefit = isinstance(cascade.cv, str)
    estimators = [as_estimator(estimator) for _, estimator in given]
    for name, estimator in zip(names, estimators):
        _check_member(name, estimator, fitted=prefit)
    if prefit:
        estimators = [freeze(estimator) for estimator in estimators]
    recorded = are_recorded_members(cascade.cv, estimators)
    if cascade.confidence_level is not None and not recorded:
        raise ValueError(
            "`confidence_level` needs held-out answers of the very members that are deployed:"
            f" a float `cv`, 'prefit' or FrozenEstimator members, got cv={cascade.cv!r}."
        )
    allow_nan = [tags.allow_nan for tags in input_tags(estimators)]
    return Members(names, estimators, any(allow_nan) and not all(allow_nan))


def may_reject(cascade):
    """Whether samples may be rejected."""
    return not (cascade.reject_cost is None and cascade.max_error is None)


def check_reject(cascade):
    """ValueError if parameters about rejected samples contradict others."""
    if cascade.max_error is None:
        return
    if cascade.reject_cost is not None:
        raise ValueError(
            "At most one of `reject_cost` and `max_error` may be given: `max_error` chooses"
            " `reject_cost`. Set the other to None."
        )
    if cascade.confidence_level is not None:
        raise ValueError(
            "`confidence_level` certifies `max_accuracy_drop` or `max_cost`, not `max_error`. Drop"
            " one of them, or give `reject_cost`."
        )


def are_recorded_members(cv, estimators):
    """Whether held-out answers are those of the very members that are deployed."""
    frozen = all(isinstance(estimator, FrozenEstimator) for estimator in estimators)
    return frozen or isinstance(cv, float | str)


def check_costs(cost, estimators):
    """ValueError if given costs do not fit, as far as this is known before anything is fitted."""
    several_exits = any(
        hasattr(estimator, "step") and getattr(estimator, "n_exits", None) != 1
        for estimator in estimators
    )
    if cost is not None and not several_exits and isinstance(check_cost(cost), FixedCost):
        clone(check_cost(cost)).fit(len(estimators))


def _check_member(name, estimator, fitted):
    """ValueError if `estimator` cannot be a member; with `fitted`, if it is not fitted yet."""
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise ValueError(
            f"Member {name!r} must be an instance of a classifier, a torch module or a module"
            f" class, got {estimator!r}."
        )
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"Member {name!r} ({type(estimator).__name__}) has no `predict_proba`. Choose its"
            " parameters so that it has, or wrap it in CalibratedClassifierCV."
        )
    if fitted or isinstance(estimator, FrozenEstimator):
        try:
            check_is_fitted(unwrap_frozen(estimator))
        except NotFittedError as error:
            raise ValueError(
                f"Member {name!r} is not fitted, as cv='prefit' and FrozenEstimator need it to be."
            ) from error


def input_tags(members):
    """The input tags of each of `members`."""
    return [get_tags(as_estimator(member)).input_tags for member in members]


def route_metadata(cascade, members, fit_params):
    """Metadata for `fit` of each member, and the weights for the policy."""
    if _routing_enabled():
        routed = process_routing(cascade, "fit", **fit_params)
        nothing = Bunch(fit={})  # default members are not routed to
        params = [routed.get(name, nothing).fit for name in members.names]
        return params, routed["policy"].fit.get("sample_weight")
    others = {name: value for name, value in fit_params.items() if name != "sample_weight"}
    _raise_for_params(others, cascade, "fit")
    params = [
        fit_params if has_fit_parameter(estimator, "sample_weight") else {}
        for estimator in members.estimators
    ]
    return params, fit_params.get("sample_weight")
