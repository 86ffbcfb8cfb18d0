import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from gateway.inbox import Inbox
from gateway.logs import describe
from gateway.outbox import Outbox

EVERY = 0.5  # seconds

log = logging.getLogger(__name__)


class Timers:
    """Lets go on what waits for a time: a retry, a message that is sent later. Each process that plays has one."""

    def __init__(self, inbox: Inbox, outbox: Outbox) -> None:
        self._inbox = inbox
        self._outbox = outbox
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
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("nothing that was due could go on: %s", describe(error))
            await asyncio.sleep(EVERY)
