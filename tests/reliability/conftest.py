"""The table of faults for all tests of this folder."""

import importlib.util
import sys
from pathlib import Path

import pytest

try:
    from joblib.externals import cloudpickle
except ImportError:  # from joblib 1.6 on it is a package of its own
    import cloudpickle

NAME = "reliability_faults"


def load_faults():
    """The module `faults.py`, under a name of its own; worker processes get its code."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(NAME, Path(__file__).with_name("faults.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
        cloudpickle.register_pickle_by_value(module)
    return sys.modules[NAME]


def pytest_generate_tests(metafunc):
    """Run `test_fault` on each row of the table, with each of its checks."""
    if "fault_case" in metafunc.fixturenames:
        faults = load_faults()
        table = getattr(faults, metafunc.module.TABLE)
        pairs = [(case, check) for case in table for check in faults.checks_of(case)]
        rows = [
            pytest.param(case, check, id=f"{case!r}-{check}", marks=marks_of(case, check))
            for case, check in pairs
        ]
        metafunc.parametrize(("fault_case", "check"), rows)


def marks_of(case, check):
    """Worker processes take seconds to start: one test of them is enough in a quick run."""
    quick = case.n_jobs is None or (repr(case) == "worker,_scikit-learn-kill" and check == "refit")
    return () if quick else pytest.mark.slow


@pytest.fixture(scope="session")
def faults():
    """The table of faults, and what breaks."""
    return load_faults()
