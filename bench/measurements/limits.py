"""Measure how much a chat that the platform always rate-limits delays the answers in other chats."""

import asyncio
import itertools
import statistics
import time
from contextlib import ExitStack

from bench.harness.events import telegram_request
from bench.harness.load import load
from bench.harness.measure import Row
from bench.harness.platform_stub import PlatformStub
from bench.harness.servers import served

GROUP = -1001
IN_GROUP = 20  # messages in the limited group, whose answers wait
ROUNDS = 20
MESSAGES = 10  # in a round, each in another chat, and sent after the answer to the one before

_chats = itertools.count(1)


def measure_limits() -> list[Row]:
    """Measure the delay of an answer on a gateway with such a chat, and on another one without it."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    stub = PlatformStub()
    await stub.start()
    stub.limited.add(str(GROUP))
    with ExitStack() as running:
        # In a thread: a gateway calls Telegram when it starts, and its stand-in runs in this event loop.
        without, limited = await asyncio.to_thread(lambda: [_start(running, stub.url) for _ in range(2)])
        await load(limited, [telegram_request(f"group {number}", GROUP) for number in range(IN_GROUP)], 1)
        for url in (without, limited):
            await _delay(stub, url)  # to warm up
        delays: dict[str, list[float]] = {without: [], limited: []}
        for _ in range(ROUNDS):  # in turn, so that changes of the machine's speed affect both alike
            for url, found in delays.items():
                found.append(await _delay(stub, url))
    await stub.stop()
    assert stub.refused > ROUNDS / 2, "the group was not limited"
    ratio = statistics.median(slow / quick for slow, quick in zip(delays[limited], delays[without], strict=True))
    what = "from webhook to platform call, idle, while one group is always rate-limited"
    return [Row(what, statistics.median(delays[limited]), "ms", "no such group", ratio)]


def _start(running: ExitStack, api: str) -> str:
    return running.enter_context(served(api, BENCH_PACED="1"))


async def _delay(stub: PlatformStub, url: str) -> float:
    """Return the median time, in ms, from a webhook to the call of the platform."""
    delays = []
    for _ in range(MESSAGES):
        chat = next(_chats)
        sent = time.perf_counter()
        stub.heard.clear()
        await load(url, [telegram_request(f"alone {chat}", chat)], 1)
        await stub.wait_for(1)
        delays.append((stub.heard[f"alone {chat}"] - sent) * 1000)
        await asyncio.sleep(0.05)
    return statistics.median(delays)
