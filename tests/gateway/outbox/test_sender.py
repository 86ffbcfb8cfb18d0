"""Messages that `Gateway.send` sends, now or later, and once for each key."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.stage import place, stage

from gateway import Conversation, SettingError


async def test_a_message_can_be_sent_unprompted_and_at_a_later_time(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await scene.gateway.send(place("dm-alice"), "good morning")
        await scene.wait_for(1)
        await scene.gateway.send(place("dm-alice"), "much later", at=datetime.now(UTC) + timedelta(hours=1))
        in_a_moment = datetime.now(UTC) + timedelta(seconds=0.5)
        await scene.gateway.send(place("dm-alice"), "in a moment", at=in_a_moment)
        await scene.wait_for(2)
        assert datetime.now(UTC) >= in_a_moment
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert scene.rows("SELECT count(*) FROM outbox WHERE status = 'scheduled'") == [(1,)]
    assert [sent.text for sent in scene.sent] == ["good morning", "in a moment", "heard: hello"]


async def test_a_key_is_sent_once_by_all_processes_together(tmp_path: Path, database_url: str) -> None:
    scene, other = stage(tmp_path, database=database_url), stage(tmp_path, database=database_url)
    async with scene.open():
        sending = [scene.gateway.send(place("dm-alice"), "news", key="2026-11-21") for _ in range(5)]
        if scene.worker is not None:  # another process
            async with other.gateway.lifespan():
                sending += [other.gateway.send(place("dm-alice"), "news", key="2026-11-21") for _ in range(5)]
                references = await asyncio.gather(*sending)
        else:
            references = await asyncio.gather(*sending)
        assert await scene.gateway.send(place("dm-alice", "T2"), "news", key="2026-11-21")
        await scene.wait_for(2)
        assert await scene.ask("alice", "hello") == "heard: hello"
    assert len([reference for reference in references if reference]) == 1
    assert [sent.text for sent in scene.sent] == ["news", "news", "heard: hello"]


async def test_a_message_that_cannot_be_sent_is_refused_with_the_reason(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        with pytest.raises(SettingError, match="the channel 'slack' is not configured"):
            await scene.gateway.send(Conversation("slack", "T", "C", shared=False), "hello")
        with pytest.raises(ValueError, match="time zone"):
            await scene.gateway.send(place("dm-alice"), "hello", at=datetime(2030, 1, 1))  # noqa: DTZ001
