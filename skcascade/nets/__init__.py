"""Plain torch networks: what :class:`~skcascade.members.TorchClassifier` trains by default.

Every network maps a batch to logits of shape (n_samples, n_classes), one with several exits
to a tuple of them, and is built from blocks that other networks may reuse.
"""

from skcascade.nets._cascaded_resnet import CascadedResNet
from skcascade.nets._early_exit import EarlyExitNet
from skcascade.nets._mlp import MLP
from skcascade.nets._resnet import BasicBlock, CifarResNet, basic_module, conv_stem
from skcascade.nets._standardized import Standardized

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
