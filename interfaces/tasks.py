"""Work that a channel does beside its webhooks."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

MOST_AT_ONCE = 200

log = logging.getLogger(__name__)


class OwnedTasks:
    """Runs work that nobody waits for, each with a time limit, and cancels it when the channel stops.

    Args:
        most: how many run at once.
    """

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, what: str, work: Coroutine[Any, Any, object], most_seconds: float) -> bool:
        """Begin some work; return whether there was room for it.

        Args:
            what: what the log calls it.
            most_seconds: its time limit.
        """
        if len(self._tasks) >= self._most:
            work.close()
            log.warning("%s was left out: %s things are being done already", what, self._most)
            return False
        task = asyncio.create_task(_run(what, work, most_seconds), name=what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def stop(self) -> None:
        """Cancel what is running, and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(what: str, work: Coroutine[Any, Any, object], most_seconds: float) -> None:
    try:
        async with asyncio.timeout(most_seconds):
            await work
    except TimeoutError:
        log.warning("%s took more than %g seconds", what, most_seconds)
    except Exception:  # whatever it raises: nobody waits for it
        log.exception("%s failed", what)
    finally:
        work.close()  # if the task was cancelled before it began
