"""Errors in one turn, channel or tenant do not stop the others."""

import asyncio
import json
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo
from sqlalchemy import text
from sqlalchemy.engine import make_url
from starlette.requests import Request
from starlette.routing import Route
from support.stage import IMPATIENT, obey, stage, stage_timings

from gateway import Conversation, Identity, Message
from gateway.channels.event import Event
from gateway.executor import LoopExecutor, equip_loop
from toolkits import Toolkit, tool


class Slips(Toolkit):
    """A toolkit whose tools raise exceptions that would end more than the tool."""

    @tool
    async def cancel_helper(self) -> str:
        """Cancel a task and await it."""
        helper = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        helper.cancel()
        await helper
        return "never"

    @tool
    def await_cancelled(self) -> str:
        """Raise what an executor raises for a function that was cancelled."""
        raise CancelledError

    @tool
    async def leave(self) -> str:
        """End the program."""
        sys.exit(1)

    @tool
    def leave_thread(self) -> str:
        """End the program, from a thread."""
        sys.exit(1)


@pytest.mark.parametrize("name", ["cancel_helper", "await_cancelled", "leave", "leave_thread"])
async def test_a_tool_that_raises_cancelled_error_or_exits_fails_only_its_own_turn(
    tmp_path: Path, database_url: str, name: str
) -> None:
    scene = stage(tmp_path, [Slips()], database=database_url, max_concurrent_turns=1)
    async with scene.open():
        assert "something went wrong" in await scene.ask("alice", f"call {name}")
        assert await scene.ask("bob", "hello") == "heard: hello"
        assert await scene.ask("alice", "hello again") == "heard: hello again"
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("dead",), ("done",), ("done",)]


async def test_a_model_that_raises_cancelled_error_is_tried_again(tmp_path: Path, database_url: str) -> None:
    asked = 0

    async def slip(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise asyncio.CancelledError
        return await obey(messages, info)

    scene = stage(tmp_path, model=slip, database=database_url, max_concurrent_turns=1, timings=IMPATIENT)
    async with scene.open():
        assert await scene.ask("alice", "hello") == "heard: hello"
    assert scene.rows("SELECT status, attempts FROM inbox") == [("done", 2)]


class Stubborn(Toolkit):
    """A toolkit whose tool ignores its cancellation until the test lets it end."""

    _clone_shared_attrs = ("cancelled", "released")

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.released = threading.Event()

    @tool
    async def cling(self) -> str:
        """Do not end."""
        while not self.released.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                self.cancelled.set()
        return "at last"


async def test_a_run_that_swallows_its_cancellation_is_abandoned_and_its_turn_ends(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stubborn = Stubborn()
    scene = stage(
        tmp_path,
        [stubborn],
        database=database_url,
        max_concurrent_turns=1,
        timings=stage_timings(turn=0.3, cancel_grace=0.1),
    )
    async with scene.open():
        assert "took too long" in await scene.ask("alice", "call cling")
        assert stubborn.cancelled.is_set()
        assert await scene.ask("bob", "hello") == "heard: hello"
    stubborn.released.set()
    assert "swallows its cancellation and is abandoned" in caplog.text
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("dead",), ("done",)]


async def test_a_stop_does_not_wait_for_a_run_that_swallows_its_cancellation(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = Stubborn()
    scene = stage(
        tmp_path, [stubborn], database=database_url, timings=stage_timings(shutdown_grace=0.1, cancel_grace=0.1)
    )
    async with scene.open():
        await scene.write("alice", "call cling")
        await scene.wait_until_rows("SELECT count(*) FROM tool_calls", 1)
    assert stubborn.cancelled.is_set()
    stubborn.released.set()
    assert scene.rows("SELECT status, attempts FROM inbox") == [("waiting", 0)]


class Hanging(Toolkit):
    """A toolkit whose tool holds its thread until the test lets it end."""

    _clone_shared_attrs = ("released",)

    def __init__(self) -> None:
        self.released = threading.Event()

    @tool
    def hang(self) -> str:
        """Do not return."""
        self.released.wait()
        return "at last"


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    toolkit = Hanging()
    yield toolkit
    toolkit.released.set()


@pytest.mark.long
async def test_tools_that_never_return_take_no_thread_from_look_ups_and_are_replaced_within_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanging: Hanging
) -> None:
    executor = equip_loop(LoopExecutor(tool_threads=1, max_abandoned=2))
    scene = stage(tmp_path, [hanging], timings=stage_timings(turn=1))
    app = httpx.ASGITransport(scene.gateway.asgi())
    async with scene.open(), httpx.AsyncClient(transport=app, base_url="http://test") as client:
        for number in range(2):
            assert "took too long" in await scene.ask("alice", "call hang", f"dm-{number}")
        await scene.wait_until(lambda: executor.abandoned == 2)
        assert (await client.get("/readyz")).status_code == 200
        assert await asyncio.get_running_loop().getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        assert "took too long" in await scene.ask("alice", "call hang", "dm-2")
        await scene.wait_until(lambda: executor.abandoned == 3)
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (
            503,
            "3 tools never returned and each holds a thread: restart the process",
        )
        assert await scene.ask("alice", "hello") == "heard: hello"
        hanging.released.set()
        await scene.wait_until(lambda: executor.abandoned == 0)
        assert (await client.get("/readyz")).status_code == 200


async def test_messages_of_a_channel_that_is_gone_become_dead_letters_and_delay_nobody(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, max_concurrent_turns=1, timings=IMPATIENT)
    gone = Conversation("gone", "T1", "dm-alice", shared=False)
    async with scene.open():
        await scene.gateway.host.accept(Event("g1", gone, json.dumps({"text": "anybody there?"})))
        assert await scene.ask("bob", "hello") == "heard: hello"
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'dead'", 1)
    error = scene.rows("SELECT error FROM inbox WHERE status = 'dead'")[0][0]
    assert error == "The channel 'gone' is not configured, so nothing can be answered there."


async def test_a_message_whose_reading_never_ends_is_a_dead_letter_after_its_tries(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path, database=database_url, max_concurrent_turns=1, timings=replace(IMPATIENT, parse=0.02))
    parse = scene.channel.parse

    async def parse_or_hang(payload: str) -> Message | None:
        if "poison" in payload:
            await asyncio.Event().wait()
        return await parse(payload)

    scene.channel.parse = parse_or_hang  # type: ignore[method-assign]
    async with scene.open():
        await scene.write("alice", "poison")
        assert await scene.ask("bob", "hello") == "heard: hello"
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'dead'", 1)


async def test_a_message_whose_reading_kills_the_process_is_given_up_unread(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await scene.ask("alice", "poison")
    scene.rows("UPDATE inbox SET status = 'waiting', attempts = 5")
    read = 0

    async def parse(_: str) -> Any:
        nonlocal read
        read += 1

    scene.channel.parse = parse  # type: ignore[method-assign]
    async with scene.open():
        if scene.worker is not None:  # a worker learns of messages only by jobs
            await scene.write("bob", "", "dm-alice")
        await scene.wait_for(2)
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status IN ('waiting', 'running')", 0)
    assert "reference" in scene.sent[1].text
    assert scene.rows("SELECT status FROM inbox WHERE attempts > 1") == [("dead",)]
    assert read == (1 if scene.worker is not None else 0)


async def test_a_turn_whose_end_cannot_be_written_is_ended_with_plain_values_after_its_tries(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path, database=database_url, max_concurrent_turns=1, timings=stage_timings(drain_retry=0.02))
    parse = scene.channel.parse

    async def parse_odd(payload: str) -> Message | None:
        message = await parse(payload)
        if message is not None and message.text == "poison":
            return replace(message, sender=Identity("stage", "T1", "\ud800"))  # no database can store this id
        return message

    scene.channel.parse = parse_odd  # type: ignore[method-assign]
    async with scene.open():
        await scene.write("alice", "poison")
        assert "reference" in (await scene.wait_for(1))[0].text
        assert await scene.ask("alice", "hello") == "heard: hello"
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("dead",), ("done",)]


class Outage:
    """An outage of a database: a lock on the SQLite file, or a PostgreSQL database that allows no connections."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock: sqlite3.Connection | None = None

    def begin(self) -> None:
        if self._url.startswith("sqlite"):
            self._lock = sqlite3.connect(self._url.removeprefix("sqlite:///"), check_same_thread=False)
            self._lock.execute("BEGIN IMMEDIATE")
        else:
            self._allow_connections(False)

    def end(self) -> None:
        if self._lock is not None:
            self._lock.close()
        else:
            self._allow_connections(True)

    def _allow_connections(self, allowed: bool) -> None:
        url = make_url(self._url)
        server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS {allowed}")
            if not allowed:
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.execute(ended, (url.database,))


class Desk(Toolkit):
    """A toolkit whose tool begins an outage of the database in its first call."""

    _clone_shared_attrs = ("outage", "begun")

    def __init__(self, outage: Outage) -> None:
        self.outage = outage
        self.begun = threading.Event()

    @tool(read_only=True)
    def break_off(self) -> str:
        """Works, while the database goes away."""
        if not self.begun.is_set():
            self.outage.begin()
            self.begun.set()
        return "done"


@pytest.mark.long
async def test_a_failure_of_the_database_in_a_turn_costs_the_message_neither_its_place_nor_a_try(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(Outage(database_url))
    scene = stage(tmp_path, [desk], database=database_url, timings=stage_timings(drain_retry=0.1))
    async with scene.open():
        await scene.write("alice", "call break_off")
        await scene.write("alice", "second")
        await scene.wait_until(lambda: "waits for the database" in caplog.text, timeout=60)
        await asyncio.to_thread(desk.outage.end)
        await scene.wait_for(2, timeout=60)
    assert [sent.text for sent in scene.sent] == ["done", "heard: second"]
    assert scene.rows("SELECT status, attempts FROM inbox ORDER BY id") == [("done", 1), ("done", 1)]


@pytest.mark.long
async def test_a_failure_of_the_database_while_a_webhook_is_read_is_answered_503(tmp_path: Path) -> None:
    async def fail(_: Request) -> None:
        async with scene.gateway.parts.backend.database.write() as connection:
            await connection.execute(text("SELECT 1"))

    scene = stage(tmp_path)
    scene.channel.routes = lambda: [Route("/stage", fail)]  # type: ignore[method-assign]
    outage = Outage(scene.database)
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with scene.open(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        outage.begin()
        answer = await client.get("/stage")
        outage.end()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
