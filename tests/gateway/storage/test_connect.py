"""The addresses of databases."""

import pytest

from gateway import Agent, Gateway, SettingError


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match="UNDERSTUDY_DATABASE_URL"):
        Gateway(Agent(model="test"), database=url)
