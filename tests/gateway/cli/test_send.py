"""`understudy send`, while a gateway runs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stage import stage
from typer.testing import CliRunner

from gateway.cli.main import app

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


async def _run(command: Command, *arguments: str) -> str:
    """Run the command in a thread, since it starts its own event loop."""
    return await asyncio.to_thread(command, *arguments)


BOT = """
from pydantic_ai.models.test import TestModel
from gateway import Agent, Gateway
from support.stage import StageChannel

gateway = Gateway(Agent(model=TestModel()), [StageChannel()])
"""


async def test_the_running_gateway_sends_the_message_of_an_operator(
    tmp_path: Path, database_url: str, understudy: Command
) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    scene = stage(tmp_path, database=database_url)
    command = ("send", str(tmp_path / "bot.py"), "stage", "T1", "dm-alice", "maintenance tonight")
    async with scene.open():
        await _run(understudy, *command, "--key", "k1")
        await _run(understudy, *command, "--key", "k1")
        await _run(understudy, *command, "--at", "2099-01-01T00:00:00")
        await scene.wait_for(1)
        assert await scene.ask("alice", "hello") == "heard: hello"
    assert [sent.text for sent in scene.sent] == ["maintenance tonight", "heard: hello"]
    assert scene.rows("SELECT status FROM outbox ORDER BY id") == [("sent",), ("scheduled",), ("sent",)]
