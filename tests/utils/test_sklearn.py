"""Private names of scikit-learn, and what stands in for those that a version lacks."""

import importlib.util
import pickle
import re
import sys
from pathlib import Path

import pytest

import skcascade
from skcascade.utils import _sklearn as private


def test_all_names_exist():
    assert all(hasattr(private, name) for name in private.__all__)


@pytest.mark.parametrize("folder", ["costs", "members", "nets", "utils"])
def test_private_names_are_imported_in_one_place(folder):
    pattern = re.compile(r"^from sklearn[\w.]*(\._\w+.* import|.* import .*\b_[a-z])", re.MULTILINE)
    for path in (Path(skcascade.__file__).parent / folder).glob("*.py"):
        if path.name != "_sklearn.py":
            assert not pattern.search(path.read_text()), path.name


def test_without_callbacks(monkeypatch):
    """A second copy of the module, loaded as scikit-learn before 1.9 would have it."""
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("without_callbacks", private.__file__)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "without_callbacks", module)
    spec.loader.exec_module(module)
    assert module.CallbackSupportMixin.__module__ == "without_callbacks"
    context = module.CallbackSupportMixin()._init_callback_context(task_name="fit")
    context = pickle.loads(pickle.dumps(context)).subcontext(task_id=1)
    assert context.call_on_fit_task_begin(estimator=None) is None
    assert context.call_on_fit_task_end(estimator=None) is None
    entered = False
    with context.propagate_callback_context(None):
        entered = True
    assert entered
