"""Plain torch networks: what :class:`~skcascade.members.TorchClassifier` trains by default.

Every network maps a batch to logits of shape (n_samples, n_classes) and is built
from blocks that other networks may reuse.
"""

from skcascade.nets._mlp import MLP
from skcascade.nets._resnet import BasicBlock, CifarResNet, basic_module, conv_stem
from skcascade.nets._standardized import Standardized

__all__ = ["MLP", "BasicBlock", "CifarResNet", "Standardized", "basic_module", "conv_stem"]
