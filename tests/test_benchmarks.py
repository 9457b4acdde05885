"""Benchmarks of recorded predictions run quickly and without data, and make sense."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture
def quick(tmp_path):
    """Run a benchmark with `--quick`; return the rows that it writes."""

    def run(name, *options, cache=True):
        file = tmp_path / "results.json"
        command = [sys.executable, "-m", "benchmarks", name, "--quick", "--json", str(file)]
        kept = ["--cache", str(tmp_path / "cache")] if cache else []
        subprocess.run(
            [*command, *kept, *options],
            cwd=ROOT,
            check=True,
            timeout=280,
            env={**os.environ, "SKCASCADE_DATA": str(tmp_path)},
        )
        return json.loads(file.read_text())["results"]

    return run


def test_all_can_be_imported():
    code = (
        "import argparse, importlib, benchmarks\n"
        "for name in benchmarks.BENCHMARKS:\n"
        "    module = importlib.import_module(f'benchmarks.{name}')\n"
        "    module.add_arguments(argparse.ArgumentParser())\n"
        "import benchmarks._training\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=280)


def by(rows, *keys):
    """Rows in groups of the same values of `keys`."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def test_policies(quick):
    rows = quick("policies")
    points = [row for row in rows if row["part"] == "chosen"]
    curves = [row for row in rows if row["part"] == "curve"]
    assert all(row["mean cost"] > 0 and 0 <= row["over target"] <= 1 for row in points)
    for group in by(points, "data", "policy").values():
        drops = [row["max drop"] for row in group]
        expected = np.array([row["expected cost"] for row in group])
        assert drops == sorted(drops)
        assert (np.diff(expected) <= 1e-9).all()  # a larger drop costs no more
    assert all(row["below oracle"] and row["mean line"] <= row["oracle"] for row in curves)
    gained = {row["policy"]: row["mean line"] for row in curves}
    mixed = {row["policy"]: row["coin toss"] for row in curves}  # words: ok
    assert gained["threshold"] > mixed["threshold"]


def test_peers(quick):
    rows = quick("peers")
    points = [row for row in rows if "target" in row]
    verdicts = [row for row in rows if "against" in row]
    names = {row["peer"] for row in points}
    assert {"ours", "BranchyNet", "FrugalML", "Fast yet Safe"} <= names
    assert {row["against"] for row in verdicts} == names - {"ours"}
    for row in points:
        assert row["cost"] > 0 and -1 < row["drop"] < 1
        assert 0 <= row["draws above"] <= 1 and row["seconds"] >= 0
    for peer, group in by(points, "peer").items():
        targets = [row["target"] for row in group]
        assert targets == sorted(targets), peer
    cost = {
        peer: np.mean([row["cost"] for row in group])
        for (peer,), group in by(points, "peer").items()
    }
    assert cost["ours, certified"] >= cost["ours"]  # a guarantee has a cost
    limits = [row for row in rows if "what it cannot do" in row]
    assert {row["peer"] for row in limits} >= names


def test_runtime(quick):
    rows = quick("runtime", "--parts", "growth", "--axes", "rows", "classes")
    points = [row for row in rows if "runs" in row and "size" in row]
    assert {row["against"] for row in points} == {"rows", "classes"}
    for group in by(points, "against", "what").values():
        size, recorded = np.array([(row["size"], row["trace MB"]) for row in group]).T
        assert_allclose(recorded / recorded[0], size / size[0])
        assert all(row["seconds"] > 0 for row in group)
    slopes = [row for row in rows if "exponent of" in row]
    assert len(slopes) >= 2 * len(by(points, "against", "what"))
    assert all(row["slope"] < 3 for row in slopes)
    # A busy machine may change the order of times, but not that of memory.
    assert all(row["slope"] > -0.5 for row in slopes if row["exponent of"] == "MB")
    for row in (row for row in slopes if row["exponent of"] == "seconds"):
        within = [
            (point["size"], run["seconds"])
            for point in points
            if all(point[key] == row[key] for key in ("against", "what"))
            if row["low"] <= point["size"] <= row["high"]
            for run in point["runs"]
        ]
        assert_allclose(row["slope"], np.polyfit(*np.log(within).T, 1)[0])


def test_ablations(quick):
    rows = quick("ablations", "--parts", "tuning", "pruning", "cross-fitting", "confidence")
    assert {row["part"] for row in rows} == {"tuning", "pruning", "cross-fitting", "confidence"}
    crossed = [row for row in rows if row["part"] == "cross-fitting"]
    for row in crossed:
        assert 0 <= row["cross-fitted: over"] <= 1
    # Points chosen on the rows they were fitted on look too good, so they are too cheap.
    cost = {
        kind: np.mean([row[f"{kind}: cost"] for row in crossed])
        for kind in ("cross-fitted", "apparent")
    }
    assert cost["apparent"] <= cost["cross-fitted"]


def test_papers(quick):
    rows = quick("papers")
    alone = [row for row in rows if "million MACs" in row]
    replayed = [row for row in rows if "points" in row]
    assert alone and replayed
    for group in by(alone, "data", "stages").values():
        share = [row["share"] for row in group]
        assert share == sorted(share) and share[-1] == 1
    for row in replayed:
        drop, cost = np.array(row["points"]).T
        assert (cost > 0).all() and (np.abs(drop) < 1).all()


def test_one_method(quick):
    (row,) = quick("one_method", cache=False)
    assert 1 <= row["stages in use"] <= 6
    assert 0 < row["CPU s"] <= row["at most"] and row["met"] == "yes"


def test_pooled(quick):
    rows = quick("pooled", "--draws", "1", cache=False)
    tables = [row for row in rows if "data" in row]
    assert [row["rule"] for row in rows] == 2 * [row["rule"] for row in tables]
    assert tables[0]["rule"] == "default" and tables[0]["ratio"] == [1.0] * 4
    for row in tables:
        assert 0 < row["cost at 0.02"] <= row["cost at 0.0025"]
        assert 0 <= row["draws above"] <= 1


def test_expected_losses(quick):
    *rows, ratio = quick("expected_losses", "--draws", "1", cache=False)
    assert [row["losses"] for row in rows] == ["observed", "expected"] * 2
    for row in rows:
        assert 0 < row["cost at 0.02"] <= row["cost at 0.0025"]
        assert 0 <= row["missed 0.01"] <= 1
    assert len(ratio["expected over observed"].strip("[]").split()) == 4


def test_coverage(quick):
    rows = quick("coverage", cache=False)
    kinds = {row["kind"] for row in rows}
    assert {"drop", "cost", "drop by group", "interval of accuracy", "sample size"} <= kinds
    assert {row["population"] for row in rows} == {"equal ties", "Brier losses", "costs per row"}
    for row in (row for row in rows if "unwarned violations" in row):
        assert 0 <= row["unwarned violations"] <= row["certified"] <= 1
        assert row["kept"] == ("yes" if row["unwarned violations"] <= row["at most"] else "NO")
        assert row["true cost"] > 0


def test_faults(quick):
    *places, total = quick("faults", cache=False)
    assert total["tried"] == sum(row["tried"] for row in places) > 200
    assert total["survived"] == total["tried"], total["failures"]
    kinds = {row["place"].strip() for row in places}
    assert {"scikit-learn", "TorchClassifier", "raw net", "cost", "loss", "policy.fit"} <= kinds
