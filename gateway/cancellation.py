"""Cancellation that others mishandle: raised where nobody cancelled anything, or swallowed where somebody did."""

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from oauth.errors import UnderstudyError

T = TypeVar("T")

log = logging.getLogger(__name__)


class StrayExitError(UnderstudyError):
    """Code raised `CancelledError` or `SystemExit`, which would have ended more than the step it was run for."""

    def __init__(self, what: str, raised: BaseException) -> None:
        super().__init__(f"{what} raised {type(raised).__name__}, though nobody had cancelled it")


def is_being_cancelled() -> bool:
    """Return whether somebody has cancelled the current task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def exits_contained(what: str) -> Iterator[None]:
    """Turn a stray `CancelledError` or `SystemExit` of the block into an ordinary exception.

    `task.cancel(); await task` in the code of a tool, a model or a platform's library raises `CancelledError` in the
    task that awaits. asyncio cannot tell that from the cancellation of this task by its owner, and would end it.

    Args:
        what: names the code that runs in the block, for the message.

    Raises:
        StrayExitError: instead of either of the two. A cancellation of the current task passes through.
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
    """Await a step to its end, even if the current task is cancelled meanwhile; then raise the cancellation."""
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


async def cancel_and_wait(task: "asyncio.Task[Any]", grace: float) -> bool:
    """Cancel a task and wait for its end, so many seconds at most.

    A task that swallows its cancellation is left to itself. It is logged, and what it raises later is not.

    Args:
        grace: seconds.

    Returns:
        Whether the task has ended.
    """
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=grace)
    finally:
        if not task.done():
            log.error("%s swallows its cancellation and is abandoned", task.get_name())
        task.add_done_callback(_note_end)
    return task.done()


def _note_end(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()  # so that asyncio does not report it as never retrieved
