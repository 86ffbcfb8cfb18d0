"""Copy one database to another, for example to move a gateway from SQLite to PostgreSQL."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Table, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inbox.inbox import unfinished
from gateway.storage.connect import connect
from gateway.storage.database import LEAVE_POLL, LEAVE_TIME, Database
from gateway.storage.tables import file_chunks
from gateway.storage.tables import metadata as gateway_metadata
from oauth import SettingError
from oauth.store.tables import metadata as oauth_metadata

BATCH = 1000  # rows
BATCH_OF_CHUNKS = 10  # rows of about 1 MiB each

TABLES = [*gateway_metadata.sorted_tables, *oauth_metadata.sorted_tables]


def _ignore(total: int, more: int) -> None:
    return


async def copy_database(
    source_url: str, target_url: str, report: Callable[[int, int], None] = _ignore
) -> dict[str, int]:
    """Copy all tables in one transaction, and return the number of rows copied from each.

    Args:
        source_url: an existing database that no gateway or worker has open.
        target_url: an empty database. Missing tables are created.
        report: is called with the number of all rows, and the number of rows that were copied since the last call.

    Raises:
        SettingError: if either database cannot be opened, the source is in use, or the target is not empty.
    """
    source, target = connect(source_url, "to copy from"), connect(target_url, "to copy to")
    await source.open(create=False)
    try:
        await _check_unused(source)
        await target.upgrade()
        await target.open()
        try:
            async with source.read() as reading, target.write() as writing:
                await _check_empty(writing)
                more = partial(report, await _count(reading))
                copied = {table.name: await _copy(table, reading, writing, more) for table in TABLES}
                await target.continue_numbering(writing, TABLES)
                if target.shared:
                    await _defer(writing)
        finally:
            await target.close()
    finally:
        await source.close()
    return copied


async def _check_unused(source: Database) -> None:
    deadline = time.monotonic() + LEAVE_TIME
    while others := await source.other_clients():
        if time.monotonic() >= deadline:
            raise SettingError(
                f"The database to copy from is in use: its user has other connections open ({', '.join(others)}). "
                "Stop every gateway and worker, and run the command again."
            )
        await asyncio.sleep(LEAVE_POLL)


async def _check_empty(writing: AsyncConnection) -> None:
    for table in TABLES:
        if (await writing.execute(select(table).limit(1))).first() is not None:
            raise SettingError(
                f"The database to copy to is not empty: its table {table.name} has rows. Give an empty database."
            )


async def _count(reading: AsyncConnection) -> int:
    each = [await reading.scalar(select(func.count()).select_from(table)) for table in TABLES]
    return sum(number or 0 for number in each)


async def _copy(table: Table, reading: AsyncConnection, writing: AsyncConnection, report: Callable[[int], None]) -> int:
    copied, key = 0, list(table.primary_key.columns)
    rows = select(table).order_by(*key).limit(BATCH_OF_CHUNKS if table is file_chunks else BATCH)
    after: Any = rows
    while batch := (await reading.execute(after)).all():
        await writing.execute(insert(table), [_clean(row) for row in batch])
        copied += len(batch)
        report(len(batch))
        after = rows.where(tuple_(*key) > tuple_(*(batch[-1]._mapping[column.name] for column in key)))
    return copied


def _clean(row: Any) -> dict[str, Any]:
    """Return a row as a dictionary, without NUL characters, which PostgreSQL does not allow in text."""
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in row._mapping.items()}


async def _defer(writing: AsyncConnection) -> None:
    """Defer a job for each conversation with unfinished messages, so that the workers of the target handle them."""
    from gateway.inbox.deferring import JobDeferrer  # imported here because the import is slow

    await JobDeferrer().defer(writing, await unfinished(writing))
