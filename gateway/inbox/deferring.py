"""Defer a procrastinate job for each conversation in which messages or deliveries wait."""

from collections.abc import Iterable

import procrastinate
from procrastinate.jobs import Job
from procrastinate.jobs import Status as JobStatus
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

QUEUE = "turns"
TASK = "drain"

# These row locks last until the caller's transaction ends. Until then, no worker can fetch a waiting job or end a
# running one. The next job that drains the conversation therefore sees the message that the transaction adds.
_FIND_JOBS = text(
    "SELECT id, lock, status FROM procrastinate_jobs WHERE lock = ANY(:locks) AND status IN ('todo', 'doing') "
    "FOR KEY SHARE"
)
_NOTIFY_WORKERS = text(
    "SELECT understudy_notify_job_ready(job_id, :queue) FROM unnest(CAST(:job_ids AS bigint[])) AS job_id"
)


class JobDeferrer:
    """Defers jobs on the caller's connection."""

    def __init__(self) -> None:
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector())

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        """Defer a job for each conversation that has no waiting job, in the transaction of the connection."""
        locks = [str(conversation_id) for conversation_id in dict.fromkeys(conversation_ids)]
        if not locks:
            return
        found = (await connection.execute(_FIND_JOBS, {"locks": locks})).all()
        waiting = {job.lock: job.id for job in found if job.status == JobStatus.TODO.value}
        running = {job.lock for job in found if job.status == JobStatus.DOING.value}
        jobs = [
            Job(
                queue=QUEUE,
                task_name=TASK,
                lock=lock,
                queueing_lock=None,
                task_kwargs={"conversation_id": int(lock)},
            )
            for lock in locks
            if lock not in waiting
        ]
        if jobs:
            raw = await connection.get_raw_connection()
            await self._app.job_manager.batch_defer_jobs_async(jobs, connection=raw.driver_connection)
        # Workers that queried meanwhile have skipped the jobs that are locked here.
        if skipped := [job_id for lock, job_id in waiting.items() if lock not in running]:
            await connection.execute(_NOTIFY_WORKERS, {"queue": QUEUE, "job_ids": skipped})
