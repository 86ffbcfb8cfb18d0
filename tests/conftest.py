import gc
import os
from pathlib import Path

import pytest
from peers.fixtures import *  # noqa: F403 - fixtures
from stage import Vault


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for a process that starts."""
    return (os.cpu_count() or 1) + 1


LONGEST = (
    "test_zoo.py",
    "test_chaos.py",
    "test_stress.py",
    "test_shutdown.py",
    "test_workers.py",
    "test_check.py",
    "test_hunt.py",
    "test_slow_clients.py",
    "test_consent.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that processes end together, and what one of them hunts for serves all."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind, new."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/stage.db"
    url: str = request.getfixturevalue("postgres").make()
    return url


@pytest.fixture
def vault() -> Vault:
    """A toolkit that holds a secret of each person."""
    return Vault()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: it is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
