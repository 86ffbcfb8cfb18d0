"""Stored records on an operator's terminal."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.config import GatewaySettings
from gateway.database import Database, make_database

WIDEST = 1000  # characters of a line, so that none is cut in a pipe


@asynccontextmanager
async def stored() -> AsyncIterator[Database]:
    """The database that UNDERSTUDY_DATABASE_URL names, which a gateway may have open.

    Raises:
        SettingError: if there is no such database.
    """
    database = make_database(GatewaySettings().database_url)
    await database.open_alongside()
    try:
        yield database
    finally:
        await database.close()


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
