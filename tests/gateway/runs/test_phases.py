"""Phases: what the calls in them read and write, and how they end."""

import asyncio
from typing import Any

import pytest
from support.agents.reading import ReadingAgents, texts

from gateway import (
    Message,
    PhaseEnded,
    PhaseStarted,
    Runner,
    Session,
    TokensUsed,
    current_in_phase,
    current_phase_session,
    phase,
)


async def test_a_nested_phase_reads_the_phase_around_it(reads: ReadingAgents) -> None:
    one, session = reads.agent("one"), Session()

    async def flow(message: Message) -> str:
        async with phase("Outer") as outer:
            await one("a")
            async with phase("Inner", persist=True):
                await one("b")
                await one("c")
            async with phase("Alone", share_context=False):
                await one("d")
                async with phase("Shared in that") as again:
                    await one("e")
                    await one("f")
                    assert again is current_phase_session.get()
            assert current_phase_session.get() is outer
            await one("g")
        return await one("h")

    await Runner(flow, session=session).run("go")
    assert reads.by_call["one(c)"] == ["a", "one(a)", "b", "one(b)"]
    assert reads.by_call["one(d)"] == ["a", "one(a)", "one(c)"]
    assert reads.by_call["one(f)"] == ["a", "one(a)", "one(c)", "e", "one(e)"]
    assert reads.by_call["one(g)"] == ["a", "one(a)", "one(c)"]
    assert texts(session.items) == ["go", "h", "one(h)"]


async def test_concurrent_calls_read_the_same_and_are_kept_in_the_order_they_began(
    reads: ReadingAgents,
) -> None:
    slow, quick, last = reads.agent("slow"), reads.agent("quick"), reads.agent("last")
    reads.gates["slow"] = asyncio.Event()

    async def flow(message: Message) -> str:
        async with phase("Work", persist=True):
            await quick("first")

            async def then() -> None:
                await quick("b")
                reads.gates["slow"].set()

            await asyncio.gather(slow("a"), then(), quick("c").snapshot())
            return await last("x")

    session = Session()
    await Runner(flow, session=session).run("go")
    first = ["first", "quick(first)"]
    assert [reads.by_call[call] for call in ("slow(a)", "quick(b)", "quick(c)")] == [first] * 3
    assert reads.by_call["last(x)"] == [*first, "a", "slow(a)", "b", "quick(b)"]
    assert texts(session.items) == ["go", "last(x)"]


@pytest.mark.parametrize("fails", ["body", "start", "end", "body and end", "cancelled"])
async def test_a_phase_ends_whole_whatever_is_raised(reads: ReadingAgents, fails: str) -> None:
    told, session, one = list[Any](), Session(), reads.agent("one")

    async def handler(event: Any) -> None:
        told.append(event)
        if isinstance(event, PhaseStarted) and fails == "start":
            raise RuntimeError("start")
        if isinstance(event, PhaseEnded) and fails in ("end", "body and end"):
            raise RuntimeError("end")

    async def flow(message: Message) -> str:
        try:
            async with phase("Work", persist=True):
                await one("x")
                if fails in ("body", "body and end"):
                    raise ValueError("body")
                if fails == "cancelled":
                    raise asyncio.CancelledError
        except (RuntimeError, ValueError, asyncio.CancelledError) as error:
            assert (current_in_phase.get(), current_phase_session.get()) == (False, None)
            return f"{type(error).__name__} {error}"
        raise AssertionError

    raised = {"start": "RuntimeError start", "end": "RuntimeError end", "cancelled": "CancelledError "}
    assert await Runner(flow, session=session, handler=handler).run("go") == raised.get(fails, "ValueError body")
    phases = [type(event) for event in told if not isinstance(event, TokensUsed)]
    assert phases == [PhaseStarted, PhaseEnded]
    kept = ["one(x)"] if fails == "end" else []
    assert texts(session.items) == ["go", *kept, raised.get(fails, "ValueError body")]
