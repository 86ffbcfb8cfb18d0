"""Wait for a condition, instead of sleeping for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.1  # seconds between two calls: many conditions send an HTTP request
PAUSE = 0.1  # the next pause, as a share of the time waited so far
TIMEOUT = 60.0  # seconds


def wait_until(condition: Callable[[], T], timeout: float = TIMEOUT, what: str | None = None) -> T:
    """Call `condition` until it returns a true value, and return that value.

    Args:
        timeout: the longest wait, in seconds.
        what: the condition, for the error. By default, the error has the name of the function.

    Raises:
        AssertionError: `timeout` seconds have passed. The message names the condition and its last value.
    """
    began = time.monotonic()
    while not (value := condition()):
        time.sleep(_pause(began, condition, timeout, what, value))
    return value


async def wait_until_async(
    condition: Callable[[], T | Awaitable[T]],
    timeout: float = TIMEOUT,
    what: str | None = None,
) -> T:
    """Do the same as `wait_until` without blocking the running event loop.

    A condition that is not a coroutine function runs in a thread, so that it can call a server which runs in this loop.
    """
    began = time.monotonic()
    while not (value := await _call(condition)):
        await asyncio.sleep(_pause(began, condition, timeout, what, value))
    return value


async def _call(condition: Callable[[], T | Awaitable[T]]) -> T:
    if asyncio.iscoroutinefunction(condition):
        return await condition()
    return await asyncio.to_thread(condition)  # type: ignore[arg-type]


def _pause(began: float, condition: Callable[..., object], timeout: float, what: str | None, value: object) -> float:
    """Return the seconds until the next call of the condition, or raise if the timeout has passed."""
    waited = time.monotonic() - began
    if waited >= timeout:
        name = what or getattr(condition, "__name__", repr(condition))
        raise AssertionError(f"not within {timeout:g} s: {name} (last value: {value!r})")
    return min(max(PAUSE * waited, SHORTEST_PAUSE), LONGEST_PAUSE)
