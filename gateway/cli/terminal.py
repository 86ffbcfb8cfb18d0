"""Output of commands, and the database that they read."""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

# The rest is imported where it is used, because every command imports this module.
if TYPE_CHECKING:
    from gateway.storage.database import Database

TABLE_WIDTH = 1000  # characters: no cell is cut when the output goes to a pipe

console = Console(stderr=True, highlight=False)


def say(line: str) -> None:
    """Print a line for the operator on stderr."""
    console.print(line, markup=False, soft_wrap=True)


def say_loading(target: str) -> None:
    """Say that a file is being loaded, which takes seconds, to somebody who watches."""
    if console.is_terminal:
        say(f"Loading {target} …")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar while the block runs, to somebody who watches.

    Yields:
        A function to call with how much there is to do in all, and how much was done since the last call.
    """
    if not console.is_terminal:
        yield lambda total, more: None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda total, more: bar.update(task, total=total, advance=more)


@asynccontextmanager
async def open_database() -> AsyncIterator["Database"]:
    """Open the database of UNDERSTUDY_DATABASE_URL, which a running gateway may have open at the same time.

    Without that variable, and without an understudy.db, open the database of `understudy dev` and say so on stderr.

    Raises:
        SettingError: if there is no such database.
    """
    from gateway.storage.connect import connect

    database = connect(_url())
    await database.open_alongside()
    try:
        yield database
    finally:
        await database.close()


def _url() -> str:
    from gateway.settings import DEFAULT_DATABASE_URL, DEV_DATABASE, GatewaySettings
    from gateway.storage.database import URL_SETTING

    url = GatewaySettings().database_url
    is_default = url == DEFAULT_DATABASE_URL and not os.environ.get(URL_SETTING)
    if is_default and not Path("understudy.db").exists() and DEV_DATABASE.exists():
        say(f"{URL_SETTING} is not set: this is {DEV_DATABASE}, the database of `understudy dev`.")
        return f"sqlite:///{DEV_DATABASE}"
    return url


def print_table(rows: Sequence[Mapping[str, str]], none_found: str) -> None:
    """Print rows, which map columns to cells; if there are none, say so on stderr."""
    if not rows:
        say(none_found)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*map(Text, row.values()))
    Console(width=TABLE_WIDTH).print(table)


def print_json(records: Sequence[Any]) -> None:
    """Print dataclasses as JSON, one per line."""
    for record in records:
        typer.echo(json.dumps(asdict(record), default=datetime.isoformat, ensure_ascii=False))
