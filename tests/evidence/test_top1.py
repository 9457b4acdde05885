"""Probabilities from a predicted class and its confidence, with codes or labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skcascade import Trace
from skcascade.evidence._top1 import check_classes, encode


def test_from_top1_by_hand():
    trace = Trace.from_top1([[2, 0]], [[0.7, 0.4]], n_classes=4)
    expected = [[[0.1, 0.1, 0.7, 0.1], [0.4, 0.2, 0.2, 0.2]]]
    np.testing.assert_allclose(trace.proba, expected, rtol=1e-6)


def test_from_top1_squeezes_what_is_below_uniform():
    confidence = [[0.0], [0.101], [0.202], [0.203]]
    trace = Trace.from_top1(np.zeros((4, 1), int), confidence, n_classes=5)
    expected = [0.201, 0.2015, 0.202, 0.203]
    np.testing.assert_allclose(trace.proba[:, 0, 0], expected, rtol=1e-6)


@given(
    st.integers(2, 2000),
    arrays(float, st.integers(1, 40), elements=st.floats(0, 1)),
    st.sampled_from([1, 1e-2, 1e-4]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_from_top1_keeps_answers_and_their_order(n_classes, confidence, scale, seed):
    """In float32, at any number of classes, and mostly around and below a uniform answer."""
    confidence = np.sort(np.r_[confidence * scale, np.minimum(confidence * 1.1 / n_classes, 1)])
    pred = np.random.default_rng(seed).integers(n_classes, size=len(confidence))
    proba = Trace.from_top1(pred[:, None], confidence[:, None], n_classes).proba[:, 0]
    np.testing.assert_array_equal(proba.argmax(axis=1), pred)
    top = proba.max(axis=1)
    assert (np.diff(top) >= 0).all()
    second = np.partition(proba, -2, axis=1)[:, -2]
    assert (top > second).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    kept = confidence >= 1.01 / n_classes
    np.testing.assert_array_equal(top[kept], confidence[kept].astype(np.float32))


@pytest.mark.parametrize("n_classes", [2, 3, 10, 1000, 20_000])
def test_from_top1_tells_confidences_below_uniform_apart(n_classes):
    confidence = np.linspace(0, 1.01 / n_classes, 101)[:, np.newaxis]
    trace = Trace.from_top1(np.zeros((101, 1), int), confidence, n_classes)
    assert (np.diff(trace.proba[:, 0, 0]) > 0).all()


def test_from_top1_of_one_class():
    assert (Trace.from_top1([[0], [0]], [[0.0], [1.0]], n_classes=1).proba == 1).all()


@pytest.mark.parametrize(
    ("pred", "confidence", "match"),
    [
        ([[0, 1]], [[0.5]], "must both have the shape"),
        ([0, 1], [0.5, 0.5], "must both have the shape"),
        ([[0, 3]], [[0.5, 0.5]], "codes 0 to n_classes - 1 = 2"),
        ([[-1, 0]], [[0.5, 0.5]], "codes 0 to n_classes - 1 = 2"),
        ([[0, 1]], [[0.5, 1.1]], r"must lie in \[0, 1\]"),
        ([[0, 1]], [[-0.1, 0.5]], r"must lie in \[0, 1\]"),
        ([[0, 1]], [[np.nan, 0.5]], r"must lie in \[0, 1\]"),
    ],
)
def test_from_top1_errors(pred, confidence, match):
    with pytest.raises(ValueError, match=match):
        Trace.from_top1(pred, confidence, n_classes=3)


@pytest.mark.parametrize(
    ("pred", "n_classes", "match"),
    [
        ([[0.0, 1.0]], 2, "`pred` must hold codes, integers, .* got float64"),
        ([[False, True]], 2, "`pred` must hold codes, integers, .* got bool"),
        ([[0, 1]], None, "n_classes=None. Give `classes`"),
        ([[0, 1], [0]], 2, "`pred` must be an array"),
    ],
)
def test_pred_that_holds_no_codes(pred, n_classes, match):
    with pytest.raises(ValueError, match=match):
        Trace.from_top1(pred, [[0.5, 0.5]], n_classes)


def test_a_number_of_classes_that_is_no_integer():
    with pytest.raises(TypeError, match="`n_classes` must be an integer, got 2.5"):
        Trace.from_top1([[0, 1]], [[0.5, 0.5]], 2.5)


# Labels -----------------------------------------------------------------------------------


def test_top1_with_labels():
    pred, confidence = [["cat", "dog"], ["dog", "dog"]], [[0.9, 0.6], [0.7, 0.8]]
    with pytest.raises(ValueError, match="`pred` must hold codes.*Give `classes`"):
        Trace.from_top1(pred, confidence, n_classes=3)
    trace = Trace.from_top1(pred, confidence, classes=["cat", "dog", "owl"])
    assert trace.classes[trace.proba.argmax(axis=2)].tolist() == pred
    with pytest.raises(ValueError, match="`pred` contains labels without a column"):
        Trace.from_top1([["cow", "dog"]], [[0.9, 0.6]], classes=["cat", "dog"])


def test_labels_in_any_order_are_columns():
    trace = Trace.from_top1([["dog", "cat"]], [[0.9, 0.6]], classes=["dog", "ant", "cat"])
    expected = [[[0.9, 0.05, 0.05], [0.2, 0.2, 0.6]]]
    np.testing.assert_allclose(trace.proba, expected, rtol=1e-6)
    assert trace.codes(["ant"]).tolist() == [1]


def test_classes_label_all_columns():
    assert check_classes(["b", "a"], 2).tolist() == ["b", "a"]
    assert check_classes(["b", "a"], None).tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("classes", "n_classes", "match"),
    [
        (["a", "b"], 3, r"must label the 3 columns of `proba`, got an array of shape \(2,\)"),
        ([["a", "b"]], None, r"must label the columns of `proba`, got an array of shape \(1, 2\)"),
        ([], None, r"must label the columns of `proba`, got an array of shape \(0,\)"),
        ("ab", None, r"must label the columns of `proba`, got an array of shape \(\)"),
    ],
)
def test_classes_of_another_number(classes, n_classes, match):
    with pytest.raises(ValueError, match=f"`classes` {match}"):
        check_classes(classes, n_classes)


def test_positions_of_labels_of_any_shape():
    classes = np.array([30, 10, 20])
    assert encode([[10, 20], [30, 10]], classes, "y").tolist() == [[1, 2], [0, 1]]
    assert encode([], classes, "y").tolist() == []


def test_an_unknown_label_is_named_with_its_argument():
    labels = [5, 40, 10, 35, 5, 25, 15, 45, 50]
    match = r"`pred` contains labels without .*: \[5, 15, 25, 35, 40\]\.$"  # at most five
    with pytest.raises(ValueError, match=match):
        encode(labels, np.array([30, 10, 20]), "pred")


def test_labels_that_cannot_be_compared():
    with pytest.raises(TypeError, match="`y` must hold labels such as those in `classes`"):
        encode(np.array(["a", None], dtype=object), np.array([1, 2], dtype=object), "y")
