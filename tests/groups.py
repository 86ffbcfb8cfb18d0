"""Divide the tests into those that start processes, those that take long, and the rest, which `make test-fast` runs.

A test may start processes if it asks for the fixture `processes`, itself or through another fixture such as `emulate`,
or if it has the marker `processes`. Any other test that starts a process fails, with a sentence that says so. Tests
that take seconds, of processor time or of waiting, have the marker `long`.
"""

import sys
from collections.abc import Iterator

import pytest

STARTS = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen", "understudy.fork"}

ASKED_BY_PLATFORM = ("file", "uname")  # programs that the module `platform` of the standard library runs

_may_start = True


@pytest.fixture(scope="session")
def processes() -> None:
    """Let a test start processes."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that uses the fixture, before pytest selects tests by their markers."""
    for item in items:
        if "processes" in getattr(item, "fixturenames", ()):
            item.add_marker("processes")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _may_start
    _may_start = item.get_closest_marker("processes") is not None
    try:
        return (yield)
    finally:
        _may_start = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Allow the teardown of a session's fixtures to start processes."""
    global _may_start
    _may_start = True


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS and not _may_start and arguments[0] not in ASKED_BY_PLATFORM:
        pytest.fail(f"This test starts a process ({arguments[0]}). Add the fixture `processes` to its arguments.")


sys.addaudithook(_refuse)
