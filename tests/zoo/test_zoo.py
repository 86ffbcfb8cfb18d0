"""The hunt for leaks on toolkits that leak, and on toolkits that only look as if they did."""

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import pytest

from gateway import Agent
from gateway.check import Report
from gateway.check.blocking import hunt_and_wait
from toolkits import Toolkit

pytestmark = pytest.mark.long


def _zoo(name: str) -> Any:
    return import_module(f"zoo.{name}")


LEAKY: dict[type[Toolkit], str] = {
    **_zoo("leaky").LEAKY,
    **_zoo("leaky_stores").LEAKY_STORES,
    **_zoo("leaky_hidden").LEAKY_HIDDEN,
}
CORRECT: list[type[Toolkit]] = [
    *_zoo("correct").CORRECT,
    *_zoo("correct_stores").CORRECT_STORES,
    *_zoo("correct_values").CORRECT_VALUES,
]


def hunted(toolkits: Iterable[type[Toolkit]]) -> Report:
    """Hunt in all of them at once: each is the only toolkit of one member of a team."""
    members = [Agent(model="test", toolkits=[toolkit()], name=toolkit.__name__) for toolkit in toolkits]
    return hunt_and_wait(Agent(model="test", members=members))


@pytest.fixture(scope="module")
def leaks() -> Report:
    return hunted(LEAKY)


@pytest.fixture(scope="module")
def clean() -> Report:
    return hunted(CORRECT)


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
