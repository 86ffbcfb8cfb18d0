"""Fixtures for all tests, and settings that make the tests fast."""

import gc
import os
import shutil
from pathlib import Path

import pytest
from peers.fixtures import *  # noqa: F403 - fixtures
from support.stage import Vault

pytest_plugins = ["groups"]


def pytest_xdist_auto_num_workers() -> int:
    """Return three more than the number of cores, since many tests wait for a process or a platform."""
    return (os.cpu_count() or 1) + 3


MEMORY_DISK = Path("/dev/shm")
ROOM = 2**30  # bytes that have to be free: in a container, the memory disk may be small


def pytest_configure() -> None:
    """Keep the files of tests in memory if there is room, since tests spend most time waiting for commits to a disk."""
    if MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))


LONGEST = (
    "test_zoo.py",
    "test_chaos.py",
    "test_limited_chat.py",
    "test_stress.py",
    "test_shutdown.py",
    "test_workers.py",
    "test_check.py",
    "test_hunt.py",
    "test_polling.py",
    "test_slow_clients.py",
    "test_consent.py",
    "test_polling.py",
    "test_socket_mode.py",
    "test_limited_chat.py",
    "test_survival.py",
    "test_limits.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, the longest first, so that all processes end at about the same time."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database, once with SQLite and once with PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/stage.db"
    url: str = request.getfixturevalue("postgres").make()
    return url


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> str:
    """The URL of a database without tables, of the kind of `database_url`."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/empty.db"
    url: str = request.getfixturevalue("postgres").make(empty=True)
    return url


@pytest.fixture
def vault() -> Vault:
    """A toolkit whose tool returns the credential of the person who asks."""
    return Vault()


def pytest_collection_finish() -> None:
    """Exclude all objects that exist by now from garbage collections, which then take less time."""
    gc.collect()
    gc.freeze()
