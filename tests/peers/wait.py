"""Waiting for a condition, never for a guess."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_INTERVAL = 0.01  # seconds
TIMEOUT = 20.0  # seconds


def wait_until(condition: Callable[[], T], timeout: float = TIMEOUT, what: str | None = None) -> T:
    """The first truthy value that `condition()` returns. It is called again and again until `timeout` seconds
    have passed; then AssertionError, naming `what` was waited for and the last value.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(_late(condition, timeout, what, value))
        time.sleep(POLL_INTERVAL)
    return value


async def wait_until_async(
    condition: Callable[[], T | Awaitable[T]],
    timeout: float = TIMEOUT,
    what: str | None = None,
) -> T:
    """As `wait_until`, for a running event loop. A condition that is not a coroutine function runs in a
    thread, so that it may call a server which runs in this loop.
    """
    deadline = time.monotonic() + timeout
    while not (value := await _ask(condition)):
        if time.monotonic() >= deadline:
            raise AssertionError(_late(condition, timeout, what, value))
        await asyncio.sleep(POLL_INTERVAL)
    return value


async def _ask(condition: Callable[[], T | Awaitable[T]]) -> T:
    if asyncio.iscoroutinefunction(condition):
        return await condition()
    return await asyncio.to_thread(condition)  # type: ignore[arg-type]


def _late(condition: Callable[..., object], timeout: float, what: str | None, value: object) -> str:
    name = what or getattr(condition, "__name__", repr(condition))
    return f"not within {timeout:g} s: {name} (last value: {value!r})"
