"""Functions and classes are identified by their own code and by that of what they refer to."""

import importlib
import re
import sys
from typing import NamedTuple

import numpy as np
import pytest

from skcascade.utils._code import UnkeyableError, identify

HELPERS = "def clean(X):\n    return X + 1\n"

STEPS = """
import functools
import numpy as np
import {helpers}

def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

def plain(X):
    return np.abs(X) + 1

def calls(X):
    return plain(X)

def calls_by_module(X):
    return {helpers}.clean(X)

@decorated
def wrapped(X):
    return X + 1

class Base:
    def step(self, X):
        return X + 1

class Derived(Base):
    pass

class Cached:
    @functools.cached_property
    def value(self):
        return 0 + 1

class Property:
    @property
    def value(self):
        return 0 + 1

class Static:
    @staticmethod
    def step(X):
        return X + 1

class Constant:
    shift = (0 , 1)
"""

NAMES = ["plain", "calls", "calls_by_module", "wrapped", "Base", "Derived", "Cached", "Property"]
NAMES += ["Static", "Constant"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes and imports the two modules above, changed by `edit`; returns the second one."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    helpers, steps = "helpers_of_test_code", "steps_of_test_code"

    def write(edit=lambda text: text):
        (tmp_path / f"{helpers}.py").write_text(edit(HELPERS))
        (tmp_path / f"{steps}.py").write_text(edit(STEPS.format(helpers=helpers)))
        for name in (helpers, steps):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module(steps)

    return write


@pytest.mark.parametrize("name", [name for name in NAMES if name != "Constant"])
def test_another_operator_changes_the_identity(write, name):
    """The constants and names of the code stay as they are."""
    before = identify(getattr(write(), name))
    edited = write(lambda text: text.replace(" + 1", " - 1"))
    assert identify(getattr(edited, name)) != before


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_anywhere_in_the_code_of_the_user_changes_the_identity(write, name):
    before = identify(getattr(write(), name))
    assert identify(getattr(write(), name)) == before
    commented = write(lambda text: re.sub(r"(\n +)return", r"\1# Why.\1return", text))
    assert identify(getattr(commented, name)) == before
    edited = write(lambda text: text.replace(" 1", " 2"))
    assert identify(getattr(edited, name)) != before


def test_of_libraries_name_and_version_count():
    assert identify(np.clip) == ("numpy.clip", np.__version__)


def test_lambdas_and_inner_functions_are_errors():
    def inner(X):
        return X

    for function in (lambda X: X, inner):
        with pytest.raises(UnkeyableError, match="memory=None"):
            identify(function)


def recursive(X):
    return recursive(X)


def test_code_that_refers_to_itself_is_identified():
    assert identify(recursive) == identify(recursive)


@pytest.mark.parametrize("module", ["costs", "members", "metrics", "policies", "nets"])
def test_no_identity_holds_an_address(module):
    """Addresses and orders of sets are other ones in each process."""
    public = importlib.import_module(f"skcascade.{module}")
    for name in public.__all__:
        assert " at 0x" not in repr(identify(getattr(public, name))), name


class Tagged(NamedTuple):
    value: int = 0


TOOL = object()


class Marked:
    marks = (object(), {"step": recursive, "kind": Tagged}, {3, 1, 2})

    def step(self, X, tool=TOOL):
        return Tagged(X)


def test_objects_in_attributes_and_defaults_count_by_their_type():
    assert " at 0x" not in repr(identify(Marked))
    assert "object" in repr(identify(Marked))
