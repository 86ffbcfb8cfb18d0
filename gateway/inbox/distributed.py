"""Turns on many hosts: PostgreSQL and procrastinate (https://procrastinate.readthedocs.io)."""

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
from gateway.inbox.deferring import QUEUE, TASK, JobDeferrer
from gateway.inbox.dispatch import Drain
from gateway.inbox.inbox import ConversationBusyError
from gateway.inbox.turn_jobs import TurnJobs
from gateway.logs import describe
from gateway.storage.database import DatabaseUnavailableError
from gateway.storage.postgres import PostgresDatabase
from gateway.storage.postgres_connection import PostgresConnection
from gateway.timings import DEFAULT_TIMINGS, Timings
from oauth.errors import UnderstudyError

SWEEPS = 4  # for jobs of dead workers, in the time after which a worker is taken for dead
AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)  # by any host's clock
MOST_DELIVERIES = 512  # that a worker waits for besides the turns that it runs
SWEEP_LOCK = 0x756E6473  # of two workers that look for the dead at once, one does it

_FAILURES = (ProcrastinateException, psycopg.Error, SQLAlchemyError, OSError, TimeoutError)
_ALIVE = text(
    "SELECT id FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :seconds) ORDER BY id"
)
_IS_ALIVE = text(
    "SELECT 1 FROM procrastinate_workers WHERE id = :id AND last_heartbeat > now() - make_interval(secs => :seconds)"
)

log = logging.getLogger(__name__)


class DistributedDispatcher:
    """Runs turns in workers, on any number of hosts.

    What waits in a conversation has a job, deferred in the transaction that makes it wait. The job's lock is the
    conversation, so that one worker at a time has it. A job plays all that waits, so that a conversation has at most
    two jobs: one that runs, and one for what comes when the first has already found nothing more.

    Args:
        takeover_after: seconds without a sign of life after which a worker is taken for dead.
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
        self._jobs: set[int] = set()  # that run here
        self._orphans: set[int] = set()  # that the table gives to this worker, and do not run here

    @property
    def owner(self) -> int | None:
        return self._worker.worker_id if self._worker is not None else None

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        await self._deferrer.defer(connection, conversation_ids)

    def wake(self, conversation_ids: Iterable[int]) -> None:
        return  # the database tells the workers of new jobs

    async def is_alive(self, connection: AsyncConnection, owner: int | None) -> bool:
        found = await connection.execute(_IS_ALIVE, {"id": owner, "seconds": self._takeover_after})
        return found.first() is not None

    async def count_workers(self) -> int:
        async with self._database.read() as connection:
            return len(await self._live_workers(connection))

    async def start(self, drain: Drain) -> None:
        self._drain = drain
        self._stopping.clear()
        self._tasks = [
            asyncio.create_task(self._keep_working(), name="worker"),
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

    async def _keep_working(self) -> None:
        """Works until it is told to stop, also when the database goes away for a while."""
        while not self._stopping.is_set():
            try:
                await self._work()
            except _FAILURES as error:
                log.warning("the worker lost its database and begins anew: %s", describe(error))
            except Exception:
                log.exception("the worker failed and begins anew")
            if not self._stopping.is_set():
                await self._pause(self._timings.reconnect)

    async def _work(self) -> None:
        connector = procrastinate.PsycopgConnector(
            conninfo=self._database.conninfo,
            connection_class=PostgresConnection,
            kwargs=self._database.connection_options,
            min_size=1,
            max_size=4,
            timeout=10,
            configure=_autocommit,
        )
        app = procrastinate.App(connector=connector)
        turns = asyncio.Semaphore(self._max_concurrent_turns)
        app.job_manager = jobs = TurnJobs(connector, turns, self._stopping)
        app.task(name=TASK, queue=QUEUE, pass_context=True, retry=_Again(self._timings))(self._run)
        async with app.open_async():
            worker = Worker(
                app,
                queues=[QUEUE],
                concurrency=self._max_concurrent_turns + MOST_DELIVERIES,
                fetch_job_polling_interval=self._timings.job_poll,
                shutdown_graceful_timeout=self._timings.shutdown_grace,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=self._takeover_after / 3,
                stalled_worker_timeout=self._takeover_after,
            )
            if self._stopping.is_set():  # while the database was being reached
                return
            self._worker, self._turn_jobs, self._jobs, self._orphans = worker, jobs, set(), set()
            try:
                await worker.run()  # type: ignore[no-untyped-call]
            finally:
                self._worker = None

    async def _run(self, context: procrastinate.JobContext, conversation_id: int) -> None:
        assert self._drain is not None
        assert self._turn_jobs is not None
        assert context.job.id is not None
        self._jobs.add(context.job.id)
        slot, more = self._turn_jobs.slots.pop(context.job.id), True
        try:
            while more and not self._stopping.is_set():
                await slot.take()
                with exits_contained("the drain"):
                    more = await self._drain(conversation_id, slot)
        except DatabaseUnavailableError as error:
            log.warning("conversation %s waits for the database: %s", conversation_id, describe(error))
            raise
        except (
            ConversationBusyError
        ):  # this job is the conversation's only one, maybe: it is not over before the message is
            raise
        except Exception:
            log.exception("the drain of conversation %s failed and is tried again", conversation_id)
            raise
        finally:
            slot.free()
            self._jobs.discard(context.job.id)
        if more:
            raise _HandedOverError

    async def _sweep(self) -> None:
        """Give the jobs of dead workers to the living, and divide the new ones among these."""
        while not self._stopping.is_set():
            await self._pause(self._timings.sweep_interval or self._takeover_after / SWEEPS)
            worker, jobs = self._worker, self._turn_jobs
            if self._stopping.is_set() or worker is None or jobs is None or worker.worker_id is None:
                continue
            try:
                async with self._database.write() as connection:
                    jobs.divide(worker.worker_id, await self._live_workers(connection))
                    if await connection.scalar(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))):
                        await self._take_over(jobs)
                await self._take_back(jobs, worker.worker_id)
            except _FAILURES as error:
                log.warning("no look for dead workers was possible: %s", describe(error))
            except Exception:
                log.exception("the look for dead workers failed")

    async def _take_over(self, jobs: JobManager) -> None:
        stalled = await jobs.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=self._takeover_after)
        for job in stalled:
            log.warning("conversation %s is taken over from a worker that died", job.lock)
            await jobs.retry_job(job, retry_at=AT_ONCE)

    async def _take_back(self, jobs: JobManager, worker_id: int) -> None:
        """Frees jobs of this worker's own whose end could not be written."""
        doing = await jobs.list_jobs_async(queue=QUEUE, status=JobStatus.DOING.value, worker_id=worker_id)
        missing = {job.id for job in doing if job.id is not None} - self._jobs
        for job in doing:
            if job.id in missing & self._orphans:  # seen twice: it is not just beginning or ending
                await jobs.retry_job(job, retry_at=AT_ONCE)
        self._orphans = missing

    async def _live_workers(self, connection: AsyncConnection) -> Sequence[int]:
        found = await connection.execute(_ALIVE, {"seconds": self._takeover_after})
        return found.scalars().all()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


async def _autocommit(connection: psycopg.AsyncConnection[Any]) -> None:
    """Have procrastinate's statements, each of which is a transaction, take one round trip instead of three."""
    await connection.set_autocommit(True)


class _HandedOverError(UnderstudyError):
    """This worker stops: another one goes on."""


class _Again(procrastinate.BaseRetryStrategy):
    """A job that did not end is run again: at once where this worker stops, else after a pause."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        at_once = isinstance(exception, (_HandedOverError, CancelledError, JobAborted))
        if at_once:
            return procrastinate.RetryDecision(retry_at=AT_ONCE)
        is_busy = isinstance(exception, ConversationBusyError)
        delay = self._timings.busy_retry if is_busy else self._timings.drain_retry
        return procrastinate.RetryDecision(retry_in={"seconds": int(delay)})
