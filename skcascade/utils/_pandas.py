"""pandas, which only tables need."""

from __future__ import annotations

from typing import Any

__all__ = ["import_pandas"]


def import_pandas() -> Any:
    """The module pandas; an ImportError with the remedy if it is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "`to_frame` needs pandas: python -m pip install pandas. The arrays are attributes"
            " of the object."
        ) from error
    return pandas
