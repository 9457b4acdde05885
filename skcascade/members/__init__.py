"""Members: the classifiers a cascade is made of.

Names that need torch are imported on first use, so a cascade of scikit-learn
classifiers never loads it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._early_exit import EarlyExitNetClassifier
    from ._torch import TorchClassifier

# Public name -> module that defines it.
_LAZY = {"EarlyExitNetClassifier": "._early_exit", "TorchClassifier": "._torch"}

__all__ = ["EarlyExitNetClassifier", "TorchClassifier"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name], __name__), name)
        globals()[name] = value  # the next access does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
