"""Standardization inside a network."""

import pytest

torch = pytest.importorskip("torch")

from skcascade.nets import MLP, Standardized


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


def test_standardized_costs_nothing(count_macs):
    net = MLP(6, 3)
    wrapped = Standardized(net, torch.zeros(6), torch.ones(6))
    assert count_macs(wrapped, 6) == count_macs(net, 6)
