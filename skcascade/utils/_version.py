"""The version of the package, and pickles that know it."""

from __future__ import annotations

from typing import Any

from ._warn import warn

__all__ = ["VersionedPickle", "__version__"]

__version__ = "0.1.0"

#: Where a pickle holds the version of the package.
KEY = "_skcascade_version"


class VersionedPickle:
    """A mixin whose pickles hold the version that wrote them."""

    def __getstate__(self) -> dict[str, Any]:
        """All attributes, and the version."""
        return {**super().__getstate__(), KEY: __version__}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle; warn if another version wrote it."""
        written = state.pop(KEY, __version__)
        if written != __version__:
            warn(
                f"This cascade was pickled by skcascade {written} and is loaded by {__version__},"
                " which may read it wrongly. Fit it again, or install the version that wrote it."
            )
        super().__setstate__(state)  # type: ignore[misc]
