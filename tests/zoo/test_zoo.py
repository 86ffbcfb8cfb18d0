"""The hunt for leaks on toolkits that leak, and on toolkits that only look as if they did."""

import fcntl
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from zoo.hunting import CORRECT, LEAKY

from gateway.check import Report
from toolkits import Toolkit

HUNTING = Path(__file__).with_name("hunting.py")


def hunted(zoo: str, folder: Path) -> Report:
    """Return the report on a zoo, which the first of all test processes makes."""
    report = folder / f"{zoo}.pickle"
    with (folder / f"{zoo}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not report.exists():
            env = {**os.environ, "PYTHONPATH": str(HUNTING.parents[1])}
            subprocess.run([sys.executable, HUNTING, zoo, report], env=env, check=True, capture_output=True)
    found: Report = pickle.loads(report.read_bytes())
    return found


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder of the reports, which all test processes share."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@pytest.fixture(scope="module")
def leaks(reports: Path, processes: None) -> Report:
    return hunted("leaky", reports)


@pytest.fixture(scope="module")
def clean(reports: Path, processes: None) -> Report:
    return hunted("correct", reports)


@pytest.mark.parametrize("toolkit", LEAKY, ids=lambda toolkit: toolkit.__name__)
def test_a_leak_is_caught_and_named(toolkit: type[Toolkit], leaks: Report) -> None:
    found = [leak for leak in leaks.leaks if leak.toolkit == toolkit.__name__]
    assert found, "not caught"
    assert re.search(LEAKY[toolkit], " ".join(leak.path for leak in found)), "\n".join(map(str, found))


@pytest.mark.parametrize("toolkit", CORRECT, ids=lambda toolkit: toolkit.__name__)
def test_a_correct_toolkit_is_not_accused(toolkit: type[Toolkit], clean: Report) -> None:
    accused = [leak for leak in clean.leaks if leak.toolkit == toolkit.__name__]
    assert not accused, "\n".join(map(str, accused))


def test_all_are_caught_and_none_is_accused(leaks: Report, clean: Report) -> None:
    caught = {leak.toolkit for leak in leaks.leaks}
    assert (len(caught), len(clean.leaks)) == (len(LEAKY), 0)
    assert len(LEAKY) >= 30
    assert len(CORRECT) >= 30


def test_correct_toolkits_are_covered_whole(clean: Report) -> None:
    missing = [line for line in clean.not_covered if not line.startswith("what ")]
    assert missing == ["fail only until it raised ValueError"]


def test_a_leak_in_one_toolkit_is_not_laid_at_anothers_door(leaks: Report) -> None:
    assert {leak.toolkit for leak in leaks.leaks} <= {toolkit.__name__ for toolkit in LEAKY}
