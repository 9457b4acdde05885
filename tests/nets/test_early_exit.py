"""The base of nets with several exits."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from skcascade.nets import EarlyExitNet


def two_exits():
    blocks = [nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU()), nn.Linear(8, 4)]
    return EarlyExitNet(blocks, [nn.Linear(8, 3), nn.Linear(4, 3)])


def test_forward_gives_every_exit_in_order():
    net = two_exits().eval()
    x = torch.randn(5, 6)
    hidden = x
    for k, logits in enumerate(net(x)):
        hidden = net.blocks[k](hidden)
        assert torch.equal(logits, net.exits[k](hidden))


@pytest.mark.parametrize(("blocks", "exits"), [(2, 1), (0, 0), (1, 2)])
def test_as_many_exits_as_blocks(blocks, exits):
    with pytest.raises(ValueError, match="one exit for each block"):
        EarlyExitNet([nn.ReLU()] * blocks, [nn.ReLU()] * exits)


def test_advance_and_answer_are_what_forward_calls():
    net = two_exits().eval()
    x = torch.randn(5, 6)
    hidden = net.advance(0, x)
    assert torch.equal(net.answer(0, hidden), net(x)[0])
    assert torch.equal(net.answer(1, net.advance(1, hidden)), net(x)[1])
