"""How many faults a cascade survives: a clear error, and the state that it had before.

The faults are those of the table in `tests/reliability/faults.py`: members, policies, cost models
and losses that break on purpose. Each is tried on an unfitted cascade, on a refit of a fitted one
and, where it shows there, on a prediction.
"""

import importlib.util
import sys
import warnings
from collections import Counter
from pathlib import Path

TABLE = Path(__file__).parents[1] / "tests" / "reliability" / "faults.py"
NAME = "reliability_faults"


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--places", nargs="*", help="parts of names of places (default all)")


def run(args):
    """One row for each place, and one for all."""
    faults = load_table()
    cases = [*faults.CASES, *(() if args.quick else faults.WORKERS)]
    if args.places:
        cases = [case for case in cases if any(part in case.place for part in args.places)]
    tried, survived, failures = Counter(), Counter(), {}
    for place in dict.fromkeys(case.place for case in cases):
        for case in (case for case in cases if case.place == place):
            for name in faults.checks_of(case):
                tried[place] += 1
                problem = attempt(faults.CHECKS[name], case)
                survived[place] += problem is None
                if problem is not None:
                    failures.setdefault(place, []).append(f"{case.fault}, {name}: {problem}")
        yield row(place, tried[place], survived[place], failures.get(place, []))
    found = [failure for place in failures.values() for failure in place]
    yield row("all", tried.total(), survived.total(), found)


def row(place, tried, survived, failures):
    """A row of the table; the failures are only in the file."""
    return {
        "place": f"{place:<24}",
        "tried": tried,
        "survived": survived,
        "met": "yes" if survived == tried else "NO",
        "_failures": failures,
    }


def attempt(check, case):
    """What is wrong after the fault; None if nothing is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(case)
    except (Exception, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    return None


def load_table():
    """The table of faults; worker processes get its code, since they cannot import it."""
    try:
        from joblib.externals import cloudpickle
    except ImportError:  # from joblib 1.6 on it is a package of its own
        import cloudpickle

    spec = importlib.util.spec_from_file_location(NAME, TABLE)
    table = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = table
    spec.loader.exec_module(table)
    cloudpickle.register_pickle_by_value(table)
    return table
