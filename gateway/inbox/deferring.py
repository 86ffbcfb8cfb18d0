"""Defer the jobs of conversations in which messages wait, by procrastinate."""

from collections.abc import Iterable

import procrastinate
from procrastinate.jobs import Job
from procrastinate.jobs import Status as JobStatus
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

QUEUE = "turns"
TASK = "drain"

# Until the caller's transaction ends, its row locks keep a waiting job from being fetched, and a running one from
# ending: a job that is fetched later sees the message which that transaction adds.
_FIND_JOBS = text(
    "SELECT id, lock, status FROM procrastinate_jobs WHERE lock = ANY(:locks) AND status IN ('todo', 'doing') "
    "FOR KEY SHARE"
)
_NOTIFY = text("SELECT understudy_notify_job_ready(job_id, :queue) FROM unnest(CAST(:job_ids AS bigint[])) AS job_id")


class JobDeferrer:
    """Defers jobs on the caller's connection: it has none of its own."""

    def __init__(self) -> None:
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector())

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        """Defer a job for each conversation that has none waiting, in the transaction of the connection."""
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
        # A worker may have passed over a job that was locked here.
        if passed_over := [job_id for lock, job_id in waiting.items() if lock not in running]:
            await connection.execute(_NOTIFY, {"queue": QUEUE, "job_ids": passed_over})
