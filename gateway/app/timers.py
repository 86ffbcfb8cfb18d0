"""Run periodic jobs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from gateway.cancellation import exits_contained
from gateway.logs import describe

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timer:
    """A periodic job.

    Args:
        what: the name of the job in the log.
        every: seconds between the end of one run and the beginning of the next.
        run: the job.
    """

    what: str
    every: float
    run: Callable[[], Awaitable[object]]


class Timers:
    """Runs periodic jobs, in every process that plays turns."""

    def __init__(self, timers: Sequence[Timer]) -> None:
        self._timers = timers
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(_repeat(timer), name=timer.what) for timer in self._timers]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def _repeat(timer: Timer) -> None:
    while True:
        try:
            with exits_contained(timer.what):
                await timer.run()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("%s failed and will be retried: %s", timer.what, describe(error))
        except Exception:
            log.exception("%s failed and will be retried", timer.what)
        await asyncio.sleep(timer.every)
