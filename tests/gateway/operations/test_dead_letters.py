"""Dead letters are listed, retried and dropped by the command, while a gateway runs."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from sqlalchemy.ext.asyncio import AsyncConnection
from support.gate import Gate
from support.stage import IMPATIENT, stage
from typer.testing import CliRunner

from gateway import Agent
from gateway.cli.main import app
from gateway.operations.dead_letters import DeadLetter, DeadLetters
from gateway.runs.journal import RAISED
from oauth import SettingError
from toolkits import Toolkit, tool

Command = Callable[..., str]


@pytest.fixture
def understudy(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


async def test_a_dead_letter_is_listed_shown_and_answered_when_it_is_retried(
    tmp_path: Path, database_url: str, understudy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TURN_TRIES", "1")
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    broken = True

    async def parse(payload: str) -> object:
        if broken:
            raise ValueError("cannot be read")
        return await type(scene.channel).parse(scene.channel, payload)

    monkeypatch.setattr(scene.channel, "parse", parse)
    async with scene.open():
        await scene.write("alice", "one")
        await scene.write("bob", "two")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'dead'", 2)
        listed = [json.loads(line) for line in (await _run(understudy, "deadletters", "list", "--json")).splitlines()]
        assert [letter["conversation"] for letter in listed] == ["dm-alice", "dm-bob"]
        assert {letter["reason"] for letter in listed} == {"ValueError: cannot be read"}
        assert "dm-bob" in await _run(understudy, "deadletters", "list")
        assert {letter["person"] for letter in listed} == {"alice", "bob"}
        show = ("deadletters", "show", listed[0]["reference"])
        assert "one" not in await _run(understudy, *show)
        assert {letter["content"] for letter in listed} == {""}
        assert await _run(understudy, "audit", "--json") == ""
        assert '"text": "one"' in await _run(understudy, *show, "--content")
        assert '"text": "one"' in json.loads(await _run(understudy, *show, "--content", "--json"))["content"]
        records = [json.loads(line) for line in (await _run(understudy, "audit", "--json")).splitlines()]
        read = [(record["tool"], record["user_id"], record["reference"]) for record in records]
        assert read == [("deadletters --content", "alice", listed[0]["reference"])] * 2
        broken = False
        await _run(understudy, "deadletters", "retry", listed[0]["id"])
        await scene.wait_for(1)
        await _run(understudy, "deadletters", "drop", listed[1]["id"])
        assert await _run(understudy, "deadletters", "list", "--json") == ""
        with pytest.raises(SettingError, match="no dead letter m999"):
            await _run(understudy, "deadletters", "retry", "m999")
        with pytest.raises(SettingError, match="--all"):
            await _run(understudy, "deadletters", "retry")
    assert [sent.text for sent in scene.sent] == ["heard: one"]
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("done",), ("dropped",)]


async def test_a_delivery_that_was_given_up_is_sent_when_it_is_retried(
    tmp_path: Path, database_url: str, understudy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DELIVERY_TRIES", "1")
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    scene.channel.presenter.failures += [ConnectionError("down")] * 2  # the answer, and the notice of that
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'dead'", 2)
        await _run(understudy, "deadletters", "retry", "--all")
        await scene.wait_for(2)
    assert scene.sent[0].text == "heard: one"


@pytest.mark.parametrize("command", ["drop", "retry"])
async def test_a_letter_that_is_no_longer_dead_is_not_changed(
    tmp_path: Path, database_url: str, understudy: Command, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TURN_TRIES", "1")
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)

    async def parse(payload: str) -> object:
        raise ValueError("cannot be read")

    monkeypatch.setattr(scene.channel, "parse", parse)
    async with scene.open():
        await scene.write("alice", "one")
        await scene.write("bob", "two")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'dead'", 2)
    for row_id in (1, 2):
        scene.rows(
            "INSERT INTO tool_calls (inbox_id, key, tool, private, began_at, error)"
            f" VALUES ({row_id}, 'k', 't', {row_id} = 0, '2026-01-01', '{RAISED}')"
        )
    real, transactions = DeadLetters.get, 0

    async def get(self: DeadLetters, name: str) -> list[DeadLetter]:
        found = await real(self, name)
        if name == "m1":  # another operator has it tried again, and a worker takes it
            await scene.change("UPDATE inbox SET status = 'running' WHERE id = 1")
            write = self._database.write

            def counted() -> AbstractAsyncContextManager[AsyncConnection]:
                nonlocal transactions
                transactions += 1
                return write()

            monkeypatch.setattr(self._database, "write", counted)
        return found

    monkeypatch.setattr(DeadLetters, "get", get)
    errors = await asyncio.to_thread(CliRunner().invoke, app, ["deadletters", command, "m1", "m2", "m2"])
    assert errors.exception is None
    assert "Left unchanged, because they were retried or dropped meanwhile: m1." in errors.output
    assert errors.output.startswith("1 ")
    after = {"drop": "dropped", "retry": "retrying"}[command]
    assert scene.rows("SELECT id, status FROM inbox ORDER BY id") == [(1, "running"), (2, after)]
    assert scene.rows("SELECT inbox_id FROM tool_calls") == [(1,)]
    assert transactions == 1


async def _run(command: Command, *arguments: str) -> str:
    """Run the command in a thread, since it starts its own event loop."""
    return await asyncio.to_thread(command, *arguments)


class Work(Toolkit):
    _clone_shared_attrs = ("calls",)

    def __init__(self) -> None:
        self.calls: list[str] = []

    @tool
    async def write_down(self) -> str:
        """Write something down."""
        self.calls.append("write_down")
        return "written"


async def test_messages_that_a_turn_answered_together_are_one_letter_and_repeat_no_call(
    tmp_path: Path, understudy: Command, database_url: str
) -> None:
    work, first, failing = Work(), Gate(), True

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        part = messages[-1].parts[-1]
        if isinstance(part, ToolReturnPart):
            if failing:
                raise ModelHTTPError(400, "a model")  # which no other try would change
            return ModelResponse([TextPart("written, once")])
        if "write" in str(part.content):  # type: ignore[union-attr]
            return ModelResponse([ToolCallPart("write_down", {})])
        return await first.model(messages, info)

    agent = Agent(model=FunctionModel(model), when_busy="collect", toolkits=[work])
    scene = stage(tmp_path, agent=agent, database=database_url, timings=IMPATIENT)
    async with scene.open():
        await scene.write("alice", "one")
        await first.holds(1)
        for text in ("write", "please", "now"):
            await scene.write("alice", text)
        first.opened.set()
        assert "reference" in (await scene.wait_for(2))[1].text
        assert len((await _run(understudy, "deadletters", "list", "--json")).splitlines()) == 1
        failing = False
        await _run(understudy, "deadletters", "retry", "--all")
        assert (await scene.wait_for(3))[2].text == "written, once"
    assert work.calls == ["write_down"]
    assert scene.rows("SELECT count(*) FROM inbox WHERE status <> 'done'") == [(0,)]
