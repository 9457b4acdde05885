"""Counting the networks."""

import pytest


@pytest.fixture(scope="session")
def count_macs():
    """Function that counts multiply-accumulates of one sample, by torch on the meta device."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    def count(net, *shape):
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            net.to("meta").eval()(torch.empty(1, *shape, device="meta"))
        return counter.get_total_flops() / 2

    return count
