"""A key for caches: all that decides the outcome of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pickle import PicklingError
from types import FunctionType, MethodType
from typing import Any

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator

from ._code import UnkeyableError, identify

__all__ = ["UnkeyableError", "digest"]

#: Attributes of a torch module that hold its weights and parts, which are keyed by themselves,
#: and its mode, which a cascade sets.
_PARTS = {"_parameters", "_buffers", "_modules", "training"}
#: Attributes of fitted nets that matter to training alone.
_TRAINING = {"callbacks", "callbacks_", "history_", "optimizer_"}


def digest(thing: Any, *, fitted: bool = False) -> str:
    """Hash what decides how `thing` fits; a clone has the same hash.

    Estimators count by type, parameters and, where they are frozen, fitted state; modules by
    type, weights and all attributes of every submodule; functions and classes of the user by
    their code, those of libraries by name and version; all else by `joblib.hash`.

    Parameters
    ----------
    thing : object
        An estimator, a module, data, or a container of them.
    fitted : bool, default=False
        Whether the fitted state of estimators counts.

    Returns
    -------
    digest : str

    Raises
    ------
    UnkeyableError
        If `thing` holds a lambda, a function defined inside another one, or an object that
        cannot be pickled.
    """
    try:
        return joblib.hash(_essence(thing, fitted))
    except (PicklingError, AttributeError, TypeError) as error:
        if isinstance(error, UnkeyableError):
            raise
        raise UnkeyableError(
            f"it holds an object that cannot be pickled ({error}). Replace it, or set memory=None."
        ) from error


def _essence(thing, fitted=False):
    """`thing` as plain containers, arrays and strings; estimators in their `fitted` state."""
    if isinstance(thing, (type, FunctionType)):
        return identify(thing)
    if isinstance(thing, MethodType):
        return identify(thing.__func__), _essence(thing.__self__, fitted)
    if isinstance(thing, partial):
        return _essence([thing.func, thing.args, thing.keywords], fitted)
    if hasattr(thing, "state_dict") and hasattr(thing, "named_modules"):
        return _module_essence(thing)
    if isinstance(thing, FrozenEstimator):
        return "frozen", _essence(thing.estimator, fitted=True)
    if hasattr(thing, "get_params"):
        state = thing.get_params(deep=False)
        if fitted:
            state = {name: value for name, value in vars(thing).items() if name not in _TRAINING}
        return identify(type(thing)), _essence(state, fitted)
    if hasattr(thing, "detach"):
        return _array(thing)
    if isinstance(thing, np.ma.MaskedArray):  # joblib cannot hash those of a grid search
        return thing.tolist()
    if isinstance(thing, Mapping):
        return {str(key): _essence(value, fitted) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_essence(value, fitted) for value in thing]
    if isinstance(thing, (set, frozenset)):  # in an order that does not depend on the process
        return sorted(joblib.hash(_essence(value, fitted)) for value in thing)
    return thing


def _module_essence(module):
    """Types, weights and attributes of a module and all modules in it."""
    weights = {name: _array(value) for name, value in module.state_dict().items()}
    parts = {
        name: (
            identify(type(part)),
            {key: _essence(value) for key, value in vars(part).items() if key not in _PARTS},
        )
        for name, part in module.named_modules()
    }
    return weights, parts


def _array(tensor):
    return tensor.detach().cpu().numpy()
