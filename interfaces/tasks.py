"""Background tasks of a channel."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

MOST_AT_ONCE = 200

log = logging.getLogger(__name__)


class OwnedTasks:
    """The background tasks of a channel: each has a time limit, and `stop` ends them all.

    Args:
        most: the number of tasks that may run at once.
    """

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, what: str, work: Coroutine[Any, Any, object], most_seconds: float) -> bool:
        """Start a task; return `False` if too many tasks are running already.

        Args:
            what: the name of the task in the log.
            most_seconds: the time limit of the task.
        """
        if len(self._tasks) >= self._most:
            work.close()
            log.warning("%s was skipped: %s background tasks are running already", what, self._most)
            return False
        task = asyncio.create_task(_run(what, work, most_seconds), name=what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def stop(self, grace: float = 0.0) -> None:
        """Cancel all tasks that have not ended after `grace` seconds, and wait until they have."""
        tasks = list(self._tasks)
        if tasks and grace:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(what: str, work: Coroutine[Any, Any, object], most_seconds: float) -> None:
    try:
        async with asyncio.timeout(most_seconds):
            await work
    except TimeoutError:
        log.warning("%s took more than %g seconds", what, most_seconds)
    except Exception:  # nobody awaits the task, so that every error is logged here
        log.exception("%s failed", what)
    finally:
        work.close()  # has an effect if the task was cancelled before it began
