"""Recorded evidence: what is accepted, labels, rows and size."""

import pickle

import numpy as np
import pytest

from skcascade import Trace

#: Three samples, two stages, two classes.
PROBA = [[[0.9, 0.1], [0.8, 0.2]], [[0.6, 0.4], [0.1, 0.9]], [[0.3, 0.7], [0.2, 0.8]]]


def uniform(n, n_stages, n_classes):
    return np.full((n, n_stages, n_classes), 1 / n_classes, dtype=np.float32)


# What is accepted -------------------------------------------------------------------------


def test_shape_and_dtype():
    trace = Trace(PROBA)
    assert (trace.n_samples, trace.n_stages, trace.n_classes) == (3, 2, 2)
    assert trace.proba.dtype == np.float32
    assert repr(trace) == "Trace(n_samples=3, n_stages=2, n_classes=2)"
    np.testing.assert_array_equal(trace.proba, np.float32(PROBA))


@pytest.mark.parametrize("shape", [(4, 3), (4,), (0, 2, 3), (4, 0, 3), (4, 2, 0), (1, 1, 1, 1)])
def test_bad_shape(shape):
    with pytest.raises(ValueError, match="must have the shape"):
        Trace(np.ones(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none(value):
    proba = uniform(50, 2, 3)
    proba[49, 1, 2] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        Trace(proba)


@pytest.mark.parametrize("classes", [["a"], ["a", "b", "c"]])
def test_classes_that_do_not_label_the_columns(classes):
    with pytest.raises(ValueError, match="`classes` must label the 2 columns"):
        Trace(PROBA, classes=classes)


# Labels -----------------------------------------------------------------------------------


def test_codes_are_codes_without_classes():
    assert Trace(PROBA).codes([1, 0, 1]).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("classes", "y", "codes"),
    [
        (["cat", "dog"], ["dog", "cat", "dog"], [1, 0, 1]),
        (["dog", "cat"], ["dog", "cat", "dog"], [0, 1, 0]),  # columns in any order
        ([10, -5], [-5, -5, 10], [1, 1, 0]),
        ([False, True], [True, False, False], [1, 0, 0]),
        ([0.5, 1.5], [1.5, 1.5, 0.5], [1, 1, 0]),
    ],
)
def test_codes_are_columns(classes, y, codes):
    assert Trace(PROBA, classes=classes).codes(y).tolist() == codes


@pytest.mark.parametrize(
    ("classes", "y", "unknown"),
    [
        (["cat", "dog"], ["dog", "eel", "ant"], r"\['ant', 'eel'\]"),
        (["cat", "dog"], ["dog", "cat", "zebra"], r"\['zebra'\]"),
        (["cat", "dog"], [0, 1, 0], r"\[0, 1\]"),
        (None, [0, 1, 2], r"\[2\]"),
        (None, [0, -1, 1], r"\[-1\]"),
        (None, [0, 1, np.nan], r"\[nan\]"),
        (None, ["0", "1", "1"], r"\['0', '1'\]"),
    ],
)
def test_labels_without_a_column(classes, y, unknown):
    with pytest.raises(ValueError, match=f"labels without a column in the trace: {unknown}"):
        Trace(PROBA, classes=classes).codes(y)


@pytest.mark.parametrize("y", [[0, 1], [0, 1, 0, 1], [[0], [1], [0]]])
def test_y_of_another_length(y):
    with pytest.raises(ValueError, match=r"`y` must have the shape \(n_samples,\) = \(3,\)"):
        Trace(PROBA).codes(y)


# Rows, memory -----------------------------------------------------------------------------


@pytest.mark.parametrize("index", [[2, 0], slice(1, 3), np.array([True, False, True])])
def test_rows(index):
    loss = np.arange(6.0).reshape(3, 2)
    trace = Trace(PROBA, classes=["a", "b"], loss=loss)
    part = trace.rows(index)
    np.testing.assert_array_equal(part.proba, trace.proba[index])
    np.testing.assert_array_equal(part.losses([0, 0]), loss[index])
    assert part.codes(["b", "a"]).tolist() == [1, 0]
    assert part.n_samples == 2


def test_block_is_a_view():
    trace = Trace(PROBA)
    part = trace.block(1, 3)
    assert np.shares_memory(part.proba, trace.proba)
    np.testing.assert_array_equal(part.proba, trace.proba[1:3])


def test_observe():
    trace = Trace(PROBA)
    np.testing.assert_array_equal(trace.observe(1, np.array([0, 2])), np.float32(PROBA)[[0, 2], 1])


def test_float32_is_not_copied():
    proba = uniform(10, 2, 3)
    assert np.shares_memory(Trace(proba).proba, proba)


@pytest.mark.parametrize("part", [False, True])
def test_pickled_size_and_round_trip(part):
    trace = Trace(uniform(1000, 3, 5), classes=list("abcde"))
    if part:
        trace = trace.block(0, 100)  # only its own rows
    dump = pickle.dumps(trace)
    assert len(dump) <= trace.n_samples * 3 * 5 * 4 + 1000
    again = pickle.loads(dump)
    np.testing.assert_array_equal(again.proba, trace.proba)
    assert again.classes.tolist() == list("abcde")
    assert again.loss is None


def test_recorded_members_cannot_be_run():
    with pytest.raises(ValueError, match="recorded trace cannot be run"):
        Trace(PROBA).call(None, 0, None)
