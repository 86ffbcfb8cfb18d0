"""Waiting for a condition, instead of sleeping for as long as it may take."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.1  # seconds between two looks: many a condition asks a server over HTTP
PAUSE = 0.1  # of the time waited so far
TIMEOUT = 20.0  # seconds


def wait_until(condition: Callable[[], T], timeout: float = TIMEOUT, what: str | None = None) -> T:
    """Call `condition` until it returns something truthy, and return that.

    Raises:
        AssertionError: `timeout` seconds have passed. It names `what` was waited for and the last value.
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
    """Do what `wait_until` does, in a running event loop.

    A condition that is no coroutine function runs in a thread, so that it may call a server which runs in this loop.
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
    """Return the seconds until the next look, which are a share of those since the first; or fail."""
    waited = time.monotonic() - began
    if waited >= timeout:
        name = what or getattr(condition, "__name__", repr(condition))
        raise AssertionError(f"not within {timeout:g} s: {name} (last value: {value!r})")
    return min(max(PAUSE * waited, SHORTEST_PAUSE), LONGEST_PAUSE)
