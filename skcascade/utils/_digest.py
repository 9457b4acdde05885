"""A key for caches: what decides the outcome of a fit."""

from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator

__all__ = ["digest"]


def digest(thing: Any, *, fitted: bool = False) -> str:
    """Hash what decides how `thing` fits; a clone has the same hash.

    Estimators count by type and parameters, frozen ones by their fitted state too,
    modules by class and weights (the pickle of a cloned skorch net differs from the
    original's), everything else by `joblib.hash`.

    Parameters
    ----------
    thing : object
        An estimator, a module, data, or a container of them.
    fitted : bool, default=False
        Whether the fitted state of estimators counts.

    Returns
    -------
    digest : str
    """
    return joblib.hash(_essence(thing, fitted))


def _essence(thing, fitted=False):
    """`thing` as plain containers, arrays and strings; estimators in their `fitted` state."""
    if isinstance(thing, type):
        return _name(thing)
    if hasattr(thing, "state_dict") and hasattr(thing, "named_modules"):
        weights = {name: _array(value) for name, value in thing.state_dict().items()}
        return _name(type(thing)), repr(thing), weights
    if isinstance(thing, FrozenEstimator):
        return "frozen", _essence(thing.estimator, fitted=True)
    if hasattr(thing, "get_params"):
        state = _state(thing) if fitted else thing.get_params(deep=False)
        return _name(type(thing)), _essence(state, fitted)
    if hasattr(thing, "detach"):
        return _array(thing)
    if isinstance(thing, np.ma.MaskedArray):  # joblib cannot hash those of a grid search
        return thing.tolist()
    if isinstance(thing, Mapping):
        return {str(key): _essence(value, fitted) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_essence(value, fitted) for value in thing]
    return thing


def _state(estimator):
    """Weights and parameters where there is a module, else all attributes."""
    module = getattr(estimator, "module_", None)
    if module is None:
        return vars(estimator)
    return {**estimator.get_params(deep=False), "module_": module}


def _array(tensor):
    return tensor.detach().cpu().numpy()


def _name(kind):
    return f"{kind.__module__}.{kind.__qualname__}"
