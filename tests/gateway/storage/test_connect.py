"""The addresses of databases."""

from pathlib import Path

import pytest

from gateway import Agent, Gateway, SettingError
from gateway.storage.connect import connect
from gateway.storage.database import URL_SETTING


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"The URL of the database \(Gateway\(database=…\)\)"):
        Gateway(Agent(model="test"), database=url)


@pytest.mark.parametrize("is_set", [True, False])
async def test_an_error_names_where_the_database_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    url = f"sqlite:///{tmp_path}/missing/understudy.db"
    monkeypatch.delenv(URL_SETTING, raising=False)
    if is_set:
        monkeypatch.setenv(URL_SETTING, url)
    for database, origin in [
        (connect(url), URL_SETTING if is_set else f"{URL_SETTING} is not set"),
        (Gateway(Agent(model="test"), database=url).parts.backend.database, "Gateway(database=…)"),
    ]:
        with pytest.raises(SettingError) as raised:
            await database.open()
        assert str(raised.value).startswith(f"The database ({origin}) is {tmp_path}/missing/understudy.db, which")
