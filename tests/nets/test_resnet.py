"""The residual network: shapes, known costs, and errors."""

import pytest

torch = pytest.importorskip("torch")

from skcascade.nets import BasicBlock, CifarResNet


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(8, 12.2e6), (14, 26.4e6), (20, 40.6e6), (32, 68.9e6), (56, 125.5e6), (110, 252.9e6)],
)
def test_resnet_costs_what_the_literature_says(count_macs, depth, expected):
    macs = count_macs(CifarResNet(3, 10, depth=depth), 3, 32, 32)
    assert macs == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 7, 9), (3, 1, 1)])
def test_resnet_takes_any_image_size(shape):
    net = CifarResNet(shape[0], 5, width=4)
    assert net(torch.zeros(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize("depth", [2, 9, 0, -4, 12])
def test_resnet_of_impossible_depth(depth):
    with pytest.raises(ValueError, match=r"`depth` must be 6n \+ 2"):
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


def test_resnet_starts_from_he_initialization():
    torch.manual_seed(0)
    conv = CifarResNet(3, 10, width=32).stages[2][0].conv2
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
