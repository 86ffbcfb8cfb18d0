"""Texts that a channel cannot render, or takes long to render."""

import threading
from pathlib import Path

import pytest
from support.stage import Stage, place, stage

from gateway.channels.sentences import NOT_RENDERED


def failing(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = scene.channel.presenter.parts

    def fails_for_most(markdown: str) -> list[str]:
        if "odd" in markdown:
            raise RecursionError("maximum recursion depth exceeded")
        return parts(markdown)

    monkeypatch.setattr(scene.channel.presenter, "parts", fails_for_most)


async def test_a_sentence_replaces_an_answer_that_cannot_be_rendered_and_the_conversation_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path)
    failing(scene, monkeypatch)
    async with scene.open():
        assert await scene.ask("alice", "something odd") == NOT_RENDERED
        assert await scene.ask("alice", "something else") == "heard: something else"
        assert scene.rows("SELECT count(*) FROM inbox WHERE status != 'done'") == [(0,)]
    assert "cannot render a text of 20 characters" in caplog.text


async def test_a_sentence_replaces_a_message_that_cannot_be_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path)
    failing(scene, monkeypatch)
    async with scene.open():
        await scene.gateway.send(place("dm-alice"), "odd")
        [sent] = await scene.wait_for(1)
    assert sent.text == NOT_RENDERED


async def test_a_long_text_is_rendered_by_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = stage(tmp_path)
    parts, threads = scene.channel.presenter.parts, dict[int, bool]()

    def noted(markdown: str) -> list[str]:
        threads[len(markdown)] = threading.current_thread() is threading.main_thread()
        return parts(markdown)

    monkeypatch.setattr(scene.channel.presenter, "parts", noted)
    async with scene.open():
        await scene.ask("alice", "short")
        await scene.ask("alice", "long" * 1000)
        await scene.gateway.send(place("dm-alice"), "longer" * 1000)
    assert threads == {len("heard: short"): True, len("heard: ") + 4000: False, 6000: False}
