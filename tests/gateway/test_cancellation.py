"""The cancellation of a task while it waits for a step that must finish."""

import asyncio

import pytest

from gateway.cancellation import uninterrupted


async def test_a_step_finishes_before_the_cancellation_is_raised() -> None:
    begun, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        await go_on.wait()
        finished.set()

    task = asyncio.create_task(uninterrupted(step()))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished.is_set()


async def test_the_result_and_the_error_of_a_step_are_its_callers() -> None:
    async def succeed() -> str:
        return "result"

    async def fail() -> None:
        raise ValueError("no")

    assert await uninterrupted(succeed()) == "result"
    with pytest.raises(ValueError, match="no"):
        await uninterrupted(fail())
