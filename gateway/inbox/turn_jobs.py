"""The job manager of a worker. It decides which worker looks for a new job, and when a worker fetches a job."""

import asyncio
from collections.abc import Iterable, Sequence

from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job, Notification
from procrastinate.manager import JobManager, NotificationCallback

from gateway.inbox.dispatch import TurnSlot


class TurnJobs(JobManager):
    """The job manager of one of several workers, which divide the new jobs among themselves.

    PostgreSQL notifies every worker of every new job, and by default each of them queries for it, although only one can
    get it. Here, the job's id selects the worker that queries at once. If that worker is full or dead, the others find
    the job when they poll.

    A worker runs more jobs than turns, because a job that only delivers an answer is not a turn. The manager therefore
    takes a turn slot before it fetches a job.

    Attributes:
        slots: the slots of the fetched jobs, by job id. The code that runs a job removes its slot.

    Args:
        turns: a semaphore with a value of as many turns as may run at once.
        stopping: set when the worker has to stop. From then on, no job is fetched.
    """

    def __init__(self, connector: BaseConnector, turns: asyncio.Semaphore, stopping: asyncio.Event) -> None:
        super().__init__(connector)
        self.slots: dict[int, TurnSlot] = {}
        self._turns = turns
        self._stopping = stopping
        self._worker_id: int | None = None
        self._workers: Sequence[int] = ()
        self._notified = False

    def divide(self, worker_id: int, workers: Sequence[int]) -> None:
        """Set the workers that divide the new jobs. Until the first call, this worker looks for every new job.

        Args:
            worker_id: this worker's id.
            workers: the ids of all live workers, in the same order in every worker.
        """
        self._worker_id, self._workers = worker_id, workers

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Fetch a job. If a notification arrives during the query, query again, as the query may have missed its job.

        procrastinate's worker forgets a notification that arrives during a query.
        """
        slot = TurnSlot(self._turns)
        if not await self._take(slot):
            return None
        job, self._notified = None, True
        try:
            while job is None and self._notified:
                self._notified = False
                job = await super().fetch_job(queues, worker_id)
        finally:
            if job is None or job.id is None:
                slot.free()
            else:
                self.slots[job.id] = slot
        return job

    async def _take(self, slot: TurnSlot) -> bool:
        """Wait for a free turn slot and take it. Return `False` if the worker has to stop before that."""
        if not self._turns.locked():
            await slot.take()
            return True
        taking = asyncio.create_task(slot.take())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not taking.done():
                taking.cancel()
        return taking.done() and not taking.cancelled()

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def notify(*, channel: str, notification: Notification) -> None:
            if notification["type"] == "job_inserted" and not self._is_ours(notification["job_id"]):
                return
            self._notified = True
            await on_notification(channel=channel, notification=notification)

        await super().listen_for_jobs(on_notification=notify, queues=queues)

    def _is_ours(self, job_id: int) -> bool:
        return not self._workers or self._workers[job_id % len(self._workers)] == self._worker_id
