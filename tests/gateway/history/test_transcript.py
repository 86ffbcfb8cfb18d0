"""The transcript of a conversation: which messages it shows, and in which order."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.stage import Stage, Vault, place, stage

from gateway.history.transcript import MAX_MESSAGES, TranscriptEntry


async def shown(scene: Stage) -> list[str]:
    entries = await scene.gateway.host.transcript(place("dm-alice"))
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    return [_label(entry) for entry in entries]


def _label(entry: TranscriptEntry) -> str:
    if entry.payload is not None:
        return "asked"
    return "link" if entry.provider is not None else str(entry.text)


async def test_a_late_answer_is_below_the_messages_that_came_meanwhile(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Vault()], database=database_url)
    async with scene.open():
        await scene.write("alice", "call open_vault")
        link = (await scene.wait_for(1))[0].link
        await scene.ask("alice", "meanwhile")
        assert await shown(scene) == ["asked", "link", "asked", "heard: meanwhile"]
        await scene.connect(link, "alice")
        await scene.wait_for(3)
        assert await shown(scene) == ["asked", "link", "asked", "heard: meanwhile", "SECRET-alice"]


@pytest.mark.long
async def test_an_answer_is_shown_when_its_message_is_too_old_to_be_shown(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Vault()])
    async with scene.open():
        await scene.write("alice", "call open_vault")
        link = (await scene.wait_for(1))[0].link
        for number in range(MAX_MESSAGES):
            await scene.write("alice", str(number))
        await scene.wait_for(MAX_MESSAGES + 1)
        await scene.connect(link, "alice")
        await scene.wait_for(MAX_MESSAGES + 2)
        assert (await shown(scene))[-1] == "SECRET-alice"


async def test_a_scheduled_message_is_shown_when_and_where_it_was_sent(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        await scene.ask("alice", "first")
        await scene.gateway.send(place("dm-alice"), "remember", at=datetime.now(UTC) + timedelta(hours=1))
        await scene.ask("alice", "second")
        assert await shown(scene) == ["asked", "heard: first", "asked", "heard: second"]
        await scene.change("UPDATE outbox SET due_at = '2000-01-01 00:00:00.000000' WHERE status = 'scheduled'")
        await scene.gateway.parts.outbox.resume_due()
        await scene.wait_for(3)
        assert await shown(scene) == ["asked", "heard: first", "asked", "heard: second", "remember"]


async def test_an_answer_is_below_its_message_though_the_clock_of_its_process_is_behind(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        await scene.ask("alice", "first")
        await scene.change("UPDATE outbox SET created_at = '2000-01-01 00:00:00.000000'")
        assert await shown(scene) == ["asked", "heard: first"]
