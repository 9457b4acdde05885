"""The members of a cascade that was given none."""

from typing import Any

import numpy as np

__all__ = ["default_members"]

#: Hidden layers of the three nets for tables.
MLP_HIDDEN = {"small": (8,), "medium": (32,), "large": (256,)}
#: Depths of the three nets for images.
RESNET_DEPTHS = {"small": 8, "medium": 14, "large": 20}


def default_members(X: Any) -> list[tuple[str, Any]]:
    """Make three torch nets of growing size for samples like `X`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, channels, height, width)

    Returns
    -------
    members : list of (str, TorchClassifier)
    """
    from ..nets import MLP, CifarResNet
    from ._torch import TorchClassifier

    if np.ndim(X) == 4:
        return [
            (name, TorchClassifier(CifarResNet, module_params={"depth": depth}))
            for name, depth in RESNET_DEPTHS.items()
        ]
    return [
        (name, TorchClassifier(MLP, module_params={"hidden": hidden}))
        for name, hidden in MLP_HIDDEN.items()
    ]
