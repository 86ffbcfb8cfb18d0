"""Copy one database to another, for example to move a gateway from SQLite to PostgreSQL."""

import asyncio
import time
from typing import Any

from sqlalchemy import Table, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inbox.inbox import unfinished
from gateway.storage.connect import connect
from gateway.storage.database import Database
from gateway.storage.tables import file_chunks
from gateway.storage.tables import metadata as gateway_metadata
from oauth import SettingError
from oauth.store.tables import metadata as oauth_metadata

BATCH = 1000  # rows
BATCH_OF_CHUNKS = 10  # rows of a mebibyte each
LEAVE_TIME = 2.0  # seconds that the server may need to notice that processes have ended
LEAVE_POLL = 0.1  # seconds between two looks at its connections

TABLES = [*gateway_metadata.sorted_tables, *oauth_metadata.sorted_tables]


async def copy_database(source_url: str, target_url: str) -> dict[str, int]:
    """Copy everything in one transaction; return the number of rows of each table.

    Args:
        source_url: a database that exists, and that no gateway and no worker has open.
        target_url: a database that is empty. Our tables are created if it does not have them.

    Raises:
        SettingError: if one of them cannot be opened, the source is in use, or the target is not empty.
    """
    source, target = connect(source_url), connect(target_url)
    await source.open(create=False)
    try:
        await _check_unused(source)
        await target.upgrade()
        await target.open()
        try:
            async with source.read() as reading, target.write() as writing:
                await _check_empty(writing)
                copied = {table.name: await _copy(table, reading, writing) for table in TABLES}
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
                f"The database to copy to already has rows in its table {table.name}: name an empty one."
            )


async def _copy(table: Table, reading: AsyncConnection, writing: AsyncConnection) -> int:
    copied, key = 0, list(table.primary_key.columns)
    rows = select(table).order_by(*key).limit(BATCH_OF_CHUNKS if table is file_chunks else BATCH)
    after: Any = rows
    while batch := (await reading.execute(after)).all():
        await writing.execute(insert(table), [_clean(row) for row in batch])
        copied += len(batch)
        after = rows.where(tuple_(*key) > tuple_(*(batch[-1]._mapping[column.name] for column in key)))
    return copied


def _clean(row: Any) -> dict[str, Any]:
    """Return a row without NUL characters, which texts in PostgreSQL cannot contain."""
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in row._mapping.items()}


async def _defer(writing: AsyncConnection) -> None:
    """Defer a job for each conversation in which a message waits: a shared database tells its workers so."""
    from gateway.inbox.deferring import JobDeferrer  # imported where it is used: that takes a moment

    await JobDeferrer().defer(writing, await unfinished(writing))
