"""Transactions on SQLite and PostgreSQL, after a cancellation and after an error."""

import asyncio
import random
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.connect import connect
from gateway.storage.database import Database
from gateway.storage.tables import pauses


async def change(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(select(pauses))
        await connection.execute(insert(pauses).values(channel="c", tenant="t", until=datetime.now(UTC)))
        await connection.execute(delete(pauses))


async def test_a_cancelled_task_leaves_no_transaction_open(tmp_path: Path, database_url: str) -> None:
    database = connect(database_url)
    await database.open()
    chance = random.Random(1)
    try:
        for _ in range(30):
            tasks = [asyncio.create_task(change(database)) for _ in range(10)]
            await asyncio.sleep(chance.random() * 0.01)
            for task in chance.sample(tasks, 5):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
        await change(database)
    finally:
        await database.close()


async def test_an_error_of_the_database_quotes_nothing_that_people_wrote(database_url: str) -> None:
    secret = "my password is hunter2"
    database = connect(database_url)
    row = {"channel": "c", "tenant": secret, "until": datetime.now(UTC)}

    async def twice(connection: AsyncConnection) -> None:
        await connection.execute(insert(pauses).values(row))
        await connection.execute(insert(pauses).values(row))

    async def many(connection: AsyncConnection) -> None:
        await connection.execute(insert(pauses), [row, row])

    async def not_there(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO nothing SELECT CAST(:words AS text)"), {"words": secret})

    async def no_json(connection: AsyncConnection) -> None:
        rows = text(f"SELECT * FROM {database.json_rows}")
        await connection.execute(rows, {"rows": f'["\\u0000{secret}", ]'})

    await database.open()
    try:
        for work in (twice, many, not_there, no_json):
            with pytest.raises(DBAPIError) as raised:
                await database.run_write(work)
            with pytest.raises(DBAPIError) as again:
                async with database.write() as connection:
                    await work(connection)
            for error in (raised.value, again.value):
                assert secret not in "".join(traceback.format_exception(error))
    finally:
        await database.close()
