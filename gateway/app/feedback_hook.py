"""Call the operator's function when a person changes a rating of an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.cancellation import exits_contained
from gateway.operations.feedback import FeedbackRecord
from gateway.timings import Timings

MOST_WAITING = 1000  # changes that may wait for a slow hook

OnFeedback = Callable[[FeedbackRecord], Awaitable[None]]
"""An async function of the operator's, which is called with each change of a rating."""

log = logging.getLogger(__name__)


class FeedbackHook:
    """Calls the operator's function with each change of a rating, one call at a time, in the order of the changes.

    A call that raises or takes too long is logged and not retried.

    Args:
        function: the operator's function; `None` if there is none.
    """

    def __init__(self, function: OnFeedback | None, timings: Timings) -> None:
        self._function = function
        self._timings = timings
        self._changes: asyncio.Queue[FeedbackRecord] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._function is not None:
            self._changes = asyncio.Queue(MOST_WAITING)
            self._task = asyncio.create_task(self._run(self._function, self._changes), name="the feedback hook")

    async def stop(self) -> None:
        """Wait up to `Timings.feedback_hook` for the remaining calls, and drop those that are left."""
        if self._changes is None or self._task is None:
            return
        try:
            async with asyncio.timeout(self._timings.feedback_hook):
                await self._changes.join()
        except TimeoutError:
            log.warning("on_feedback was not called with %s changes, as the gateway stops", self._changes.qsize())
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._changes = self._task = None

    def tell(self, change: FeedbackRecord) -> None:
        """Queue a call of the function with a committed change. If the queue is full, log the change and drop it."""
        if self._changes is None:
            return
        try:
            self._changes.put_nowait(change)
        except asyncio.QueueFull:
            log.warning("on_feedback is too slow: it is not called with the rating of the answer %s", change.reference)

    async def _run(self, function: OnFeedback, changes: asyncio.Queue[FeedbackRecord]) -> None:
        while True:
            change = await changes.get()
            try:
                with exits_contained("on_feedback"):
                    async with asyncio.timeout(self._timings.feedback_hook):
                        await function(change)
            except TimeoutError:
                log.warning("on_feedback took longer than %g s for a rating", self._timings.feedback_hook)
            except Exception:  # an exception of the operator's code must not stop later calls
                log.exception("on_feedback failed for the rating of the answer %s", change.reference)
            finally:
                changes.task_done()
