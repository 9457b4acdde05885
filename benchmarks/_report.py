"""Plain tables on the screen, small JSON files for the record."""

import datetime
import json
import platform
import shlex
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = "skcascade", "scikit-learn", "skorch", "torch", "numpy", "scipy"
PACKAGES += "scikit-fallback", "MAPIE", "earlyon", "bargain", "DESlib"


def print_rows(rows):
    """Print dicts as lines of a table as they arrive, with a new heading where keys change.

    Keys that start with "_" are written to the JSON file only.
    """
    done, heading, widths = [], None, None
    for row in rows:
        shown = {key: _text(value) for key, value in row.items() if key[0] != "_"}
        if list(shown) != heading:
            heading = list(shown)
            widths = [max(len(key), len(text) + 3, 7) for key, text in shown.items()]
            print("\n" + _line(heading, widths))
        print(_line(shown.values(), widths), flush=True)
        done.append({key.lstrip("_"): plain(value) for key, value in row.items()})
    return done


def seeds(n):
    """Seeds 0 to n - 1, as text."""
    return f"0-{n - 1}" if n > 1 else "0"


def verdict(value, target):
    """Whether `value` is at most `target`, as "yes" or "NO"."""
    return "yes" if value <= target else "NO"


def save(args, argv, rows):
    """Write the rows with command, date and versions; return the path."""
    path = RESULTS / f"{args.name}.json" if args.json is True else Path(args.json)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "benchmark": args.name,
        "command": shlex.join(["python", "-m", "benchmarks", *argv]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions()},
        "results": rows,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def _versions():
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _line(cells, widths):
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths)).rstrip()


def _text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def plain(value):
    """`value` as a type of JSON."""
    value = value.item() if hasattr(value, "item") else value
    return value.strip() if isinstance(value, str) else value
