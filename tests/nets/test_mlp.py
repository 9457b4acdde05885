"""The multilayer perceptron."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from skcascade.nets import MLP


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_mlp(count_macs, hidden):
    net = MLP(12, 3, hidden=hidden)
    assert net(torch.zeros(4, 12)).shape == (4, 3)
    assert net(torch.zeros(4, 3, 2, 2)).shape == (4, 3)
    sizes = [12, *hidden, 3]
    assert count_macs(net, 12) == sum(a * b for a, b in itertools.pairwise(sizes))
