"""Measure how fast webhooks are acknowledged, compared with a route that only checks the signature."""

import asyncio
import statistics

from bench.harness.events import slack_requests
from bench.harness.load import LoadResult, load
from bench.harness.measure import Row
from bench.harness.platform_stub import PlatformStub
from bench.harness.servers import bare, served

ROUNDS = 5
SENDERS = {1: 100, 32: 1000, 256: 1500}  # number of connections: events in a round
BURST = 1000  # events at once
BURST_SENDERS = 100  # the most connections that Telegram opens: `max_connections` of setWebhook


def measure_accepting() -> list[Row]:
    """Measure webhooks over HTTP while as many turns as the gateway runs at once wait for the model."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    stub = PlatformStub()
    await stub.start()
    waits = {"BENCH_WAITS": "1"}
    with (
        bare() as route,
        served(stub.url, **waits, BENCH_TOGETHER="1") as single,
        served(stub.url, **waits) as grouped,
    ):
        contenders = {
            "a bare Starlette route that checks the signature": route,
            "the gateway without group commit": single,
            "the gateway with group commit": grouped,
        }
        rows = [row for senders, count in SENDERS.items() for row in await _compare(contenders, senders, count)]
        burst = [await load(grouped, slack_requests(BURST), BURST_SENDERS) for _ in range(ROUNDS)]
    await stub.stop()
    p99 = statistics.median(took.p99 for took in burst)
    what = f"a burst of {BURST} webhooks over {BURST_SENDERS} connections, 99th percentile"
    rows.append(Row(what, p99, "ms", "100 ms", p99 / 100))
    return rows


async def _compare(contenders: dict[str, str], senders: int, count: int) -> list[Row]:
    found: dict[str, list[LoadResult]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, url in contenders.items():
            found[name].append(await load(url, slack_requests(count), senders))
    base = next(iter(contenders))
    rows = []
    for name, took in found.items():
        ratios = [mine.rate / other.rate for mine, other in zip(took, found[base], strict=True)]
        median, p99 = (statistics.median(getattr(each, field) for each in took) for field in ("median", "p99"))
        connections = f"{senders} sender{'s' if senders > 1 else ''}"
        what = f"webhooks, {name}: {connections}, median {median:.1f} ms, 99th percentile {p99:.1f} ms"
        rate = statistics.median(each.rate for each in took)
        rows.append(Row(what, rate, "events/s", base, statistics.median(ratios)))
    return rows
