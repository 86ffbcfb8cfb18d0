"""Workers: processes that play turns for messages that other processes accept."""

from pathlib import Path

import pytest
from support.stage import stage

from oauth import SettingError


async def test_a_worker_refuses_a_sqlite_file(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="Workers need PostgreSQL"):
        async with stage(tmp_path).gateway.worker():
            pytest.fail("the worker has started")
