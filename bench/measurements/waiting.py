"""Measure the memory of a turn that waits for the model, compared with a run of pydantic-ai that waits."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.function import FunctionModel

from bench.harness.agents import agent
from bench.harness.channel import BenchChannel
from bench.harness.measure import Row
from bench.measurements.turns import toolset
from gateway import Gateway

TURNS = 1000


def measure_waiting() -> list[Row]:
    """Measure both, each in its own process."""
    bare, gateway = _run("bare"), _run("gateway")
    more = gateway - bare
    return [
        Row(f"a bare run of pydantic-ai that waits for the model, one of {TURNS}", bare, "KiB", "itself", 1),
        Row(f"a turn that waits for the model, one of {TURNS}", gateway, "KiB", "a bare run", gateway / bare),
        Row("the additional memory of such a turn", more, "KiB", "16 KiB", more / 16),
    ]


def _run(name: str) -> float:
    ended = subprocess.run(
        [sys.executable, "-m", "bench.measurements.waiting", name], capture_output=True, text=True, check=True
    )
    return float(json.loads(ended.stdout))


class Waiting:
    """A model that counts its calls and never answers."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, *_: Any) -> Any:
        self.count += 1
        await asyncio.Event().wait()

    async def wait_for(self, count: int) -> None:
        while self.count < count:  # noqa: ASYNC110 - counted elsewhere
            await asyncio.sleep(0.05)


async def _bare() -> float:
    model = Waiting()
    shared: PydanticAgent[Any, str] = PydanticAgent(
        FunctionModel(model), toolsets=[toolset(prefix) for prefix in ("mail", "calendar", "drive")]
    )
    tasks = [asyncio.create_task(shared.run("warm up"))]
    await model.wait_for(1)
    before = _memory()
    tasks += [asyncio.create_task(shared.run(f"message {number}")) for number in range(TURNS)]
    await model.wait_for(TURNS + 1)
    return (_memory() - before) / TURNS


async def _gateway() -> None:
    model = Waiting()
    template = agent(FunctionModel(model))
    channel = BenchChannel()
    with tempfile.TemporaryDirectory() as directory:
        gateway = Gateway(template, [channel], f"sqlite:///{directory}/bench.db", max_concurrent_turns=TURNS + 1)
        async with gateway.lifespan():
            await gateway.host.accept(channel.event(0))
            await model.wait_for(1)
            before = _memory()
            for number in range(1, TURNS + 1):
                await gateway.host.accept(channel.event(number))
            await model.wait_for(TURNS + 1)
            await asyncio.sleep(1)
            used = (_memory() - before) / TURNS
            print(json.dumps(used), flush=True)
            os._exit(0)  # the turns never end


def _memory() -> float:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1024


if __name__ == "__main__":
    tracemalloc.start()
    if sys.argv[1] == "bare":
        print(json.dumps(asyncio.run(asyncio.wait_for(_bare(), 60))))
    else:
        asyncio.run(_gateway())
