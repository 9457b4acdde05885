"""A key for caches: what decides the outcome of a fit."""

from collections.abc import Mapping

import joblib
from sklearn.frozen import FrozenEstimator

__all__ = ["digest"]


def digest(thing):
    """Hash of what decides how `thing` fits, the same for a clone.

    Estimators count by type and parameters, frozen ones by their fitted state too,
    modules by class and weights (the pickle of a cloned skorch net differs from the
    original's), everything else by `joblib.hash`.

    Parameters
    ----------
    thing : object
        An estimator, a module, data, or a container of them.

    Returns
    -------
    digest : str
    """
    return joblib.hash(_essence(thing))


def _essence(thing):
    """`thing` as plain containers, arrays and strings."""
    if isinstance(thing, type):
        return _name(thing)
    if hasattr(thing, "state_dict") and hasattr(thing, "named_modules"):
        weights = {name: _array(value) for name, value in thing.state_dict().items()}
        return _name(type(thing)), repr(thing), weights
    if isinstance(thing, FrozenEstimator):
        return "frozen", _essence(thing.estimator), _fitted(thing.estimator)
    if hasattr(thing, "get_params"):
        params = thing.get_params(deep=False)
        return _name(type(thing)), {key: _essence(value) for key, value in params.items()}
    if hasattr(thing, "detach"):
        return _array(thing)
    if isinstance(thing, Mapping):
        return {str(key): _essence(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_essence(value) for value in thing]
    return thing


def _fitted(estimator):
    """Fitted state: weights of the module where there is one, else all attributes."""
    module = getattr(estimator, "module_", None)
    return _essence(module) if module is not None else vars(estimator)


def _array(tensor):
    return tensor.detach().cpu().numpy()


def _name(kind):
    return f"{kind.__module__}.{kind.__qualname__}"
