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
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..evidence._reject import REJECT, add_reject_label
from ..evidence._stages import num_rows
from ..members._adapters import as_estimator, freeze, is_module, unwrap_frozen
from ..members._default import default_members
from ..policies import ConfidenceThreshold
from ..utils._kinds import as_array
from ..utils._sklearn import _check_y, _make_indexable
from ..utils._warn import warn
from ._checks import check_certificate, may_reject

__all__ = [
    "Inputs",
    "Members",
    "are_recorded_members",
    "check_data",
    "check_members",
    "check_samples",
    "input_tags",
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
    if not isinstance(cascade.memory, str | None) and not hasattr(cascade.memory, "location"):
        raise ValueError(
            "`memory` must be a folder (str) or have the interface of joblib.Memory, `cache` and"
            f" `location`, got {cascade.memory!r:.80}."
        )
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
    y = _check_y(as_array("y", y), estimator=cascade)
    check_classification_targets(y)
    if num_rows(X) != len(y):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples:"
            f" {num_rows(X)} in `X`, {len(y)} in `y`."
        )
    names = _feature_names(cascade, X)
    classes, codes = np.unique(y, return_inverse=True)
    if may_reject(cascade):
        add_reject_label(classes, cascade.reject_label)
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
    given_as = dict(given)
    estimators = [as_estimator(estimator) for estimator in given_as.values()]
    for name, estimator in zip(names, estimators):
        _check_member(name, estimator, fitted=prefit)
        if isinstance(X, dict) and is_module(given_as[name]):
            raise ValueError(
                f"Member {name!r} is a bare torch module, which takes one array, and `X` is a dict."
                " Wrap it in a skorch NeuralNetClassifier, which hands dicts to `forward`."
            )
        _warn_of_own_threshold(name, estimator)
    if prefit:
        estimators = [freeze(estimator) for estimator in estimators]
    check_certificate(cascade, recorded=are_recorded_members(cascade.cv, estimators))
    allow_nan = [tags.allow_nan for tags in input_tags(estimators)]
    return Members(names, estimators, any(allow_nan) and not all(allow_nan))


def are_recorded_members(cv, estimators):
    """Whether held-out answers are those of the very members that are deployed."""
    frozen = all(isinstance(estimator, FrozenEstimator) for estimator in estimators)
    return frozen or isinstance(cv, float | str)


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


def _warn_of_own_threshold(name, estimator):
    """Warn if a member predicts by another rule than the most likely class."""
    inner = unwrap_frozen(estimator)
    while isinstance(inner, Pipeline):
        inner = unwrap_frozen(inner.steps[-1][1])
    if isinstance(inner, FixedThresholdClassifier | TunedThresholdClassifierCV):
        warn(
            f"Member {name!r} has a decision threshold of its own, which the cascade does not use:"
            " a cascade predicts the most likely class. Give it the estimator inside, and tune the"
            " threshold around the cascade: TunedThresholdClassifierCV(cascade)."
        )


def input_tags(members):
    """The input tags of each of `members`."""
    return [get_tags(as_estimator(member)).input_tags for member in members]
