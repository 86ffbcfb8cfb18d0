import asyncio
import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from gateway.inbox import Inbox
from gateway.logs import describe
from gateway.outbox import Outbox
from gateway.retention import Retention

EVERY = 0.5  # seconds
REMOVE_EVERY = 60.0  # seconds between two looks for what is old

log = logging.getLogger(__name__)


class Timers:
    """Lets go on what waits for a time: a retry, a message that is sent later. Each process that plays has one.

    Args:
        retention: removes what is old, where that is wanted.
    """

    def __init__(self, inbox: Inbox, outbox: Outbox, retention: Retention | None) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._retention = retention
        self._removed_at = -REMOVE_EVERY
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="timers")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._inbox.resume_due()
                await self._outbox.resume_due()
                if self._retention is not None and time.monotonic() - self._removed_at >= REMOVE_EVERY:
                    await self._retention.remove()
                    self._removed_at = time.monotonic()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("nothing that was due could go on: %s", describe(error))
            except Exception:
                log.exception("nothing that was due could go on")
            await asyncio.sleep(EVERY)
