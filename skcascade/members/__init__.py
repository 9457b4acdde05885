"""Members: the classifiers a cascade is made of.

Names that need torch are imported on first use, so a cascade of scikit-learn
classifiers never loads it.
"""

from importlib import import_module

# Public name -> module that defines it.
_LAZY = {
    "EarlyExitNetClassifier": "skcascade.members._early_exit",
    "TorchClassifier": "skcascade.members._torch",
}

__all__ = ["EarlyExitNetClassifier", "TorchClassifier"]


def __getattr__(name):
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value  # the next access does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY})
