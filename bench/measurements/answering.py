"""Measure a message from its webhook to the call of the platform's API, with a model that answers at once."""

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
ONE_BY_ONE = 40  # messages, each sent after the answer to the one before


def measure_answering() -> list[Row]:
    """Measure the rate of answers under load, and the delay of one answer on an idle gateway."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    stub = PlatformStub()
    await stub.start()
    rates: dict[str, float] = {}
    delays: dict[str, float] = {}
    with served(stub.url) as url:
        rates["SQLite, one process"], delays["SQLite, one process"] = await _rate_and_delay(stub, url)
    for workers in (1, 2):
        with postgres() as database, served(stub.url, database, workers) as url:
            name = f"PostgreSQL, one web process, {workers} worker{'s' if workers > 1 else ''}"
            rates[name], delays[name] = await _rate_and_delay(stub, url)
    await stub.stop()
    alone = await _agent_alone()
    base = next(iter(rates))
    rows = [
        Row(f"answered messages: {name}", rate, "messages/s", base, rate / rates[base]) for name, rate in rates.items()
    ]
    for name, delay in delays.items():
        overhead = delay - alone
        rows += [
            Row(f"from webhook to platform call, idle: {name}", delay, "ms", "the agent alone", delay / alone),
            Row(f"the gateway's part of that time: {name}", overhead, "ms", "15 ms", overhead / 15),
        ]
    return rows


async def _rate_and_delay(stub: PlatformStub, url: str) -> tuple[float, float]:
    await _idle_delay(stub, url, 10)  # to warm up
    delay = await _idle_delay(stub, url, ONE_BY_ONE)
    stub.heard.clear()
    requests = [telegram_request(f"m{number}", number % CONVERSATIONS + 1) for number in range(MESSAGES)]
    began = time.perf_counter()
    await load(url, requests, SENDERS)
    await stub.wait_for(MESSAGES)
    return MESSAGES / (max(stub.heard.values()) - began), delay


async def _idle_delay(stub: PlatformStub, url: str, count: int) -> float:
    """Return the median time, in ms, from a webhook to the call of the platform on an idle gateway."""
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
    """Return the median time, in ms, of a run of pydantic-ai without the gateway, with the same history."""
    agent, history = PydanticAgent(bot.agent.model), list[ModelMessage]()
    delays = []
    for number in range(ONE_BY_ONE + 10):
        began = time.perf_counter()
        result = await agent.run(f"alone {number}", message_history=history)
        delays.append((time.perf_counter() - began) * 1000)
        history += result.new_messages()
        await asyncio.sleep(0.05)
    return statistics.median(delays[10:])
