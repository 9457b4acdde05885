"""Training the exits of a net one after another: "backtrack"."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.datasets import make_classification
from skorch.callbacks import Callback
from torch import nn

from skcascade.members import EarlyExitNetClassifier
from skcascade.nets import EarlyExitNet

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
X = X.astype(np.float32)


def small_net(n_features, n_classes):
    """Four exits; batch norm in the trunk and in the heads."""
    blocks = [
        nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU())
        for width in (n_features, 8, 8, 8)
    ]
    heads = [nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, n_classes)) for _ in blocks]
    return EarlyExitNet(blocks, heads)


def fitted(module=small_net, **params):
    torch.manual_seed(0)
    params = {"max_epochs": 2, "batch_size": 32, "training": "backtrack", **params}
    return EarlyExitNetClassifier(module, **params).fit(X, Y)


class Snapshots(Callback):
    """Notes the state at the beginning and the end of each training."""

    def __init__(self):
        self.taken = []

    def on_train_begin(self, net, **kwargs):
        self.start = copy.deepcopy(net.module_.state_dict())

    def on_train_end(self, net, **kwargs):
        self.taken.append((self.start, copy.deepcopy(net.module_.state_dict())))


def test_backtrack_freezes_all_but_one_head():
    shots = Snapshots()
    net = fitted(head_epochs=3, callbacks=[("shots", shots)])
    assert net.history[:, "exit"] == [3] * 2 + [2] * 3 + [1] * 3 + [0] * 3
    assert net.history[:, "epoch"] == [1, 2] + [1, 2, 3] * 3
    for phase, (start, end) in zip([3, 2, 1, 0], shots.taken, strict=True):
        moved = {name for name in start if not torch.equal(start[name], end[name])}
        mine = {name for name in start if name.startswith(f"exits.{phase}.")}
        if phase == 3:
            mine |= {name for name in start if name.startswith("blocks.")}
        assert moved == mine  # batch norm's statistics and counters included
    assert all(weight.requires_grad for weight in net.module_.parameters())
    assert not any(part.training for part in net.module_.modules())
    assert net.phase_ is None
    assert len(net.infer(torch.from_numpy(X))) == 4


def test_backtrack_passes_over_heads_without_weights():
    def build(n_features, n_classes):
        return EarlyExitNet(
            [nn.Linear(n_features, n_classes), nn.Linear(n_classes, 8)],
            [nn.Identity(), nn.Linear(8, n_classes)],
        )

    net = fitted(build)
    assert net.history[:, "exit"] == [1, 1]


def test_a_phase_that_fails_unfreezes_the_weights():
    class Fails(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if net.phase_ == 2:
                raise ArithmeticError

    module = small_net(6, 3)
    with pytest.raises(ArithmeticError):
        fitted(module, callbacks=[("fails", Fails())])
    assert all(weight.requires_grad for weight in module.parameters())
