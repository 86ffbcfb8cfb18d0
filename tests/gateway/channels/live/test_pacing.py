"""The pace of calls to a platform."""

import asyncio
import itertools
import time

import pytest

from gateway.channels import RetryLaterError
from gateway.channels.live import Limit, Pacer

LIMITS = {"chat": Limit(most=1, seconds=0.2), "group": Limit(most=4, seconds=60.0, previews=2)}
SLACK = 0.01  # seconds by which a clock may differ from the loop's


async def test_previews_of_one_chat_are_spaced_in_their_order_and_those_of_others_do_not_wait() -> None:
    pacer, shown = Pacer(LIMITS), list[tuple[str, float]]()

    async def show(chat: str) -> None:
        await pacer.preview(("chat", chat))
        shown.append((chat, time.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        for chat in ("a", "a", "b", "a"):
            tasks.create_task(show(chat))
    times = [at for chat, at in shown if chat == "a"]
    assert [chat for chat, _ in shown][:2] == ["a", "b"]
    assert all(later - earlier >= 0.2 - SLACK for earlier, later in itertools.pairwise(times))


async def test_previews_leave_room_for_answers() -> None:
    pacer, key = Pacer(LIMITS), ("group", "g")
    await pacer.preview(key)
    await pacer.preview(key)
    waiting = asyncio.create_task(pacer.preview(key))
    await pacer.answer(key)
    await pacer.answer(key)
    with pytest.raises(RetryLaterError) as refused:
        await pacer.answer(key)
    assert 50 < refused.value.seconds <= 60
    assert not waiting.done()
    waiting.cancel()


async def test_a_pause_that_the_platform_asks_for_holds_the_previews_of_that_chat() -> None:
    pacer = Pacer(LIMITS)
    pacer.hold(("chat", "a"), 60)
    waiting = asyncio.create_task(pacer.preview(("chat", "a")))
    await pacer.preview(("chat", "b"))
    await pacer.answer(("chat", "a"))
    assert not waiting.done()
    waiting.cancel()


async def test_places_without_recent_calls_are_forgotten() -> None:
    pacer = Pacer({"chat": Limit(most=1, seconds=0.0)})
    for number in range(2500):
        await pacer.preview(("chat", str(number)))
    assert len(pacer._places) <= 1000
