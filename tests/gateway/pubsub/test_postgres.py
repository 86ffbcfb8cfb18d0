"""Publish and subscribe between processes, through PostgreSQL."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from peers.postgres import PostgresServer
from sqlalchemy import text

from gateway.pubsub.postgres import MAX_PAYLOAD, PostgresPubSub
from gateway.storage.connect import connect
from gateway.storage.postgres import PostgresDatabase
from gateway.timings import Timings

Open = Callable[[], Awaitable[PostgresPubSub]]
END_LISTENERS = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")


@pytest.fixture
async def open_one(postgres: PostgresServer) -> AsyncIterator[Open]:
    """Open the pubsub of a process. All processes share one database."""
    url, opened = postgres.make(), list[tuple[PostgresDatabase, PostgresPubSub]]()

    async def made() -> PostgresPubSub:
        database = connect(url)
        assert isinstance(database, PostgresDatabase)
        await database.open()
        opened.append((database, PostgresPubSub(database, Timings(reconnect=0.05))))
        return opened[-1][1]

    yield made
    for database, pubsub in opened:
        await pubsub.stop()
        await database.close()


async def heard(queue: asyncio.Queue[str | None], number: int) -> list[str | None]:
    async with asyncio.timeout(10):
        return [await queue.get() for _ in range(number)]


async def test_subscribers_in_all_processes_get_the_messages_of_their_topic_in_order(open_one: Open) -> None:
    here, there = await open_one(), await open_one()
    with await here.subscribe("a") as a, await here.subscribe("b") as b, await there.subscribe("a") as again:
        for number in range(50):
            await there.publish("a", f"{number % 2} ä")  # some messages are equal
        await there.publish("b", "b")
        expected = [f"{number % 2} ä" for number in range(50)]
        assert await heard(a, 50) == expected
        assert await heard(again, 50) == expected
        assert await heard(b, 1) == ["b"]
        assert a.empty()


async def test_only_a_message_that_is_too_long_is_lost(open_one: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    here, there = await open_one(), await open_one()
    with await here.subscribe("a") as queue:
        await there.publish("a", "x" * MAX_PAYLOAD)
        await there.publish("a", "short")
        assert await heard(queue, 1) == ["short"]
    assert "too long" in caplog.text


async def test_a_process_listens_again_after_the_database_ended_its_connection(open_one: Open) -> None:
    here, there = await open_one(), await open_one()
    with await here.subscribe("a") as queue:
        async with there._database.write() as connection:
            assert len((await connection.execute(END_LISTENERS)).all()) == 1
        await asyncio.wait_for(_until_it_noticed(here), 10)
        with await here.subscribe("b"):  # returns when it listens again
            await there.publish("a", "after")
            assert await heard(queue, 1) == ["after"]


async def _until_it_noticed(pubsub: PostgresPubSub) -> None:
    while pubsub._is_listening.is_set():
        await asyncio.sleep(0.005)
