"""`understudy deadletters …`, on an operator's terminal."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.config import GatewaySettings
from gateway.database import make_database
from gateway.dead_letters import DeadLetter, DeadLetters
from oauth import SettingError

WIDEST = 1000  # characters of a line, so that none is cut in a pipe


@asynccontextmanager
async def _opened() -> AsyncIterator[DeadLetters]:
    database = make_database(GatewaySettings().database_url)
    await database.open_alongside()
    try:
        yield DeadLetters(database)
    finally:
        await database.close()


async def print_all(limit: int, *, as_json: bool) -> None:
    """Prints the newest, one a line."""
    async with _opened() as dead_letters:
        letters = await dead_letters.find(limit)
    if as_json:
        for letter in letters:
            print(json.dumps(asdict(letter), default=datetime.isoformat, ensure_ascii=False))  # noqa: T201
    elif letters:
        Console(width=WIDEST).print(_table(letters))
    else:
        Console(stderr=True).print("There are no dead letters.")


async def print_one(name: str) -> None:
    """Prints all that is stored of an id or a reference."""
    async with _opened() as dead_letters:
        for letter in await dead_letters.get(name):
            for field, value in asdict(letter).items():
                print(f"{field:<13} {value}")  # noqa: T201


async def retry(names: Sequence[str], *, every: bool) -> str:
    """Lets them be tried again; returns what to tell the operator."""
    async with _opened() as dead_letters:
        count = await dead_letters.retry(await _chosen(dead_letters, names, every))
    return f"{count} to be tried again. A gateway or a worker that runs takes them up by itself."


async def drop(names: Sequence[str], *, every: bool) -> str:
    """Drops them; returns what to tell the operator."""
    async with _opened() as dead_letters:
        count = await dead_letters.drop(await _chosen(dead_letters, names, every))
    return f"{count} dropped."


async def _chosen(dead_letters: DeadLetters, names: Sequence[str], every: bool) -> list[DeadLetter]:
    if bool(names) == every:
        raise SettingError("Name dead letters by id or reference, or say --all.")
    if every:
        return await dead_letters.find()
    return [letter for name in names for letter in await dead_letters.get(name)]


def _table(letters: Sequence[DeadLetter]) -> Table:
    table = Table("id", "reference", "at (UTC)", "conversation", "tries", "status", "reason", box=None)
    for letter in letters:
        cells = (
            letter.id,
            letter.reference,
            f"{letter.at:%Y-%m-%d %H:%M:%S}",
            f"{letter.channel} {letter.tenant} {letter.conversation}",
            str(letter.tries),
            letter.status,
            letter.reason,
        )
        table.add_row(*map(Text, cells))
    return table
