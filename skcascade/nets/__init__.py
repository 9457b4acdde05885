"""Plain torch networks: what :class:`~skcascade.members.TorchClassifier` trains by default.

Every network maps a batch to logits of shape (n_samples, n_classes). A network with several
exits maps it to a tuple of them. All are built from blocks that other networks may reuse.
"""

from ._cascaded_resnet import CascadedResNet
from ._early_exit import EarlyExitNet
from ._mlp import MLP
from ._resnet import BasicBlock, CifarResNet, basic_module, conv_stem
from ._standardized import Standardized

__all__ = [
    "MLP",
    "BasicBlock",
    "CascadedResNet",
    "CifarResNet",
    "EarlyExitNet",
    "Standardized",
    "basic_module",
    "conv_stem",
]
