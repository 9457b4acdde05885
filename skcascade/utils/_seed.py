"""One seed for all that is random in an estimator."""

from typing import Any

from sklearn.base import clone

__all__ = ["seed_unset"]


def seed_unset(estimator: Any, seed: int | None) -> Any:
    """Clone an estimator and seed what is not seeded in it.

    Parameters
    ----------
    estimator : estimator
        Left as it is.
    seed : int or None
        Value of each parameter `random_state` that is None, also of estimators inside.
        None only clones.

    Returns
    -------
    estimator : estimator
        The clone.

    Examples
    --------
    >>> from sklearn.ensemble import BaggingClassifier
    >>> from sklearn.linear_model import SGDClassifier
    >>> from skcascade.utils._seed import seed_unset
    >>> seed_unset(BaggingClassifier(SGDClassifier(random_state=3)), 7)
    BaggingClassifier(estimator=SGDClassifier(random_state=3), random_state=7)
    """
    estimator = clone(estimator)
    if seed is None:
        return estimator
    unset = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if name.split("__")[-1] == "random_state" and value is None
    ]
    estimator.set_params(**dict.fromkeys(unset, seed))  # a frozen estimator returns None
    return estimator
