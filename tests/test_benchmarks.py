"""Every benchmark of recorded answers runs, quickly and without data, and makes sense."""

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

    def run(name, *options):
        file = tmp_path / "results.json"
        command = [sys.executable, "-m", "benchmarks", name, "--quick", "--json", str(file)]
        subprocess.run(
            [*command, "--cache", str(tmp_path / "cache"), *options],
            cwd=ROOT,
            check=True,
            timeout=280,
            env={**os.environ, "SKCASCADE_DATA": str(tmp_path)},
        )
        return json.loads(file.read_text())["results"]

    return run


def by(rows, *keys):
    """Rows in groups of the same values of `keys`."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def test_policies(quick):
    rows = quick("policies")
    dials = [row for row in rows if row["part"] == "dial"]
    curves = [row for row in rows if row["part"] == "curve"]
    assert all(row["mean cost"] > 0 and 0 <= row["over target"] <= 1 for row in dials)
    for group in by(dials, "data", "policy").values():
        drops = [row["max drop"] for row in group]
        expected = np.array([row["expected cost"] for row in group])
        assert drops == sorted(drops)
        assert (np.diff(expected) <= 1e-9).all()  # whoever may lose more pays no more
    assert all(row["below oracle"] and row["mean line"] <= row["oracle"] for row in curves)
    gained = {row["policy"]: row["mean line"] for row in curves}
    tossed = {row["policy"]: row["coin toss"] for row in curves}
    assert gained["threshold"] > tossed["threshold"]


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
    paid = {
        peer: np.mean([row["cost"] for row in group])
        for (peer,), group in by(points, "peer").items()
    }
    assert paid["ours, certified"] >= paid["ours"]  # a guarantee is not for nothing
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
    # A busy machine may turn the order of times, but not that of memory.
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
    # What is chosen on the rows it was fitted on promises too much, and so pays less.
    paid = {
        kind: np.mean([row[f"{kind}: cost"] for row in crossed])
        for kind in ("cross-fitted", "apparent")
    }
    assert paid["apparent"] <= paid["cross-fitted"]


def test_papers(quick):
    rows = quick("papers")
    alone = [row for row in rows if "million MACs" in row]
    played = [row for row in rows if "points" in row]
    assert alone and played
    for group in by(alone, "data", "stages").values():
        share = [row["share"] for row in group]
        assert share == sorted(share) and share[-1] == 1
    for row in played:
        drop, cost = np.array(row["points"]).T
        assert (cost > 0).all() and (np.abs(drop) < 1).all()
