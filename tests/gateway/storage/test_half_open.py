"""Databases that do not answer: a webhook gets its 503 in time, and the gateway recovers without a restart."""

import asyncio
import gc
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from peers.postgres import PostgresServer
from peers.tcp_proxy import TcpProxy
from peers.wait import wait_until_async
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from support.stage import Stage, stage, stage_timings

from gateway.channels.errors import EventNotAcceptedError
from gateway.pubsub.postgres import PostgresPubSub
from gateway.storage.connect import connect
from gateway.storage.postgres import PostgresDatabase
from gateway.storage.schema import SCHEMA
from gateway.timings import DEFAULT_TIMINGS, Timings

PATIENCE = 3.0  # seconds that Slack waits: https://docs.slack.dev/apis/events-api/#responding
SLOW = 5.0  # seconds that a slow machine may take in addition
IN_TIME = stage_timings(accept=DEFAULT_TIMINGS.accept)
SENT = "SELECT count(*) FROM outbox WHERE status = 'sent'"


@pytest.fixture
def proxied(postgres: PostgresServer) -> Iterator[tuple[TcpProxy, str]]:
    """A proxy, and the URL of a new database behind it."""
    url = make_url(postgres.make())
    directory, port = url.query.get("host"), url.port or 5432
    target = Path(f"{directory}/.s.PGSQL.{port}") if directory else (str(url.host), port)
    with TcpProxy(target) as proxy:
        there = url.set(host="127.0.0.1", port=proxy.port).difference_update_query(["host"])
        yield proxy, there.render_as_string(hide_password=False)


def impatient(database: object, answer_timeout: float) -> PostgresDatabase:
    assert isinstance(database, PostgresDatabase)
    database.answer_timeout = answer_timeout
    return database


def silent_stage(directory: Path, url: str) -> Stage:
    scene = stage(directory, database=url, timings=IN_TIME)
    assert scene.worker is not None
    impatient(scene.gateway.parts.backend.database, 1.0)
    impatient(scene.worker.parts.backend.database, 1.0)
    return scene


async def deliver(scene: Stage, number: int) -> float:
    """Deliver an event until it is accepted, as a platform does, and return the longest response time in seconds."""
    longest = 0.0
    while True:
        began = time.monotonic()
        try:
            await scene.write("alice", f"text {number}", f"dm-{number}", id=f"e{number}")
        except EventNotAcceptedError:
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.05)
        else:
            return max(longest, time.monotonic() - began)


async def test_a_gateway_recovers_when_its_connections_fall_silent(
    tmp_path: Path, proxied: tuple[TcpProxy, str]
) -> None:
    proxy, url = proxied
    scene = silent_stage(tmp_path, url)
    async with scene.open():
        assert await scene.ask("alice", "one") == "heard: one"
        for round_number in range(2):
            # An answer that is not marked as sent before the silence would be sent again.
            await scene.wait_until_rows(SENT, 1 + 20 * round_number)
            proxy.silence()
            numbers = range(round_number * 20, round_number * 20 + 20)
            took = await asyncio.gather(*(deliver(scene, number) for number in numbers))
            assert max(took) < PATIENCE + SLOW
            await scene.wait_for(1 + len(numbers) * (round_number + 1), 60)
    said = [sent.text for sent in scene.sent]
    assert sorted(said[1:]) == sorted(f"heard: text {number}" for number in range(40))


async def test_an_event_whose_commit_got_no_answer_is_a_duplicate_when_it_is_delivered_again(
    tmp_path: Path, postgres: PostgresServer, proxied: tuple[TcpProxy, str]
) -> None:
    proxy, url = proxied
    scene = stage(tmp_path, database=postgres.url(str(make_url(url).database)))
    scene.gateway = stage(tmp_path, database=url).gateway  # the worker is not behind the proxy
    impatient(scene.gateway.parts.backend.database, 1.0)
    async with scene.open():
        assert await scene.ask("alice", "zero") == "heard: zero"
        proxy.silence_after(b"INSERT INTO inbox", b"COMMIT")
        with pytest.raises(EventNotAcceptedError):
            await scene.write("alice", "one", id="e1")
        assert not await scene.write("alice", "one", id="e1")
        await scene.wait_for(2)
        assert await scene.ask("alice", "two") == "heard: two"
    assert [sent.text for sent in scene.sent] == ["heard: zero", "heard: one", "heard: two"]


async def test_live_messages_arrive_again_after_a_connection_fell_silent(
    proxied: tuple[TcpProxy, str],
) -> None:
    proxy, url = proxied
    database = impatient(connect(url), 0.5)
    await database.open()
    pubsub = PostgresPubSub(database, Timings(listen_check=0.2, reconnect=0.05))
    try:
        with await pubsub.subscribe("topic") as queue:
            proxy.silence()

            async def hears() -> bool:
                await pubsub.publish("topic", "still there?")
                await asyncio.sleep(0.1)
                return not queue.empty()

            await wait_until_async(hears, what="a live message")
    finally:
        await pubsub.stop()
        await database.close()


async def test_a_statement_without_an_answer_ends_and_its_connection_is_replaced(
    proxied: tuple[TcpProxy, str],
) -> None:
    proxy, url = proxied
    database = impatient(connect(url), 0.5)
    await database.open()
    used: list[int] = []

    async def transact(*, silence: bool) -> None:
        async with database.write() as connection:
            used.append(await connection.scalar(text("SELECT pg_backend_pid()")))
            if silence:
                proxy.silence()
            await connection.execute(select(1))

    try:
        with pytest.raises(DBAPIError, match="did not answer within"):
            await transact(silence=True)
        await transact(silence=False)
        assert used[0] != used[1]
    finally:
        await database.close()


async def test_a_cancelled_statement_without_an_answer_ends(proxied: tuple[TcpProxy, str]) -> None:
    proxy, url = proxied
    database = impatient(connect(url), 0.5)
    await database.open()
    waits = asyncio.Event()

    async def wait() -> None:
        async with database.write() as connection:
            await connection.execute(select(1))
            proxy.silence()
            waits.set()
            await connection.execute(select(1))

    try:
        task = asyncio.create_task(wait())
        await waits.wait()
        task.cancel()
        async with asyncio.timeout(0.5 + SLOW):
            with pytest.raises(asyncio.CancelledError):
                await task
    finally:
        async with asyncio.timeout(SLOW):
            await database.close()


async def test_every_connection_has_limits_for_lost_packets(tmp_path: Path, proxied: tuple[TcpProxy, str]) -> None:
    proxy, url = proxied
    scene = stage(tmp_path, database=url)
    async with scene.open():
        assert await scene.ask("alice", "one") == "heard: one"
        with await scene.gateway.parts.backend.pubsub.subscribe("topic"):
            found = [each for each in gc.get_objects() if isinstance(each, psycopg.AsyncConnection)]
            limits = {_tcp_limits(each) for each in found if not each.closed and each.info.port == proxy.port}
            names = set(scene.rows("SELECT DISTINCT application_name FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"))
    assert limits == {(1, 5, 2, 3, 10_000)}
    assert names == {(f"understudy {SCHEMA.newest}",)}


def _tcp_limits(connection: psycopg.AsyncConnection[object]) -> tuple[int, ...]:
    with socket.socket(fileno=socket.dup(connection.fileno())) as copy:
        return (
            copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            *(
                copy.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                )
            ),
        )


@pytest.mark.long
async def test_webhooks_get_their_503_in_time_while_another_process_locks_the_file(tmp_path: Path) -> None:
    scene = stage(tmp_path, timings=IN_TIME)
    async with scene.open():
        other = sqlite3.connect(tmp_path / "stage.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            took = await asyncio.gather(*(refused(scene, number) for number in range(11)))
        finally:
            other.close()
        assert max(took) < PATIENCE
        await asyncio.gather(*(deliver(scene, number) for number in range(11)))
        await scene.wait_for(11)
    assert sorted(sent.text for sent in scene.sent) == sorted(f"heard: text {number}" for number in range(11))


async def refused(scene: Stage, number: int) -> float:
    began = time.monotonic()
    with pytest.raises(EventNotAcceptedError):
        await scene.write("alice", f"text {number}", f"dm-{number}", id=f"e{number}")
    return time.monotonic() - began
