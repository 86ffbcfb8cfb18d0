"""The history of a conversation, as turns read it."""

from pathlib import Path

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo
from support.stage import obey, stage, texts_told


async def test_a_new_history_begins_after_a_long_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        read.append(texts_told(messages))
        return await obey(messages, info)

    monkeypatch.setenv("UNDERSTUDY_SESSION_IDLE_HOURS", "2")
    scene = stage(tmp_path, model=model)
    async with scene.open():
        await scene.ask("alice", "one")
        await scene.ask("alice", "two")
        assert read[-1] == ["one", "heard: one", "two"]
        await scene.change("UPDATE session_items SET created_at = '2026-01-01 00:00:00.000000'")
        await scene.ask("alice", "three")
        assert read[-1] == ["three"]
        await scene.ask("alice", "four")
        assert read[-1] == ["three", "heard: three", "four"]
