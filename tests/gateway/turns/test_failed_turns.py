"""Turns that fail: which of them are tried again, and what the person is told in the end."""

import logging
import re
from pathlib import Path

import pytest
from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo
from support.stage import IMPATIENT, place, stage

from gateway import TurnContext
from gateway.channels.event import Event
from toolkits import Toolkit, tool


class Broken(Toolkit):
    @tool
    def break_down(self, context: TurnContext) -> str:
        """Break down."""
        raise ValueError("with access_token=hunter2 in it")


async def test_a_failed_turn_tells_the_person_its_reference(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = stage(tmp_path, [Broken()])
    with caplog.at_level(logging.ERROR):
        async with scene.open():
            answer = await scene.ask("alice", "call break_down")
            assert await scene.ask("alice", "still there?") == "heard: still there?"
    reference = re.search(r"reference (\w+)", answer)
    assert reference is not None
    assert scene.rows(f"SELECT status FROM inbox WHERE reference = '{reference[1]}'") == [("dead",)]
    assert "the turn failed" in caplog.text
    assert "hunter2" not in answer


async def test_a_payload_that_cannot_be_parsed_is_a_dead_letter_and_delays_nothing(tmp_path: Path) -> None:
    scene = stage(tmp_path, timings=IMPATIENT)
    async with scene.open():
        await scene.gateway.host.accept(Event("bad", place("dm-alice"), "no json"))
        assert await scene.ask("alice", "hello") == "heard: hello"
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'dead'", 1)
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("dead",), ("done",)]


async def test_a_message_whose_model_fails_is_tried_again_and_delays_no_others(
    tmp_path: Path, database_url: str
) -> None:
    failures = 2
    heard: list[str] = []

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal failures
        text = str(messages[-1].parts[-1].content)  # type: ignore[union-attr]
        heard.append(text)
        if text == "one" and failures:
            failures -= 1
            raise ConnectionError("the model is away")
        return ModelResponse([TextPart(f"heard: {text}")])

    scene = stage(tmp_path, model=model, database=database_url, timings=IMPATIENT)
    async with scene.open():
        await scene.write("alice", "one")
        await wait_until_async(lambda: heard, what="it was tried")
        await scene.write("alice", "two")
        await scene.wait_for(2)
    assert sorted(sent.text for sent in scene.sent) == ["heard: one", "heard: two"]
    assert heard.count("one") == 3
    assert heard.count("two") == 1


async def test_a_message_whose_model_always_fails_is_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TURN_TRIES", "3")
    tries = 0

    async def model(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise ConnectionError("the model is away")

    scene = stage(tmp_path, model=model, timings=IMPATIENT)  # type: ignore[arg-type]
    async with scene.open():
        answer = await scene.ask("alice", "one")
    [(status, reference, error)] = scene.rows("SELECT status, reference, error FROM inbox")
    assert (status, error, tries) == ("dead", "ConnectionError: the model is away", 3)
    assert answer == f"Sorry, something went wrong and I could not answer that (reference {reference})."
