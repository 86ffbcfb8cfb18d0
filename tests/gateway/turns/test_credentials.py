"""Threads and child processes that wait for a credential do not delay others."""

import asyncio
import copy
import os
import pickle
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.stage import FakeProvider, stage, stage_timings

from gateway import TurnContext
from gateway.runs.anonymous import anonymous_context
from toolkits import Toolkit, tool

READ = frozenset({"read"})
SHORT_TURNS = stage_timings(turn=8)
BLOCKED = 4.0  # seconds in which the loop does nothing: less than the deadline, more than delays of a busy machine


@asynccontextmanager
async def loop_is_never_blocked() -> AsyncIterator[None]:
    """Check after the test that the event loop was never blocked for long."""
    longest, last = 0.0, time.monotonic()

    async def beat() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.05)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    beating = asyncio.create_task(beat())
    try:
        yield
        await asyncio.sleep(0.1)
        assert longest < BLOCKED
    finally:
        beating.cancel()


class Threaded(Toolkit):
    """A toolkit whose asynchronous tools ask for credentials in threads."""

    _clone_shared_attrs = ("auth",)
    scopes = READ

    def __init__(self) -> None:
        self.auth: Any = FakeProvider()

    async def _gather(self, context: TurnContext, workers: int) -> str:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(workers) as pool:
            asking = [loop.run_in_executor(pool, context.credentials_sync, "fake", READ) for _ in range(8)]
            return " ".join(sorted(set(await asyncio.gather(*asking))))

    @tool
    async def gather_in_one(self, context: TurnContext) -> str:
        """Ask in a pool with one thread, in which the other calls are queued."""
        return await self._gather(context, 1)

    @tool
    async def gather_in_many(self, context: TurnContext) -> str:
        """Ask in many threads at once."""
        return await self._gather(context, 8)

    @tool
    async def block(self, context: TurnContext) -> str:
        """Wait for a thread without awaiting it."""
        with ThreadPoolExecutor() as pool:
            return str(pool.submit(context.credentials_sync, "fake", READ).result())


@pytest.mark.parametrize("name", ["gather_in_one", "gather_in_many"])
async def test_a_pool_that_waits_for_somebody_without_an_account_does_not_stop_the_loop(
    name: str, tmp_path: Path
) -> None:
    scene = stage(tmp_path, toolkits=[Threaded()], timings=SHORT_TURNS)
    async with scene.open(), loop_is_never_blocked():
        await scene.write("alice", f"call {name}")
        sign_in = (await scene.wait_for(1))[0]
        assert sign_in.sign_in is not None, sign_in.text
        assert await scene.ask("bob", "hello") == "heard: hello"
        await scene.connect(sign_in.link, "alice")
        assert (await scene.wait_for(3))[2].text == "SECRET-alice"


async def test_a_thread_does_not_wait_for_a_loop_that_is_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path, toolkits=[Threaded()], timings=replace(SHORT_TURNS, loop_blocked=0.5))
    async with scene.open(), loop_is_never_blocked():
        assert "something went wrong" in await scene.ask("alice", "call block")
    assert "waits for the event loop, but a coroutine blocks the loop" in caplog.text


async def test_a_thread_that_waits_when_the_turn_is_over_is_told_so(tmp_path: Path) -> None:
    """Have a tool start a thread and not wait for it. The thread asks a provider that does not answer."""
    asked, refusals = asyncio.Event(), list[str]()

    class Slow(FakeProvider):
        async def refresh(self, token: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

    class Leaving(Toolkit):
        _clone_shared_attrs = ("auth",)
        scopes = READ

        def __init__(self) -> None:
            self.auth: Any = Slow(lifetime=timedelta(seconds=-1))

        @tool
        async def leave(self, context: TurnContext) -> str:
            """Leave a thread behind."""
            if not await context.is_connected("fake", READ):
                await context.credentials("fake", READ)
            pool = ThreadPoolExecutor()
            pool.submit(_refusal, lambda: context.credentials_sync("fake", READ), refusals)
            await asked.wait()
            return "left"

    scene = stage(tmp_path, toolkits=[Leaving()], timings=SHORT_TURNS)
    async with scene.open():
        await scene.write("alice", "call leave")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        assert (await scene.wait_for(2))[1].text == "left"
        await scene.wait_until(lambda: bool(refusals), timeout=SHORT_TURNS.turn / 2)
    assert refusals == ["This turn is over."]


def _refusal(function: Callable[[], object], into: list[str]) -> None:
    try:
        into.append(f"got {function()}")
    except Exception as error:  # noqa: BLE001 - the test looks at whatever was raised
        into.append(str(error))


def soon_over() -> TurnContext:
    return replace(anonymous_context("hi"), deadline=datetime.now(UTC) + timedelta(seconds=1))


USES: dict[str, Callable[[TurnContext], Any]] = {
    "credentials_sync": lambda context: context.credentials_sync("fake"),
    "credentials": lambda context: _run(context.credentials("fake")),
    "is_connected": lambda context: _run(context.is_connected("fake")),
    "send": lambda context: _run(context.send("hi")),
}


def _run(awaitable: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())


@pytest.mark.processes
@pytest.mark.parametrize("use", USES)
async def test_a_forked_child_is_told_that_a_context_is_of_no_use_there(use: str) -> None:
    context, (reading, writing) = soon_over(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told: list[str] = []
            _refusal(lambda: USES[use](context), told)
            os.write(writing, told[0].encode())
        finally:
            os._exit(0)
    readable, _, _ = await asyncio.to_thread(select.select, [reading], [], [], 20)
    told = os.read(reading, 1000).decode() if readable else "nothing"
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    assert told == (
        "A TurnContext works only in the process of its turn: get the credentials before you start another process, "
        "and pass it what it needs of them."
    )


async def test_a_context_is_not_pickled() -> None:
    context = anonymous_context("hi")
    for handed_on in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="A TurnContext cannot be pickled or copied deeply: get the credentials"):
            handed_on(context)
    assert copy.copy(context) is context
    assert replace(context, reference="other").process_id == os.getpid()
