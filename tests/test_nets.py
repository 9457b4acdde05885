"""The networks: shapes, known costs, and errors."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

from skcascade.nets import MLP, BasicBlock, CascadedResNet, CifarResNet, Standardized


def count_macs(net, *shape):
    """Multiply-accumulates of one sample, counted by torch on the meta device."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net.to("meta").eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(8, 12.2e6), (14, 26.4e6), (20, 40.6e6), (32, 68.9e6), (56, 125.5e6), (110, 252.9e6)],
)
def test_resnet_costs_what_the_literature_says(depth, expected):
    macs = count_macs(CifarResNet(3, 10, depth=depth), 3, 32, 32)
    assert macs == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 7, 9), (3, 1, 1)])
def test_resnet_takes_any_image_size(shape):
    net = CifarResNet(shape[0], 5, width=4)
    assert net(torch.zeros(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize("depth", [2, 9, 0, -4, 12])
def test_resnet_of_impossible_depth(depth):
    with pytest.raises(ValueError, match=r"depth must be 6n \+ 2"):
        CifarResNet(3, 10, depth=depth)


def test_resnet_depth_counts_layers_with_weights():
    layers = [m for m in CifarResNet(3, 10, depth=20).modules() if hasattr(m, "weight")]
    assert len([m for m in layers if not isinstance(m, torch.nn.BatchNorm2d)]) == 20


def test_shortcut_subsamples_and_pads():
    block = BasicBlock(2, 5, stride=2).eval()
    torch.nn.init.zeros_(block.conv2.weight)  # only the shortcut is left
    x = torch.rand(1, 2, 4, 4)
    out = block(x)
    assert torch.equal(out[:, :2], x[:, :, ::2, ::2])
    assert not out[:, 2:].any()


def test_resnet_starts_from_he_initialisation():
    torch.manual_seed(0)
    conv = CifarResNet(3, 10, width=32).stages[2][0].conv2
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def macs_between_exits(net, x):
    """For each exit, multiply-accumulates of the way there, of its head, and batch norm values."""
    values, counts = [], []
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.register_forward_hook(lambda part, x, y: values.append(y.numel()))
    for exit in range(len(net.exits)):
        with torch.no_grad(), FlopCounterMode(display=False) as way:
            x = net.advance(exit, x)
        with torch.no_grad(), FlopCounterMode(display=False) as head:
            net.answer(exit, x)
        counts.append((way.get_total_flops() / 2, head.get_total_flops() / 2, sum(values)))
        values.clear()
    return counts


def test_cascaded_resnet_costs_what_the_paper_says():
    net = CascadedResNet(3, 10).to("meta").eval()
    counts = macs_between_exits(net, torch.empty(1, 3, 32, 32, device="meta"))
    for (way, head, norm), paper in zip(counts, [86.0e6, 84.1e6, 83.9e6]):
        assert way + head + norm == pytest.approx(paper, rel=0.001)  # it counts batch norm
        assert way + head == pytest.approx(paper, rel=0.0075)
    way, head, _ = map(sum, zip(*counts))
    assert way + head == pytest.approx(254.0e6, rel=0.005)
    assert head < 0.0002 * way
    last = way + counts[2][1]  # to the last exit alone: a plain ResNet
    assert last == count_macs(CifarResNet(3, 10, depth=110), 3, 32, 32)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 7, 9), (3, 1, 1)])
def test_cascaded_resnet_takes_any_image_size(shape):
    net = CascadedResNet(shape[0], 5, depth=8, width=4, hidden=6)
    assert [logits.shape for logits in net(torch.zeros(2, *shape))] == [(2, 5)] * 3
    with pytest.raises(ValueError, match="depth must be 6n"):
        CascadedResNet(3, 10, depth=9)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_mlp(hidden):
    net = MLP(12, 3, hidden=hidden)
    assert net(torch.zeros(4, 12)).shape == (4, 3)
    assert net(torch.zeros(4, 3, 2, 2)).shape == (4, 3)
    sizes = [12, *hidden, 3]
    assert count_macs(net, 12) == sum(a * b for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize("shape", [(50, 4), (50, 4, 3, 3)])
def test_standardized(shape):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(shape, generator=generator) + 7
    x[:, 1] = 0.1  # constant
    net = Standardized.from_rows(torch.nn.Identity(), x)
    dims = [0, *range(2, x.ndim)]
    torch.testing.assert_close(net(x).mean(dims), torch.zeros(4), atol=1e-5, rtol=0)
    expected = torch.tensor([1.0, 0.0, 1.0, 1.0])
    torch.testing.assert_close(net(x).std(dims, correction=0), expected, atol=1e-5, rtol=1e-5)
    assert set(net.state_dict()) == {"mean", "scale"}
    assert not list(net.parameters())


def test_standardized_costs_nothing():
    net = MLP(6, 3)
    wrapped = Standardized(net, torch.zeros(6), torch.ones(6))
    assert count_macs(wrapped, 6) == count_macs(net, 6)
