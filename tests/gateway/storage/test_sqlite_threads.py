"""Transactions that run as a whole in the thread of a SQLite connection."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.connect import connect
from gateway.storage.tables import pauses


async def test_a_transaction_that_waits_for_something_else_is_refused_and_rolled_back(tmp_path: Path) -> None:
    async def add(connection: AsyncConnection) -> None:
        await connection.execute(insert(pauses).values(channel="c", tenant="t", until=datetime.now(UTC)))

    async def add_and_wait(connection: AsyncConnection) -> None:
        await add(connection)
        await asyncio.sleep(0)

    database = connect(f"sqlite:///{tmp_path}/stage.db")
    await database.open()
    try:
        with pytest.raises(RuntimeError, match="awaits something other than the connection"):
            await database.run_write(add_and_wait)
        await database.run_write(add)
        async with database.read() as connection:
            assert await connection.scalar(select(func.count()).select_from(pauses)) == 1
    finally:
        await database.close()
