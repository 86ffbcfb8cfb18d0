"""Databases that cannot be opened: the error names them."""

from pathlib import Path

import pytest
from stage import stage

from gateway import Agent, Gateway, SettingError


async def test_a_second_gateway_on_the_same_file_is_refused(tmp_path: Path) -> None:
    first, second = stage(tmp_path), stage(tmp_path)
    async with first.open():
        with pytest.raises(SettingError, match=r"UNDERSTUDY_DATABASE_URL.*stage\.db, which another"):
            async with second.open():
                pytest.fail("it was opened twice")


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(SettingError, match="UNDERSTUDY_DATABASE_URL"):
        Gateway(Agent(model="test"), database=url)
