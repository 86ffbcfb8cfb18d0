"""Measure the processor time of workers, when idle and for each message."""

import asyncio
import statistics
from contextlib import ExitStack
from typing import NamedTuple

from bench.harness.events import telegram_request
from bench.harness.load import load
from bench.harness.measure import Row, processor_seconds
from bench.harness.platform_stub import PlatformStub
from bench.harness.servers import another_database, postgres, served, working

WORKERS = (1, 2, 4)
IDLE = 20.0  # seconds
ROUNDS = 10
MESSAGES = 120  # in a round
CONVERSATIONS = 100
SENDERS = 8


class Cluster(NamedTuple):
    """A gateway, and workers on the same database.

    Attributes:
        url: the URL of the gateway.
        workers: the process ids of the workers.
    """

    url: str
    workers: list[int]


def measure_scaling() -> list[Row]:
    """Measure the processor time of idle workers, and of one, two and four workers for each message."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    stub = PlatformStub()
    await stub.start()
    with ExitStack() as running:
        # In a thread: a gateway calls the platforms' APIs when it starts, and their stand-in runs in this event loop.
        clusters = await asyncio.to_thread(_start, running, stub.url)
        for cluster in clusters.values():
            await _answer(cluster, stub)  # to warm up
        idle = await _idle(list(clusters.values()))
        times: dict[int, list[float]] = {count: [] for count in WORKERS}
        for _ in range(ROUNDS):  # in turn, so that changes of the machine's speed affect all of them alike
            for count, cluster in clusters.items():
                times[count].append(await _answer(cluster, stub))
    await stub.stop()
    rows = [Row("processor time of an idle worker", idle * 100, "% of a core", "1 %", idle * 100)]
    for count, found in times.items():
        ratios = [mine / one for mine, one in zip(found, times[1], strict=True)]
        what = f"processor time of workers for each message: {count} worker{'s' if count > 1 else ''}"
        rows.append(Row(what, statistics.median(found) * 1000, "ms", "1 worker", statistics.median(ratios)))
    return rows


def _start(running: ExitStack, api: str) -> dict[int, Cluster]:
    server = running.enter_context(postgres())
    clusters = {}
    for count in WORKERS:
        database = another_database(server, f"workers_{count}")
        url = running.enter_context(served(api, database))
        clusters[count] = Cluster(url, running.enter_context(working(api, database, count, url)))
    return clusters


async def _idle(clusters: list[Cluster]) -> float:
    """Return the share of a core that an idle worker uses."""
    pids = [pid for cluster in clusters for pid in cluster.workers]
    before = processor_seconds(pids)
    await asyncio.sleep(IDLE)
    return (processor_seconds(pids) - before) / IDLE / len(pids)


async def _answer(cluster: Cluster, stub: PlatformStub) -> float:
    """Answer the messages of a round, and return the workers' processor time for each message, in seconds."""
    stub.heard.clear()
    requests = [telegram_request(f"m{number}", number % CONVERSATIONS + 1) for number in range(MESSAGES)]
    before = processor_seconds(cluster.workers)
    await load(cluster.url, requests, SENDERS)
    await stub.wait_for(MESSAGES)
    return (processor_seconds(cluster.workers) - before) / MESSAGES
