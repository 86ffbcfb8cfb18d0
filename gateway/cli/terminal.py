"""Stored records on an operator's terminal."""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.settings import DEFAULT_DATABASE_URL, DEV_DATABASE, GatewaySettings
from gateway.storage.connect import connect
from gateway.storage.database import URL_SETTING, Database

WIDEST = 1000  # characters of a line, so that none is cut in a pipe


@asynccontextmanager
async def stored() -> AsyncIterator[Database]:
    """Open the database that UNDERSTUDY_DATABASE_URL names, which a gateway may have open.

    Where that is not set and there is no other, it is that of `understudy dev`; a line on stderr says so.

    Raises:
        SettingError: if there is no such database.
    """
    database = connect(_url())
    await database.open_alongside()
    try:
        yield database
    finally:
        await database.close()


def _url() -> str:
    url = GatewaySettings().database_url
    is_default = url == DEFAULT_DATABASE_URL and not os.environ.get(URL_SETTING)
    if is_default and not Path("understudy.db").exists() and DEV_DATABASE.exists():
        note = f"{URL_SETTING} is not set: this is {DEV_DATABASE}, the database of `understudy dev`."
        Console(stderr=True, soft_wrap=True).print(note)
        return f"sqlite:///{DEV_DATABASE}"
    return url


def print_table(rows: Sequence[Mapping[str, str]], none_found: str) -> None:
    """Prints rows, each a cell by column; on stderr that there are none."""
    if not rows:
        Console(stderr=True).print(none_found)
        return
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*map(Text, row.values()))
    Console(width=WIDEST).print(table)


def print_json(records: Sequence[Any]) -> None:
    """Prints dataclasses, one a line."""
    for record in records:
        print(json.dumps(asdict(record), default=datetime.isoformat, ensure_ascii=False))  # noqa: T201
