"""Task cancellation: steps that must finish first, and code that swallows `CancelledError` or raises it itself."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from oauth.errors import UnderstudyError

T = TypeVar("T")

log = logging.getLogger(__name__)


class StrayExitError(UnderstudyError):
    """Code raised `CancelledError` or `SystemExit` although its task was not cancelled.

    If the exception propagated, it would end the whole task or the process.
    """

    def __init__(self, what: str, raised: BaseException) -> None:
        super().__init__(f"{what} raised {type(raised).__name__}, though nobody cancelled it")


def is_being_cancelled() -> bool:
    """Return whether somebody has cancelled the current task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def exits_contained(what: str) -> Iterator[None]:
    """Turn a stray `CancelledError` or `SystemExit` that the block raises into an ordinary exception.

    `task.cancel(); await task` in a tool, a model or a platform's library raises `CancelledError` in the awaiting task.
    asyncio cannot distinguish this from a cancellation of the awaiting task itself, and would end that task.

    Args:
        what: the name of the code in the block, for the error's message.

    Raises:
        StrayExitError: instead of either exception. A real cancellation of the current task passes through.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise StrayExitError(what, error) from error
    except SystemExit as error:
        raise StrayExitError(what, error) from error


async def uninterrupted(step: Awaitable[T]) -> T:
    """Await a step to its end. If the current task is cancelled meanwhile, raise `CancelledError` only afterwards."""
    task, cancelled = asyncio.ensure_future(step), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            cancelled = True
        except BaseException:  # noqa: BLE001 - raised below, from the task
            break
    if cancelled:
        if task.exception() is not None:
            raise asyncio.CancelledError from task.exception()
        raise asyncio.CancelledError
    return task.result()


async def unless(step: Coroutine[Any, Any, T], interruption: Awaitable[object]) -> T | None:
    """Return the result of a step. If `interruption` ends first, cancel the step and return `None`."""
    running, interrupting = asyncio.create_task(step), asyncio.ensure_future(interruption)
    try:
        await asyncio.wait((running, interrupting), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        interrupting.result()
        return None
    finally:
        for task in (running, interrupting):
            task.cancel()
        await asyncio.gather(running, interrupting, return_exceptions=True)


async def cancel_and_wait(task: "asyncio.Task[Any]", grace: float) -> bool:
    """Cancel a task and wait for its end.

    A task that swallows its cancellation is logged and abandoned; an exception that it raises later is not logged.

    Args:
        grace: how long to wait, in seconds.

    Returns:
        Whether the task has ended.
    """
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=grace)
    finally:
        if not task.done():
            log.error("%s swallows its cancellation and is abandoned", task.get_name())
        task.add_done_callback(_retrieve_exception)
    return task.done()


def _retrieve_exception(task: "asyncio.Task[Any]") -> None:
    """Keep asyncio from logging that the exception of a task was never retrieved."""
    if not task.cancelled():
        task.exception()
