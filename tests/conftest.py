"""Fixtures for all tests, and settings that make the tests fast."""

import gc
import os
import shutil
import ssl
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from peers.fixtures import *  # noqa: F403 - fixtures
from sqlalchemy import Dialect
from sqlalchemy.sql.elements import ClauseElement
from support.stage import Vault

pytest_plugins = ["groups"]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return more than the number of cores, since tests wait: many that start processes, and few of the others."""
    others = 1 if "not processes" in config.option.markexpr else 3
    return (os.cpu_count() or 1) + others


MEMORY_DISK = Path("/dev/shm")
ROOM = 2**30  # bytes that have to be free: in a container, the memory disk may be small


def pytest_configure() -> None:
    """Keep the files of tests in memory if there is room, since tests spend most time waiting for commits to a disk."""
    if MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))


def share_compiled_statements() -> None:
    """Compile each SQL statement once in a process. SQLAlchemy compiles it once for each database that a test opens."""
    compile_with_cache = ClauseElement._compile_w_cache
    dialects: dict[type[Dialect], Dialect] = {}
    compiled: dict[Any, Any] = {}

    def compile_once(self: ClauseElement, dialect: Dialect, *, compiled_cache: Any, **options: Any) -> Any:
        first = dialects.setdefault(type(dialect), dialect)  # statements are cached by dialect, too
        cache = None if compiled_cache is None else compiled
        return compile_with_cache(self, first, compiled_cache=cache, **options)

    ClauseElement._compile_w_cache = compile_once  # type: ignore[method-assign, assignment]


def share_tls_contexts() -> None:
    """Read the certificates of public authorities once in a process. Each HTTP client reads them again: 20 ms."""
    ssl.create_default_context = cache(ssl.create_default_context)


share_compiled_statements()
share_tls_contexts()

# The files with tests that take more than ten seconds, the slowest test first.
LONGEST = (
    "test_hunt.py",
    "test_socket_mode.py",
    "test_polling.py",
    "test_chaos.py",
    "test_check.py",
    "test_zoo.py",
    "test_limited_chat.py",
    "test_stress.py",
    "test_consent.py",
    "test_shutdown.py",
    "test_turn_jobs.py",
    "test_isolation.py",
    "test_slow_clients.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose with which tests each process begins, so that all processes end at about the same time.

    Half of the processes begin with the longest tests: these mostly wait, while the other half computes. Of the other
    half, one begins with the tests that need a browser, and one with those that need PostgreSQL, so that few processes
    start these. `--dist worksteal` first gives each process an equal part of the tests, in their order.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    half = (processes + 1) // 2
    longest = [item for item in items if item.path.name in LONGEST]
    longest.sort(key=lambda item: LONGEST.index(item.path.name))
    others = [item for item in items if item.path.name not in LONGEST]
    beginnings = [longest[process::half] for process in range(half)]
    for needs in (_needs_postgresql, _needs_browser)[: processes - half]:
        beginnings.append([item for item in others if needs(item)])
        others = [item for item in others if not needs(item)]
    beginnings += [[] for _ in range(processes - len(beginnings))]
    size = len(items) // processes
    items.clear()
    for beginning in beginnings:
        rest = max(size - len(beginning), 0)
        items += beginning + others[:rest]
        del others[:rest]
    items += others


def _needs_browser(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "chromium" in item.fixturenames


def _needs_postgresql(item: pytest.Item) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return isinstance(item, pytest.Function) and ("postgres" in item.fixturenames or "postgresql" in parameters)


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
    """Collect garbage seldom, and never look at the objects that exist by now. Collections take a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
