"""Messages and answers without visible text."""

from pathlib import Path

import pytest
from support.stage import stage


async def test_a_message_without_text_is_greeted(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        assert "Just write to me" in await scene.ask("alice", "")


async def test_an_answer_without_anything_visible_is_replaced_by_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path)
    monkeypatch.setattr(scene.channel.presenter, "parts", lambda text: [] if text.startswith("heard") else [text])
    async with scene.open():
        assert await scene.ask("alice", "> ") == "I have no answer to that."
