"""The three-exit residual network: its costs in the paper, shapes and errors."""

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

from skcascade.nets import CascadedResNet, CifarResNet


def macs_between_exits(net, x):
    """For each exit, multiply-accumulates of the trunk, of the head, and batch norm values."""
    values, counts = [], []
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.register_forward_hook(lambda part, x, y: values.append(y.numel()))
    for exit in range(len(net.exits)):
        with torch.no_grad(), FlopCounterMode(display=False) as trunk:
            x = net.advance(exit, x)
        with torch.no_grad(), FlopCounterMode(display=False) as head:
            net.answer(exit, x)
        counts.append((trunk.get_total_flops() / 2, head.get_total_flops() / 2, sum(values)))
        values.clear()
    return counts


def test_cascaded_resnet_costs_what_the_paper_says(count_macs):
    net = CascadedResNet(3, 10).to("meta").eval()
    counts = macs_between_exits(net, torch.empty(1, 3, 32, 32, device="meta"))
    for (trunk, head, norm), paper in zip(counts, [86.0e6, 84.1e6, 83.9e6]):
        assert trunk + head + norm == pytest.approx(paper, rel=0.001)  # it counts batch norm
        assert trunk + head == pytest.approx(paper, rel=0.0075)
    trunk, head, _ = map(sum, zip(*counts))
    assert trunk + head == pytest.approx(254.0e6, rel=0.005)
    assert head < 0.0002 * trunk
    last = trunk + counts[2][1]  # to the last exit alone: a plain ResNet
    assert last == count_macs(CifarResNet(3, 10, depth=110), 3, 32, 32)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 7, 9), (3, 1, 1)])
def test_cascaded_resnet_takes_any_image_size(shape):
    net = CascadedResNet(shape[0], 5, depth=8, width=4, hidden=6)
    assert [logits.shape for logits in net(torch.zeros(2, *shape))] == [(2, 5)] * 3
    with pytest.raises(ValueError, match="`depth` must be 6n"):
        CascadedResNet(3, 10, depth=9)
