"""During the turn, the channel is asked for the messages that a message refers to."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.stage import Stage, stage, stage_timings

from toolkits import Message, QuotedKind, QuotedMessage


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path, timings=stage_timings(quoted=0.5))


async def test_a_channel_is_told_what_the_history_has_quoted(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    async def read_quoted(message: Message, read_until: str) -> Sequence[QuotedMessage]:
        asked.append((message.text, read_until))
        return [QuotedMessage(QuotedKind.THREAD, "Bob", f"before {message.text}", id=f"id of {message.text}")]

    monkeypatch.setattr(scene.channel, "read_quoted", read_quoted)
    async with scene.open():
        for person, text in (("alice", "one"), ("bob", "two"), ("alice", "three")):
            await scene.ask(person, text, "channel")
        await scene.ask("alice", "", "channel", command="new")
        await scene.ask("alice", "four", "channel")
    assert asked == [("one", ""), ("two", "id of one"), ("three", "id of two"), ("four", "")]


async def test_a_channel_that_takes_too_long_does_not_keep_the_message_from_being_answered(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_quoted(message: Message, read_until: str) -> Sequence[QuotedMessage]:
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr(scene.channel, "read_quoted", read_quoted)
    async with scene.open():
        assert await scene.ask("alice", "hello")
    assert scene.rows("SELECT role, text FROM session_items ORDER BY id")[0] == ("user", "hello")
