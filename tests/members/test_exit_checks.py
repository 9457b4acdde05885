"""Checks of nets with several exits."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from skcascade.members import EarlyExitNetClassifier
from skcascade.members._exit_checks import check_has_exits, check_parameters, measure_sizes
from skcascade.nets import MLP, EarlyExitNet
from skcascade.utils._skorch import TensorRows

X = np.random.default_rng(0).standard_normal((12, 6)).astype(np.float32)
Y = np.tile([0, 1, 2], 4)
NAMES = np.array(["ant", "bee", "cat"])[Y]


def four_exits(n_features, n_classes):
    blocks = [nn.Linear(width, 8) for width in (n_features, 8, 8, 8)]
    return EarlyExitNet(blocks, [nn.Linear(8, n_classes) for _ in blocks])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"training": "both"}, "`training` must be 'joint' or 'backtrack'"),
        ({"exit_weights": [1, 2]}, "`exit_weights` must be 4 finite numbers"),
        ({"exit_weights": [0] * 4}, "`exit_weights` must be 4 finite numbers"),
        ({"exit_weights": [1, 1, 1, -1]}, "`exit_weights` must be 4"),
        ({"head_epochs": 0}, "`head_epochs` must be 1 or more"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        EarlyExitNetClassifier(four_exits, **params).fit(X, Y)
    params = {"training": "joint", "exit_weights": None, "head_epochs": None, **params}
    with pytest.raises(ValueError, match=message):
        check_parameters(n_exits=4, **params)


@pytest.mark.parametrize("y", [NAMES, Y - 1, Y.astype(float)])
def test_labels_that_are_no_codes(y):
    with pytest.raises(ValueError, match="`y` must hold classes 0"):
        EarlyExitNetClassifier(four_exits).fit(X, y)


def test_modules_without_exits_are_refused():
    with pytest.raises(TypeError, match="must make a net with exits, but MLP has no blocks"):
        check_has_exits(MLP(6, 3))
    net = four_exits(6, 3)
    assert check_has_exits(net) is net
    net.exits = net.exits[:3]
    with pytest.raises(ValueError, match="as many blocks as exits, but has 4 and 3"):
        check_has_exits(net)


def test_sizes_of_arrays_tensors_and_data_sets():
    assert measure_sizes(X, Y, None) == ((6,), 3)
    assert measure_sizes(X, Y, ["a", "b", "c", "d"]) == ((6,), 4)
    rows = TensorRows(torch.from_numpy(X), torch.from_numpy(Y))
    assert measure_sizes(torch.from_numpy(X), torch.from_numpy(Y), None) == ((6,), 3)
    assert measure_sizes(rows, None, None) == ((6,), 3)
