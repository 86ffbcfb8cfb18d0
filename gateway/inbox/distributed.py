"""Dispatch turns to workers on any number of hosts, with PostgreSQL and procrastinate.

https://procrastinate.readthedocs.io
"""

import asyncio
import logging
from asyncio import CancelledError
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import procrastinate
import psycopg
from procrastinate.exceptions import JobAborted, ProcrastinateException
from procrastinate.jobs import Job
from procrastinate.jobs import Status as JobStatus
from procrastinate.manager import JobManager
from procrastinate.worker import Worker
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.cancellation import exits_contained
from gateway.inbox.claims import ConversationBusyError
from gateway.inbox.deferring import QUEUE, TASK, JobDeferrer
from gateway.inbox.dispatch import Drain
from gateway.inbox.turn_jobs import TurnJobs
from gateway.logs import describe
from gateway.storage.database import DatabaseUnavailableError
from gateway.storage.postgres import JOB_CONNECTIONS, PostgresDatabase
from gateway.storage.postgres_connection import PostgresConnection
from gateway.timings import DEFAULT_TIMINGS, Timings
from oauth.errors import UnderstudyError

SWEEPS_PER_TAKEOVER = 4  # searches for dead workers in the time after which a worker counts as dead
AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)  # a time that is in the past by any host's clock
MAX_DELIVERIES = 512  # jobs that a worker runs in addition to its turns, because they only send
SWEEP_LOCK = 0x756E6473  # the advisory lock with which only one worker at a time takes over the jobs of dead workers

_DATABASE_FAILURES = (ProcrastinateException, psycopg.Error, SQLAlchemyError, OSError, TimeoutError)

_LIVE_WORKERS = text(
    "SELECT id FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :seconds) ORDER BY id"
)
_IS_WORKER_ALIVE = text(
    "SELECT 1 FROM procrastinate_workers WHERE id = :id AND last_heartbeat > now() - make_interval(secs => :seconds)"
)

log = logging.getLogger(__name__)


class DistributedDispatcher:
    """Runs turns in workers, on any number of hosts.

    A conversation with waiting messages or deliveries has a job, which is deferred in the transaction that adds them.
    The job's lock is the conversation, so that only one worker at a time drains it. A job plays all waiting messages,
    so a conversation has at most two jobs: a running one, and one for messages that arrive after the running one has
    found no more.

    Args:
        max_concurrent_turns: how many turns run at once in this process, if it is a worker.
        takeover_after: seconds without a heartbeat after which a worker counts as dead.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        max_concurrent_turns: int,
        takeover_after: float,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._timings = timings
        self._database = database
        self._max_concurrent_turns = max_concurrent_turns
        self._takeover_after = takeover_after
        self._deferrer = JobDeferrer()
        self._drain: Drain | None = None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._worker: Worker | None = None
        self._turn_jobs: TurnJobs | None = None
        self._running_jobs: set[int] = set()  # the ids of the jobs that run in this process
        self._orphans: set[int] = set()  # the ids of the jobs that run here only according to the database

    @property
    def owner(self) -> int | None:
        return self._worker.worker_id if self._worker is not None else None

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        await self._deferrer.defer(connection, conversation_ids)

    def wake(self, conversation_ids: Iterable[int]) -> None:
        return  # the database notifies the workers of new jobs

    async def is_alive(self, connection: AsyncConnection, owner: int | None) -> bool:
        found = await connection.execute(_IS_WORKER_ALIVE, {"id": owner, "seconds": self._takeover_after})
        return found.first() is not None

    async def count_workers(self) -> int:
        async with self._database.read() as connection:
            return len(await self._live_workers(connection))

    async def start(self, drain: Drain) -> None:
        self._drain = drain
        self._stopping.clear()
        self._tasks = [
            asyncio.create_task(self._work_until_stopped(), name="worker"),
            asyncio.create_task(self._sweep(), name="takeover"),
        ]

    async def stop(self) -> None:
        if not self._tasks:
            return
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]
        await asyncio.gather(*self._tasks)
        self._tasks = []

    async def _work_until_stopped(self) -> None:
        """Run a worker until this process stops. Start a new one each time the worker loses the database or fails."""
        while not self._stopping.is_set():
            try:
                await self._work()
            except _DATABASE_FAILURES as error:
                log.warning("the worker lost its connection to the database and starts again: %s", describe(error))
            except Exception:
                log.exception("the worker failed and starts again")
            if not self._stopping.is_set():
                await self._pause(self._timings.reconnect)

    async def _work(self) -> None:
        connector = procrastinate.PsycopgConnector(
            conninfo=self._database.conninfo,
            connection_class=PostgresConnection,
            kwargs=self._database.connection_options,
            min_size=1,
            max_size=JOB_CONNECTIONS,
            timeout=10,
            configure=_autocommit,
        )
        app = procrastinate.App(connector=connector)
        turns = asyncio.Semaphore(self._max_concurrent_turns)
        app.job_manager = jobs = TurnJobs(connector, turns, self._stopping)
        app.task(name=TASK, queue=QUEUE, pass_context=True, retry=_DrainRetry(self._timings))(self._drain_all)
        async with app.open_async():
            worker = Worker(
                app,
                queues=[QUEUE],
                concurrency=self._max_concurrent_turns + MAX_DELIVERIES,
                fetch_job_polling_interval=self._timings.job_poll,
                shutdown_graceful_timeout=self._timings.shutdown_grace,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=self._takeover_after / 3,
                stalled_worker_timeout=self._takeover_after,
            )
            if self._stopping.is_set():  # set while the connections were being opened
                return
            self._worker, self._turn_jobs, self._running_jobs, self._orphans = worker, jobs, set(), set()
            try:
                await worker.run()  # type: ignore[no-untyped-call]
            finally:
                self._worker = None

    async def _drain_all(self, context: procrastinate.JobContext, conversation_id: int) -> None:
        assert self._drain is not None
        assert self._turn_jobs is not None
        assert context.job.id is not None
        self._running_jobs.add(context.job.id)
        slot, more = self._turn_jobs.slots.pop(context.job.id), True
        try:
            while more and not self._stopping.is_set():
                await slot.take()
                with exits_contained("the drain"):
                    more = await self._drain(conversation_id, slot)
        except DatabaseUnavailableError as error:
            log.warning("conversation %s waits for the database: %s", conversation_id, describe(error))
            raise
        except ConversationBusyError:  # retry the job: it may be the only one of the conversation
            raise
        except Exception:
            log.exception("the drain of conversation %s failed and will be retried", conversation_id)
            raise
        finally:
            slot.free()
            self._running_jobs.discard(context.job.id)
        if more:
            raise _WorkerStoppingError

    async def _sweep(self) -> None:
        """Periodically take over the jobs of dead workers, and divide new jobs among the live workers."""
        while not self._stopping.is_set():
            await self._pause(self._timings.sweep_interval or self._takeover_after / SWEEPS_PER_TAKEOVER)
            worker, jobs = self._worker, self._turn_jobs
            if self._stopping.is_set() or worker is None or jobs is None or worker.worker_id is None:
                continue
            try:
                async with self._database.write() as connection:
                    jobs.divide(worker.worker_id, await self._live_workers(connection))
                    if await connection.scalar(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))):
                        await self._take_over(jobs)
                await self._retry_orphans(jobs, worker.worker_id)
            except _DATABASE_FAILURES as error:
                log.warning("the search for dead workers failed and will be repeated: %s", describe(error))
            except Exception:
                log.exception("the search for dead workers failed and will be repeated")

    async def _take_over(self, jobs: JobManager) -> None:
        stalled = await jobs.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=self._takeover_after)
        for job in stalled:
            log.warning("conversation %s was taken over from a dead worker", job.lock)
            await jobs.retry_job(job, retry_at=AT_ONCE)

    async def _retry_orphans(self, jobs: JobManager, worker_id: int) -> None:
        """Retry jobs that the database assigns to this worker, but that it no longer runs.

        The end of these jobs could not be written.
        """
        doing = await jobs.list_jobs_async(queue=QUEUE, status=JobStatus.DOING.value, worker_id=worker_id)
        missing = {job.id for job in doing if job.id is not None} - self._running_jobs
        for job in doing:
            if job.id in missing & self._orphans:  # missing in two sweeps, so it is not just starting or ending
                await jobs.retry_job(job, retry_at=AT_ONCE)
        self._orphans = missing

    async def _live_workers(self, connection: AsyncConnection) -> Sequence[int]:
        found = await connection.execute(_LIVE_WORKERS, {"seconds": self._takeover_after})
        return found.scalars().all()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


async def _autocommit(connection: psycopg.AsyncConnection[Any]) -> None:
    """Make procrastinate's statements, each a separate transaction, take one round trip instead of three."""
    await connection.set_autocommit(True)


class _WorkerStoppingError(UnderstudyError):
    """This worker stops before the conversation is drained, so another worker has to continue."""


class _DrainRetry(procrastinate.BaseRetryStrategy):
    """Retries a failed job: at once if this worker stops, otherwise after a pause."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        if isinstance(exception, (_WorkerStoppingError, CancelledError, JobAborted)):
            return procrastinate.RetryDecision(retry_at=AT_ONCE)
        is_busy = isinstance(exception, ConversationBusyError)
        delay = self._timings.busy_retry if is_busy else self._timings.drain_retry
        return procrastinate.RetryDecision(retry_in={"seconds": int(delay)})
