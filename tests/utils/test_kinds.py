"""Arguments of the wrong kind."""

import numpy as np
import pytest

from skcascade.utils._kinds import as_array, as_floats, as_indices, as_list, check_kind


def test_what_can_be_read_is_not_copied():
    values = np.arange(3.0)
    assert as_array("values", values) is values
    assert as_floats("values", values) is values


@pytest.mark.parametrize("values", [[1, 2], (1.0, 2.0), np.array([1, 2], np.int8), ["1", "2"]])
def test_numbers(values):
    numbers = as_floats("costs", values)
    assert numbers.dtype == float
    assert numbers.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "values",
    [[1j, 2], ["a"], [None, "b"], [[1], [2, 3]], np.array(["2020"], "M8[Y]"), object(), {"a": 1}],
    ids=["complex", "string", "None", "ragged", "dates", "object", "dict"],
)
def test_what_holds_no_numbers(values):
    with pytest.raises(ValueError, match="`costs` must"):
        as_floats("costs", values)


def test_lists():
    assert as_list("names", ("a", "b")) == ["a", "b"]
    with pytest.raises(TypeError, match="`names` must be a list, got 3"):
        as_list("names", 3)


def test_indices():
    assert as_indices("stages", {0, 2}, 3) == [0, 2]
    assert as_indices("stages", [-1], 3) == [-1]
    assert as_indices("stages", [], 3) == []


@pytest.mark.parametrize("values", [[3], [-4], [0.5], ["a"], [[0]], [True]])
def test_what_are_no_indices(values):
    with pytest.raises(ValueError, match="`stages` must hold integers below 3"):
        as_indices("stages", values, 3)


def test_kind():
    check_kind("alpha", 0.5, float, "a number")
    with pytest.raises(TypeError, match="`alpha` must be a number, got 'x'"):
        check_kind("alpha", "x", float, "a number")
