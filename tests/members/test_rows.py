"""Rows of a net: loaded batch by batch, cached between exits."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skcascade.members._rows import ArrayRows, CachedRows, RowLoader


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_cached_rows_keep_values_and_layout(layout):
    x = torch.randn(11, 3, 4, 5).contiguous(memory_format=layout)
    parts = [x[:4], x[4:9], x[9:]]
    cached = CachedRows([{"t": [part]} for part in parts])
    assert len(cached) == 11
    assert cached.nbytes == x.nbytes
    index = np.array([8, 0, 1, 4, 10])
    (block,) = cached[index].blocks(100)
    assert torch.equal(block["t"][0], x[index])
    assert block["t"][0].is_contiguous(memory_format=layout)
    (first, *_) = cached.blocks(4)
    assert first["t"][0].data_ptr() == x.data_ptr()  # a whole part is not copied
    mixed = CachedRows([x[:4], x[4:].contiguous(memory_format=torch.contiguous_format)])
    assert torch.equal(next(mixed.blocks(11)), x)
    with pytest.raises(TypeError, match="`module`: the hidden state"):
        CachedRows(["nothing"])


def test_cached_rows_of_nested_selections():
    x = torch.arange(9.0)[:, None]
    cached = CachedRows([x[:4], x[4:]])[np.arange(1, 9, 2)][slice(2, None)]
    assert [block[:, 0].tolist() for block in cached.blocks(1)] == [[5.0], [7.0]]


@pytest.mark.parametrize(("shuffle", "sizes"), [(True, [4, 4]), (False, [4, 4, 1])])
def test_loader_drops_a_last_batch_of_one_row_in_training_only(shuffle, sizes):
    rows = ArrayRows(np.arange(9.0, dtype=np.float32)[:, None], np.arange(9))
    loader = RowLoader(rows, batch_size=4, shuffle=shuffle)
    assert [len(y) for _, y in loader] == sizes


def test_other_kinds_of_rows_are_fetched_one_by_one():
    rows = ArrayRows({"a": np.arange(4.0)}, np.arange(4))
    assert [y.item() for _, y in rows.__getitems__([0, 3])] == [0, 3]
