"""What skorch needs to train classifiers fast."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader

from skcascade.utils._skorch import (
    ClassifierNet,
    TensorRows,
    as_numpy,
    as_tensor,
    bfloat16_is_faster,
    loader_params,
    n_batches,
    rows_per_step,
    torch_seed,
)


def test_net_computes_in_bfloat16_and_returns_float32():
    net = ClassifierNet(torch.nn.Linear, module__in_features=4, module__out_features=3)
    net.initialize()
    x = torch.randn(5, 4)
    full = net.infer(x)
    half = net.set_params(bfloat16=True).infer(x)
    assert (full.dtype, half.dtype) == (torch.float32, torch.float32)
    assert not torch.equal(full, half)
    torch.testing.assert_close(half, full, atol=0.05, rtol=0.05)


def test_rows_of_nested_inputs():
    rows = TensorRows({"a": torch.arange(4), "b": (torch.arange(4) * 10,)}, torch.arange(4))
    assert len(rows) == 4
    x, y = rows.__getitems__([1, 3])
    assert (x["a"].tolist(), x["b"][0].tolist(), y.tolist()) == ([1, 3], [10, 30], [1, 3])


def test_taken_rows_are_copies():
    X, y = np.arange(6.0).reshape(3, 2), np.arange(3)
    rows = TensorRows.take(X, y, np.array([2, 0]))
    rows.X.zero_()
    assert X[2].tolist() == [4.0, 5.0]
    assert rows.y.tolist() == [2, 0]


@pytest.mark.parametrize("n_rows", [1, 16, 17, 32, 33, 40])
def test_batches_of_the_loader_are_counted(n_rows):
    params = loader_params(16, n_rows)
    train = {
        key.removeprefix("iterator_train__"): value
        for key, value in params.items()
        if key.startswith("iterator_train__")
    }
    sizes = [len(y) for _, y in DataLoader(TensorRows(*[torch.arange(n_rows)] * 2), **train)]
    assert len(sizes) == n_batches(16, n_rows)
    assert 1 not in sizes or n_rows == 1


def test_loader_collates_other_data_sets():
    collate = loader_params(4, 8)["iterator_train__collate_fn"]
    x, y = collate([(torch.zeros(2), 0), (torch.ones(2), 1)])
    assert (tuple(x.shape), y.tolist()) == ((2, 2), [0, 1])


def test_rows_per_step():
    assert [rows_per_step("auto", n) for n in (10, 2000, 10**6)] == [16, 50, 128]
    assert rows_per_step(7, 10**6) == 7


@pytest.mark.parametrize(("amx", "avx", "training"), [(True, False, True), (False, True, False)])
def test_bfloat16_by_cpu(monkeypatch, amx, avx, training):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    assert bfloat16_is_faster(torch.device("cpu"), training=True) is training
    assert bfloat16_is_faster(torch.device("cpu"), training=False)


def test_bfloat16_by_device(monkeypatch):
    assert not bfloat16_is_faster(torch.device("meta"), training=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not bfloat16_is_faster(torch.device("cuda"), training=False)


def test_arrays_and_tensors():
    assert as_numpy(torch.ones(2, dtype=torch.bfloat16, requires_grad=True)).dtype == np.float32
    assert as_numpy(torch.arange(2)).dtype == np.int64
    assert as_numpy([1]) == [1]
    backwards = np.arange(3)[::-1]
    backwards.flags.writeable = False
    assert as_tensor(backwards).tolist() == [2, 1, 0]
    plain = np.arange(3)
    assert as_tensor(plain).data_ptr() == plain.ctypes.data


@pytest.mark.parametrize("device", [None, torch.device("cpu")])
def test_seed_inside_the_block_alone(device):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with torch_seed(3, device):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4), first)


def test_no_seed_keeps_the_global_generator_in_charge():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with torch_seed(None):
        assert torch.equal(torch.rand(3), expected)
