import asyncio
import statistics
import time

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage

from bench.harness import bot
from bench.harness.events import telegram_request
from bench.harness.load import load
from bench.harness.measure import Row
from bench.harness.platform_stub import PlatformStub
from bench.harness.servers import postgres, served

MESSAGES = 600
CONVERSATIONS = 100
SENDERS = 16
ALONE = 40  # messages, one after the other, of which each waits for the answer to the one before


def measure_answering() -> list[Row]:
    """From the webhook to the platform's API, with an instant model."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    stub = PlatformStub()
    await stub.start()
    rates: dict[str, float] = {}
    delays: dict[str, float] = {}
    with served(stub.url) as url:
        rates["SQLite, one process"], delays["SQLite, one process"] = await _both(stub, url)
    for workers in (1, 2):
        with postgres() as database, served(stub.url, database, workers) as url:
            name = f"PostgreSQL, one web process, {workers} worker{'s' if workers > 1 else ''}"
            rates[name], delays[name] = await _both(stub, url)
    await stub.stop()
    alone = await _agent_alone()
    base = next(iter(rates))
    rows = [Row(f"answered: {name}", rate, "messages/s", base, rate / rates[base]) for name, rate in rates.items()]
    for name, delay in delays.items():
        overhead = delay - alone
        rows += [
            Row(f"webhook to platform call, idle: {name}", delay, "ms", "the agent alone", delay / alone),
            Row(f"of that the gateway's: {name}", overhead, "ms", "15 ms", overhead / 15),
        ]
    return rows


async def _both(stub: PlatformStub, url: str) -> tuple[float, float]:
    await _alone(stub, url, 10)  # to warm up
    delay = await _alone(stub, url, ALONE)
    stub.heard.clear()
    requests = [telegram_request(f"m{number}", number % CONVERSATIONS + 1) for number in range(MESSAGES)]
    began = time.perf_counter()
    await load(url, requests, SENDERS)
    await stub.wait_for(MESSAGES)
    return MESSAGES / (max(stub.heard.values()) - began), delay


async def _alone(stub: PlatformStub, url: str, count: int) -> float:
    """Milliseconds from a webhook to the call of the platform, when nothing else is done."""
    delays = []
    for number in range(count):
        stub.heard.clear()
        sent = time.perf_counter()
        await load(url, [telegram_request(f"alone {number}", 1)], 1)
        await stub.wait_for(1)
        delays.append((stub.heard[f"alone {number}"] - sent) * 1000)
        await asyncio.sleep(0.05)
    return statistics.median(delays)


async def _agent_alone() -> float:
    """Milliseconds for a run of pydantic-ai alone with as much history, when nothing else is done."""
    agent, history = PydanticAgent(bot.agent.model), list[ModelMessage]()
    delays = []
    for number in range(ALONE + 10):
        began = time.perf_counter()
        result = await agent.run(f"alone {number}", message_history=history)
        delays.append((time.perf_counter() - began) * 1000)
        history += result.new_messages()
        await asyncio.sleep(0.05)
    return statistics.median(delays[10:])
