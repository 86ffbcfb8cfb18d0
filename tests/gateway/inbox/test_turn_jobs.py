"""The jobs of conversations on PostgreSQL, and how workers find them."""

import asyncio
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from peers.postgres import PostgresServer
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from sqlalchemy.ext.asyncio import AsyncConnection
from support.gate import Gate
from support.stage import Stage, stage, stage_timings

from gateway.inbox.distributed import DistributedDispatcher

COUNT_LISTENING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN \"procrastinate%'"
)
COUNT_DONE = "SELECT count(*) FROM inbox WHERE status = 'done'"
COUNT_JOBS = "SELECT count(*) FROM procrastinate_jobs"


class Looks:
    """Record what the workers of this process found each time that they looked for a job."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[Job | None] = []
        fetch = JobManager.fetch_job

        async def fetch_job(jobs: JobManager, queues: Iterable[str] | None, worker_id: int) -> Job | None:
            self.found.append(await fetch(jobs, queues, worker_id))
            return self.found[-1]

        monkeypatch.setattr(JobManager, "fetch_job", fetch_job)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


#: Workers look for jobs only when they are notified.
UNPOLLED = stage_timings(job_poll=3600)


def dispatcher_of(scene: Stage) -> DistributedDispatcher:
    assert scene.worker is not None
    dispatcher = scene.worker.parts.backend.dispatcher
    assert isinstance(dispatcher, DistributedDispatcher)
    return dispatcher


async def test_a_conversation_has_one_waiting_job_however_many_messages_wait(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    gate, people = Gate(), [f"person-{number}" for number in range(3)]
    scene = stage(tmp_path, model=gate.model, database=postgres.make())
    assert scene.worker is not None

    async def write(count: int) -> None:
        for _ in range(count):  # one transaction each
            await asyncio.gather(*(scene.write(person, "hello") for person in people))

    async with scene.gateway.lifespan():
        await write(8)
        assert scene.rows("SELECT status, count(*) FROM procrastinate_jobs GROUP BY status") == [("todo", 3)]
        async with scene.worker.worker():
            await gate.holds(3)
            await write(8)
            assert scene.rows("SELECT status, count(*) FROM procrastinate_jobs GROUP BY status ORDER BY status") == [
                ("todo", 3),
                ("doing", 3),
            ]
            gate.opened.set()
            await scene.wait_until_rows(COUNT_DONE, 48, 60)
            await scene.wait_until_rows(COUNT_JOBS, 0)


async def test_the_jobs_of_a_conversation_are_found_by_an_index(tmp_path: Path, postgres: PostgresServer) -> None:
    scene = stage(tmp_path, database=postgres.make())
    await scene.change(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock) "
        "SELECT 'turns', 'drain', number::text FROM generate_series(1, 20000) AS number"
    )
    await scene.change("ANALYZE procrastinate_jobs")
    plan = scene.rows(
        "EXPLAIN SELECT id FROM procrastinate_jobs "
        "WHERE lock = ANY('{1,2,3}'::text[]) AND status IN ('todo', 'doing') FOR KEY SHARE"
    )
    assert any("understudy_jobs_by_lock" in line for (line,) in plan)


async def test_a_message_that_relies_on_a_waiting_job_is_answered_if_a_worker_looks_before_its_transaction_ends(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, looks: Looks
) -> None:
    """Have a worker look for jobs meanwhile. The job must not run and end before the message can be read."""
    scene = stage(tmp_path, database=postgres.make(), timings=UNPOLLED)
    assert scene.worker is not None
    dispatcher, deferred, commit = scene.gateway.parts.backend.dispatcher, asyncio.Event(), asyncio.Event()
    defer = dispatcher.defer

    async def defer_and_wait(connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        await defer(connection, conversation_ids)
        deferred.set()
        await commit.wait()

    async with scene.gateway.lifespan():
        await scene.write("alice", "one")
        monkeypatch.setattr(dispatcher, "defer", defer_and_wait)
        second = asyncio.create_task(scene.write("alice", "two"))
        await deferred.wait()
        async with scene.worker.worker():
            await scene.wait_until_rows(COUNT_LISTENING, 1)
            # The worker found no job. It would be wrong if it had ended the job on which the transaction relies.
            await scene.wait_until(lambda: looks.found[:1] == [None] or scene.rows(COUNT_JOBS) == [(0,)])
            commit.set()
            await second
            assert [sent.text for sent in await scene.wait_for(2)] == ["heard: one", "heard: two"]


async def test_a_message_that_comes_between_the_end_of_a_drain_and_the_end_of_its_job_is_answered(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, looks: Looks
) -> None:
    """Notify the workers of the message's own job when it cannot be fetched yet."""
    scene = stage(tmp_path, database=postgres.make(), timings=UNPOLLED)
    ending, end = asyncio.Event(), asyncio.Event()
    finish = JobManager.finish_job

    async def finish_job(jobs: JobManager, *arguments: Any, **options: Any) -> None:
        ending.set()
        await end.wait()
        await finish(jobs, *arguments, **options)

    monkeypatch.setattr(JobManager, "finish_job", finish_job)
    async with scene.open():
        await scene.wait_until_rows(COUNT_LISTENING, 1)
        await scene.write("alice", "one")
        await ending.wait()
        looks.found.clear()
        await scene.write("alice", "two")
        await scene.wait_until(lambda: None in looks.found)
        end.set()
        assert [sent.text for sent in await scene.wait_for(2)] == ["heard: one", "heard: two"]


async def test_a_notification_that_comes_while_a_worker_looks_is_not_forgotten(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path, database=postgres.make(), timings=UNPOLLED)
    fetch, came = JobManager.fetch_job, list[str]()

    async def fetch_job(jobs: Any, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        job = await fetch(jobs, queues, worker_id)
        if job is None and came == ["one"]:
            came.append("two")
            await scene.write("bob", "two")
            await scene.wait_until(lambda: jobs._notified)
        return job

    monkeypatch.setattr(JobManager, "fetch_job", fetch_job)
    async with scene.open():
        await scene.wait_until_rows(COUNT_LISTENING, 1)
        came.append("one")
        await scene.write("alice", "one")
        assert {sent.text for sent in await scene.wait_for(2)} == {"heard: one", "heard: two"}


async def test_no_wake_up_is_lost_while_messages_and_drains_race(tmp_path: Path, postgres: PostgresServer) -> None:
    """Write messages in a few conversations, each when the drain of the previous message ends."""
    url, chance = postgres.make(), random.Random(1)
    scenes = [stage(tmp_path, database=url, timings=UNPOLLED) for _ in range(2)]
    people, each = ["alice", "bob", "carol"], 40

    async def write(person: str) -> None:
        for number in range(each):
            await scenes[number % 2].write(person, str(number), id=f"{person}-{number}")
            await asyncio.sleep(chance.uniform(0, 0.06))

    async with AsyncExitStack() as opened:
        for scene in scenes:
            await opened.enter_async_context(scene.open())
        await scenes[0].wait_until_rows(COUNT_LISTENING, 2)
        await asyncio.gather(*map(write, people))
        await scenes[0].wait_until_rows(COUNT_DONE, each * len(people), 120)
        await scenes[0].wait_until_rows(COUNT_JOBS, 0)
    said = scenes[0].rows(
        "SELECT conversations.key, CAST(CAST(body AS json) ->> 'text' AS text) FROM outbox "
        "JOIN conversations ON conversations.id = conversation_id ORDER BY outbox.id"
    )
    for person in people:
        assert [text for key, text in said if key == f"dm-{person}"] == [f"heard: {number}" for number in range(each)]


async def test_only_one_of_many_workers_looks_for_a_new_job(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, looks: Looks
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TAKEOVER_SECONDS", "2")
    url, count = postgres.make(), 20
    scenes = [stage(tmp_path, database=url, timings=UNPOLLED) for _ in range(4)]

    def divided() -> bool:
        jobs = [dispatcher_of(scene)._turn_jobs for scene in scenes]
        return all(each is not None and len(each._workers) == len(scenes) for each in jobs)

    async with AsyncExitStack() as opened:
        for scene in scenes:
            await opened.enter_async_context(scene.open())
        await scenes[0].wait_until_rows(COUNT_LISTENING, len(scenes))
        await scenes[0].wait_until(divided)
        await asyncio.sleep(0)
        looks.found.clear()
        for number in range(count):
            await scenes[0].write(f"person-{number}", "hello")
            await scenes[0].wait_until_rows(COUNT_DONE, number + 1)
        await scenes[0].wait_until_rows(COUNT_JOBS, 0)
    # The worker that finds the job looks once more.
    assert len(looks.found) <= 2.4 * count
    assert len([job for job in looks.found if job is not None]) == count
    assert sum(bool(scene.sent) for scene in scenes) > 1


async def test_a_job_is_found_if_the_worker_whose_turn_it_is_does_not_look(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TAKEOVER_SECONDS", "600")
    scene = stage(tmp_path, database=postgres.make(), timings=stage_timings(sweep_interval=0.1))
    async with scene.open():
        await scene.change("INSERT INTO procrastinate_workers DEFAULT VALUES")  # a worker that does nothing
        dispatcher = dispatcher_of(scene)
        await scene.wait_until(lambda: dispatcher._turn_jobs is not None and len(dispatcher._turn_jobs._workers) == 2)
        for number in range(4):
            assert await scene.ask("alice", str(number)) == f"heard: {number}"
