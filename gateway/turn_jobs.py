"""Which of several workers looks for a new job."""

from collections.abc import Iterable, Sequence

from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job, Notification
from procrastinate.manager import JobManager, NotificationCallback


class TurnJobs(JobManager):
    """The job manager of one of several workers, which divide the new jobs among themselves.

    PostgreSQL notifies every worker of every new job, and each would look for it, though only one can have it. Here the
    job's id chooses the worker that looks at once. If that one is full or has died, the others find the job when they
    poll.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self._worker_id: int | None = None
        self._workers: Sequence[int] = ()
        self._notified = False

    def divide(self, worker_id: int, workers: Sequence[int]) -> None:
        """Divide the new jobs from now on. Until the first call, this worker looks for each of them.

        Args:
            worker_id: this worker's id.
            workers: the ids of all workers that are alive, in an order that is the same in every worker.
        """
        self._worker_id, self._workers = worker_id, workers

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Fetch a job. Look again after a notification that came meanwhile, whose job the query may not have seen.

        procrastinate's worker forgets such a notification.
        """
        job, self._notified = None, True
        while job is None and self._notified:
            self._notified = False
            job = await super().fetch_job(queues, worker_id)
        return job

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def notify(*, channel: str, notification: Notification) -> None:
            if notification["type"] == "job_inserted" and not self._is_chosen(notification["job_id"]):
                return
            self._notified = True
            await on_notification(channel=channel, notification=notification)

        await super().listen_for_jobs(on_notification=notify, queues=queues)

    def _is_chosen(self, job_id: int) -> bool:
        return not self._workers or self._workers[job_id % len(self._workers)] == self._worker_id
