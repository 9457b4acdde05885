"""Warnings and errors of skcascade."""

__all__ = ["CascadeWarning", "UncountableError"]


class CascadeWarning(UserWarning):
    """The cascade was fitted, but not as well as you may expect.

    Raised as a warning when, for instance, no drop in accuracy can be certified
    or the costs of the members cannot be counted.
    """


class UncountableError(TypeError):
    """The multiply-accumulates of an estimator cannot be counted.

    Raised by :class:`~skcascade.costs.MacsCost` for types of estimators that are not
    registered. The message says how to register one.
    """
