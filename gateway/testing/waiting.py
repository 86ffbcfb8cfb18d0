"""Wait for a condition in a test, instead of sleeping for a guessed time."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")

POLL_INTERVAL = 0.01  # seconds
TIMEOUT = 60.0  # seconds


async def wait_until(condition: Callable[[], T | Awaitable[T]], timeout: float = TIMEOUT, what: str = "") -> T:
    """Call a condition until it returns a truthy value, and return that value.

    Args:
        condition: a function or a coroutine function. It is called on the event loop, so it must not block.
        timeout: how long to wait, in seconds.
        what: a description of the condition, for the error.

    Raises:
        AssertionError: if the condition returned no truthy value in time.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        value = condition()
        found = await value if isawaitable(value) else value
        if found:
            return found
        if asyncio.get_running_loop().time() >= deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true within {timeout:g} s: it was {found!r}")
        await asyncio.sleep(POLL_INTERVAL)
