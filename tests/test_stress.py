"""Many people use many kinds of tools at the same time, some of which fail, and nobody gets the data of another person.

`make test` plays two hundred turns, `make stress` ten thousand.
"""

import asyncio
import gc
import json
import logging
import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from sqlalchemy import text
from support.reachable import reachable
from support.stage import FakeProvider, Stage, stage, stage_timings

from gateway import Agent, TurnContext
from gateway.runs.events import ToolOutcome
from gateway.turns.audit import AuditRecord
from toolkits import ToolError, Toolkit, needs_sign_in, tool

TURNS = int(os.environ.get("STRESS_TURNS", "60"))
PEOPLE = [f"person{number:02}" for number in range(50)]
READ = frozenset({"read"})
SEED = 20261121


class Flaky(FakeProvider):
    """A provider that has revoked some grants when a token has to be refreshed."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    async def refresh(self, token: Any) -> Any:
        self.revoked = self._chance.random() < 0.3
        return await super().refresh(token)


class Desk(Toolkit):
    """A toolkit that keeps a person's data in many ways, and checks at each call that it has nobody else's."""

    _clone_reset_attrs = ("credential", "cache", "lock", "client")
    _clone_shared_attrs = ("auth", "chance")
    private = True
    scopes = READ

    def __init__(self, auth: FakeProvider, chance: random.Random) -> None:
        self.auth = auth
        self.chance = chance
        self.credential: str | None = None
        self.cache: dict[str, str] = {}
        self.client: Callable[[], str] | None = None
        self.lock: asyncio.Lock | None = None
        self.drawers: dict[str, list[str]] = {"top": []}

    async def _mine(self, context: TurnContext, *, renew: bool = False) -> str:
        person = context.identity.user_id
        if self.lock is None:
            self.lock = asyncio.Lock()
        async with self.lock:
            if self.credential is None or renew:
                credential = await context.credentials("fake", READ, renew=renew)
                self.credential = credential
                self.client = lambda: credential
        await asyncio.sleep(self.chance.random() / 200)
        self.cache[person] = self.credential
        self.drawers["top"].append(self.credential)
        return self._look(context)

    def _look(self, context: TurnContext) -> str:
        person = context.identity.user_id
        held = [self.credential, self.client and self.client(), *self.cache.values(), *self.drawers["top"]]
        found = {value.rstrip("+").removeprefix("SECRET-") for value in held if value is not None}
        assert found <= {person}, f"LEAK: {person} found {found}"
        assert set(self.cache) <= {person}, f"LEAK: {person} found {set(self.cache)}"
        return f"<{person}:{self.credential}>"

    @tool
    async def plain(self, context: TurnContext) -> str:
        """Ask for the credential."""
        return await self._mine(context)

    @tool
    async def renewed(self, context: TurnContext) -> str:
        """Ask for a credential, sometimes for a new one."""
        return await self._mine(context, renew=self.chance.random() < 0.2)

    @tool
    def threaded(self, context: TurnContext) -> str:
        """Ask in a thread."""
        self.credential = context.credentials_sync("fake", READ)
        return self._look(context)

    @tool
    async def pooled(self, context: TurnContext) -> str:
        """Check the data from the threads of a pool."""
        await self._mine(context)

        def look_in_threads() -> set[str]:
            with ThreadPoolExecutor(2) as threads:
                return {future.result() for future in [threads.submit(self._look, context) for _ in range(3)]}

        (found,) = await asyncio.to_thread(look_in_threads)
        return found

    @tool
    async def gathered(self, context: TurnContext) -> str:
        """Ask in tasks."""
        return (await asyncio.gather(*(asyncio.create_task(self._mine(context)) for _ in range(3))))[-1]

    @tool
    async def streamed(self, context: TurnContext) -> str:
        """Ask in a generator that stays open."""

        async def pages() -> AsyncIterator[str]:
            while True:
                yield await self._mine(context)

        self.pages = pages()
        return await anext(self.pages)

    @tool
    @needs_sign_in("fake", READ)
    async def scoped(self, context: TurnContext) -> str:
        """Ask inside an asynchronous context manager."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[str]:
            yield await self._mine(context)

        async with opened() as found:
            return found

    @tool
    async def refuse(self, context: TurnContext) -> str:
        """Fail with a message for the model, after asking for the credential."""
        raise ToolError(f"no for {await self._mine(context)}")

    @tool
    async def crash(self, context: TurnContext) -> str:
        """Fail with an exception, after asking for the credential."""
        raise ValueError(f"a failure that is part of the test: {len(await self._mine(context))}")

    @tool
    async def hang(self, context: TurnContext) -> str:
        """Run without an end, after asking for the credential."""
        await self._mine(context)
        await asyncio.Event().wait()
        return ""


FAILING = {"crash", "hang"}
TOOLS = ["plain", "renewed", "threaded", "pooled", "gathered", "streamed", "scoped", "refuse", "ask_keeper", *FAILING]
WEIGHTS = [10, 4, 10, 4, 6, 6, 8, 3, 5, 2, 1]


async def obey(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call all tools that the message names at once, and then answer with everything that the conversation contains."""
    last = messages[-1]
    assert isinstance(last, ModelRequest)
    if any(isinstance(part, ToolReturnPart) for part in last.parts):
        told = re.findall(r"<[^<>]+>", str(messages))
        return ModelResponse([TextPart(" ".join(sorted(set(told))))])
    words = str(last.parts[-1].content).split()  # type: ignore[union-attr]
    names = [tool.name for tool in info.function_tools if tool.name in words]
    calls = [ToolCallPart(name, {"task": "plain threaded"} if name == "ask_keeper" else {}) for name in names]
    return ModelResponse(calls or [TextPart("nothing")])


async def sign_in(scene: Stage, done: int) -> int:
    """Open the sign-in links in all messages after the first `done` ones, each as its recipient.

    Returns:
        The number of messages so far.
    """
    until = len(scene.sent)
    for sent in scene.sent[done:until]:
        if sent.sign_in is not None:
            await scene.connect(sent.link, sent.sign_in.identity.user_id)
    return until


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_no_data_of_one_person_reaches_another_in_many_turns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    chance = random.Random(SEED)
    provider = Flaky(chance)
    desk, inner = Desk(provider, chance), Desk(provider, chance)
    keeper = Agent(model=FunctionModel(obey), toolkits=[inner], name="keeper")
    scene = stage(tmp_path, [desk], model=obey, members=[keeper], timings=stage_timings(turn=3))
    before = snapshot(scene.gateway.agent)
    done, written = 0, 0
    async with scene.open():
        while written < TURNS:
            for person in PEOPLE if written == 0 else chance.choices(PEOPLE, k=min(500, TURNS)):
                place = chance.choice([f"dm-{person}", "thread-1", "thread-2", f"group-{chance.randrange(20)}"])
                of_all = TOOLS[written : written + 1]  # the first messages ask for each tool once
                names = {*of_all, *chance.choices(TOOLS, WEIGHTS, k=chance.choice([1, 1, 2]))}
                await scene.write(person, " ".join(names), place, id=f"{person}-{written}")
                written += 1
            while await unplayed(scene):
                done = await sign_in(scene, done)
                await asyncio.sleep(0.05)
        records: list[AuditRecord] = list(await scene.gateway.parts.audit.find(since=None, limit=10 * TURNS))
        async with scene.gateway.parts.backend.database.read() as connection:
            rows = (await connection.execute(text(ANSWERS))).all()
    assert len({row.id for row in rows}) == written
    leaks = [row for row in rows if not set(re.findall(r"person\d\d", row.text)) <= {sender(row)}]
    assert leaks == []
    assert "LEAK" not in caplog.text
    assert "SECRET-" not in caplog.text
    assert {record.user_id for record in records if record.account} <= set(PEOPLE)
    assert [record for record in records if record.account not in (None, record.user_id)] == []
    outcomes = Counter(record.outcome for record in records)
    assert {"ok", "error", "sign_in", "cancelled"} <= set(outcomes) <= {*ToolOutcome}
    assert {record.tool for record in records} == set(TOOLS)
    assert snapshot(scene.gateway.agent) == before
    gc.collect()
    assert [found for found in reachable(scene.gateway.agent) if isinstance(found, str) and "SECRET-" in found] == []
    print(f"{written} turns of {len(PEOPLE)} people, {len(records)} tool calls: {dict(outcomes)}; leaks: {len(leaks)}")


ANSWERS = """
    SELECT inbox.id, inbox.payload, coalesce(group_concat(json_extract(outbox.body, '$.text')), '') AS text
    FROM inbox LEFT JOIN outbox ON outbox.inbox_id = inbox.id GROUP BY inbox.id
"""


def sender(row: Any) -> str:
    return str(json.loads(row.payload)["person"])


async def unplayed(scene: Stage) -> int:
    async with scene.gateway.parts.backend.database.read() as connection:
        waiting = "SELECT count(*) FROM inbox WHERE status IN ('waiting', 'running', 'parked')"
        unsent = "SELECT count(*) FROM outbox WHERE status IN ('waiting', 'sending')"
        counts = [(await connection.execute(text(query))).scalar_one() for query in (waiting, unsent)]
    return sum(counts)


def snapshot(agent: Agent) -> list[dict[str, str]]:
    return [
        {name: repr(value) for name, value in vars(owner).items()}
        for each in agent.team()
        for owner in (each, *each.toolkits)
    ]
