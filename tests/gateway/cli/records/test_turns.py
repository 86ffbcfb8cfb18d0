"""`understudy turns`, as an operator uses it while the gateway runs."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands.in_process import invoke
from support.stage import CANCEL, Orders, Stage, Vault, stage, stage_timings

from oauth import SettingError
from toolkits import Toolkit, tool


class Reader(Toolkit):
    """A toolkit whose tool does not end."""

    _clone_shared_attrs = ("begun",)

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    @tool(read_only=True)
    async def read(self) -> str:
        """Read."""
        self.begun.set()
        await asyncio.Event().wait()
        return ""


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def scene(tmp_path: Path, database_url: str, reader: Reader, orders: Orders, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    timings = stage_timings(calls_grace=0.1, stop_interval=0.05)
    return stage(tmp_path, [reader, orders, Vault()], database=database_url, timings=timings)


understudy = partial(invoke, "turns")


async def listed() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await understudy("list", "--json")).splitlines()]


async def test_an_operator_sees_what_turns_are_doing(scene: Stage, reader: Reader) -> None:
    async with scene.open():
        assert "All turns have ended" in await understudy("list")
        await scene.write("alice", "call open_vault")
        await scene.wait_for(1)
        await scene.write("bob", CANCEL)
        await scene.wait_for(2)
        await scene.write("carol", "call read", "room")
        await reader.begun.wait()
        await scene.write("carol", "and then", "room")
        turns = await listed()
        assert [(turn["person"], turn["status"], turn["waits_for"]) for turn in turns] == [
            ("alice", "parked", "fake"),
            ("bob", "asked", "cancel"),
            ("carol", "running", ""),
            ("carol", "waiting", ""),
        ]
        table = await understudy("list")
        for part in (
            "a sign-in at fake",
            "an answer about cancel",
            "is being answered",
            "waits for its turn",
            "stage T1 bob",
        ):
            assert part in table
        for turn in turns:
            await understudy("stop", turn["reference"])
        await scene.wait_for(6)


async def test_an_operator_stops_a_turn_that_runs(scene: Stage, reader: Reader) -> None:
    async with scene.open():
        await scene.write("alice", "call read")
        await reader.begun.wait()
        (turn,) = await listed()
        await understudy("stop", turn["reference"])
        assert (await scene.wait_for(1))[0].text == "Stopped."
        with pytest.raises(SettingError, match="turns list"):
            await understudy("stop", turn["reference"])


async def test_a_turn_that_waited_for_a_sign_in_is_stopped(scene: Stage) -> None:
    async with scene.open():
        await scene.write("alice", "call open_vault")
        link = (await scene.wait_for(1))[0].link
        (turn,) = await listed()
        await understudy("stop", turn["reference"])
        assert (await scene.wait_for(2))[1].text == "Stopped."
        await scene.connect(link, "alice")
        assert await scene.ask("alice", "hello") == "heard: hello"


async def test_a_turn_that_waited_for_an_approval_is_stopped_and_the_next_question_is_asked(
    scene: Stage, orders: Orders
) -> None:
    async with scene.open():
        await scene.write("alice", CANCEL, "room")
        await scene.wait_for(1)
        await scene.write("alice", CANCEL.replace("4711", "4712"), "other")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'asked'", 2)
        first, _ = await listed()
        await understudy("stop", first["reference"])
        texts = [sent.text for sent in await scene.wait_for(3)]
        assert "Stopped." in texts[1:]
        assert any("4712" in text for text in texts[1:])
        await scene.ask("alice", "yes")
        await scene.wait_until(lambda: orders.cancelled == ["4712"])
