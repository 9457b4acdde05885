"""Warnings that point at the line of the user."""

import sys
import warnings

from ..exceptions import CascadeWarning

__all__ = ["warn"]

#: Frames of these packages are never the line that a warning points at.
_PACKAGES = frozenset({"skcascade", "sklearn", "joblib", "skorch", "torch"})


def warn(message: str, category: type[Warning] = CascadeWarning) -> None:
    """Warn at the nearest caller outside this package and those it is built on.

    Where there is none, as in a worker process, the warning points at the outermost frame.

    Parameters
    ----------
    message : str
        What happened, and what to do about it.
    category : type of Warning, default=CascadeWarning

    Examples
    --------
    >>> import warnings
    >>> from skcascade.utils._warn import warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("Two stages are enough.")
    >>> caught[0].category.__name__, str(caught[0].message)
    ('CascadeWarning', 'Two stages are enough.')
    """
    frame, stacklevel = sys._getframe(), 1
    while _is_internal(frame) and frame.f_back is not None:
        frame, stacklevel = frame.f_back, stacklevel + 1
    warnings.warn(message, category, stacklevel=stacklevel)


def _is_internal(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in _PACKAGES
