"""The leak check reports every toolkit that leaks, and no correct one.

Each zoo is one test, since one hunt checks all of its toolkits, which takes half a minute: see `hunting.py`.
"""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from zoo.hunting import ALL_CORRECT, ALL_LEAKY, CHECKS_ALL, LEAKY

from gateway.check import Report

HUNTING = Path(__file__).with_name("hunting.py")


pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def hunt_in(zoo: str, folder: Path) -> Report:
    """Run `hunting.py` for a zoo, and return its report."""
    report = folder / "report.pickle"
    env = {**os.environ, "PYTHONPATH": str(HUNTING.parents[1])}
    subprocess.run([sys.executable, HUNTING, zoo, report], env=env, check=True, capture_output=True)
    found: Report = pickle.loads(report.read_bytes())
    return found


def test_every_leak_is_caught_and_named_by_its_toolkit_and_path(tmp_path: Path) -> None:
    assert len(ALL_LEAKY) >= 30
    leaks = hunt_in("leaky", tmp_path).leaks
    paths = {toolkit: " ".join(leak.path for leak in leaks if leak.toolkit == toolkit.__name__) for toolkit in LEAKY}
    assert [toolkit.__name__ for toolkit in LEAKY if not paths[toolkit]] == [], "not caught"
    assert {toolkit.__name__: path for toolkit, path in paths.items() if not re.search(LEAKY[toolkit], path)} == {}
    assert {leak.toolkit for leak in leaks} == {toolkit.__name__ for toolkit in LEAKY}


def test_no_correct_toolkit_is_reported_and_all_are_covered(tmp_path: Path) -> None:
    assert len(ALL_CORRECT) >= 30
    report = hunt_in("correct", tmp_path)
    assert list(map(str, report.leaks)) == []
    missing = [line for line in report.not_covered if not line.startswith("what ")]
    if CHECKS_ALL:
        assert missing == ["fail past the point where it raised ValueError"]
    else:
        assert set(missing) <= {"fail past the point where it raised ValueError"}
