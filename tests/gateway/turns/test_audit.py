"""The audit: one record for each tool call, with who acted as whom."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from peers.aimock import Aimock
from support.agents.engines import ENGINES, native, script
from support.stage import FakeProvider, Stage, stage, stage_timings

from gateway import Agent, SettingError, TurnContext
from gateway.turns.audit import AuditRecord
from toolkits import ToolError, Toolkit, tool


class Office(Toolkit):
    _clone_reset_attrs = ("credential",)
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth
        self.credential: str | None = None

    @tool
    async def read_mail(self, context: TurnContext, folder: str = "inbox") -> str:
        """Read mail, with the credential that an earlier call has left."""
        if self.credential is None:
            self.credential = await context.credentials("fake", {"read"})
        return f"mail of {folder}"

    @tool
    def add(self) -> str:
        """Add, as nobody."""
        return "3"

    @tool
    def refuse(self) -> str:
        """Cannot."""
        raise ToolError("no")

    @tool
    def crash(self) -> str:
        """Break."""
        raise ValueError("broken")

    @tool
    async def wait(self) -> str:
        """Never ends."""
        await asyncio.Event().wait()
        return ""


async def records(scene: Stage) -> list[AuditRecord]:
    return list(await scene.gateway.parts.audit.find(since=None, limit=1000))


async def connected(scene: Stage) -> None:
    await scene.write("alice", "call read_mail")
    await scene.connect((await scene.wait_for(1))[0].link, "alice")
    await scene.wait_for(2)


async def test_every_call_is_recorded_with_who_acted_as_whom(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Office(FakeProvider())])
    async with scene.open():
        await connected(scene)
        await scene.ask("alice", 'call read_mail {"folder":"spam"} add', "thread")
        first, second, *rest = await records(scene)
    assert (first.tool, first.outcome, first.account) == ("read_mail", "sign_in", None)
    assert (second.tool, second.outcome, second.account) == ("read_mail", "ok", "alice")
    assert (second.channel, second.tenant, second.user_id, second.conversation) == ("stage", "T1", "alice", "dm-alice")
    assert first.reference == second.reference  # the same message was played twice
    assert {(record.tool, record.account, record.conversation) for record in rest} == {
        ("read_mail", "alice", "thread"),
        ("add", None, "thread"),
    }
    assert {record.reference for record in rest}.isdisjoint({first.reference})
    assert {(record.arguments, record.result) for record in rest} == {(None, None)}


async def test_the_account_is_recorded_even_if_the_toolkit_already_has_its_credential(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Office(FakeProvider())], model=_twice)
    async with scene.open():
        await connected(scene)
        found = [record for record in await records(scene) if record.outcome == "ok"]
    assert [record.account for record in found] == ["alice", "alice"]


async def _twice(messages: list[Any], info: Any) -> Any:
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

    if len(messages) < 5:
        return ModelResponse([ToolCallPart("read_mail", {})])
    return ModelResponse([TextPart("done")])


@pytest.mark.long
async def test_failures_and_calls_that_never_ended_are_recorded(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Office(FakeProvider())], timings=stage_timings(turn=1))
    async with scene.open():
        await scene.ask("alice", "call refuse")
        await scene.ask("alice", "call crash")
        await scene.ask("alice", "call wait")
        found = {record.tool: record for record in await records(scene)}
    assert {tool: record.outcome for tool, record in found.items()} == {
        "refuse": "error",
        "crash": "error",
        "wait": "cancelled",
    }
    assert found["wait"].duration_ms >= 200


async def test_arguments_and_results_are_recorded_if_the_operator_wants_them(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Office(FakeProvider())], audit_content=True)
    async with scene.open():
        await connected(scene)
        await scene.ask("alice", 'call read_mail {"folder":"spam"}')
        last = (await records(scene))[-1]
    assert last.arguments is not None
    assert json.loads(last.arguments) == {"folder": "spam"}
    assert last.result == '"mail of spam"'


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_tools_of_a_native_agent_are_recorded(engine: str, aimock: Aimock, tmp_path: Path) -> None:
    script(aimock)
    agent = Agent(native(engine, aimock), auth=FakeProvider(), scopes={"read"})
    scene = stage(tmp_path, agent=agent)
    async with scene.open():
        await scene.write("alice", "use open_sync")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        await scene.wait_for(2)
        found = await records(scene)
    assert [(record.tool, record.outcome, record.account) for record in found] == [
        ("open_sync", "sign_in", None),
        ("open_sync", "ok", "alice"),
    ]


async def test_the_record_is_only_ever_added_to(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Office(FakeProvider())])
    async with scene.open():
        await scene.ask("alice", "call add")
    with sqlite3.connect(tmp_path / "stage.db") as connection:
        for change in ("UPDATE audit SET user_id = 'bob'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
                connection.execute(change)


def test_a_value_that_is_neither_true_nor_false_is_refused_with_the_name_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNDERSTUDY_AUDIT_CONTENT", "perhaps")
    with pytest.raises(SettingError, match="UNDERSTUDY_AUDIT_CONTENT"):
        stage(tmp_path)
