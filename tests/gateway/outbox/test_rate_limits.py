"""Deliveries wait for the rate limits of their platform, and delay nothing else meanwhile."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.stage import Stage, stage, stage_timings

from gateway.channels.errors import RetryLaterError
from oauth import Identity
from toolkits import Conversation

HOUR = 3600.0
QUICK = stage_timings(due_interval=0.02, shutdown_grace=0.05)


@dataclass
class Platform:
    """A platform with a limit in one conversation.

    Attributes:
        limited: the id of the conversation.
        waits: the seconds, or the error, for each reservation in it; without one there is no wait.
        reserved: the reservations: the conversation, and whether it is for an edit.
    """

    limited: str = "dm-alice"
    waits: list[float | Exception] = field(default_factory=list)
    reserved: list[tuple[str, bool]] = field(default_factory=list)

    def reserve(self, conversation: Conversation, recipient: Identity | None = None, *, is_edit: bool = False) -> float:
        self.reserved.append((conversation.id, is_edit))
        if conversation.id != self.limited or not self.waits:
            return 0.0
        if isinstance(wait := self.waits.pop(0), Exception):
            raise wait
        return wait


@pytest.fixture
def platform() -> Platform:
    return Platform()


def limited(tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch, database: str | None = None) -> Stage:
    scene = stage(tmp_path, database=database, timings=QUICK)
    monkeypatch.setattr(scene.channel.presenter, "reserve", platform.reserve)
    return scene


def texts(scene: Stage) -> list[str]:
    return [sent.text for sent in scene.sent]


async def test_an_answer_that_waits_for_its_chat_takes_no_turn_and_delays_no_other_chat(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("UNDERSTUDY_MAX_CONCURRENT_TURNS", "1")
    platform.waits.append(HOUR)
    scene = limited(tmp_path, platform, monkeypatch, database_url)
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'waiting'", 1)
        assert await scene.ask("bob", "two") == "heard: two"
        assert await scene.ask("carol", "three") == "heard: three"
    assert texts(scene) == ["heard: two", "heard: three"]


async def test_an_answer_that_was_waiting_when_its_process_ended_is_sent_without_a_mark(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.waits.append(HOUR)
    first = limited(tmp_path, platform, monkeypatch)
    async with first.open():
        await first.write("alice", "hello")
        await first.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'waiting'", 1)
    second = limited(tmp_path, platform, monkeypatch)
    async with second.open():
        assert (await second.wait_for(1))[0].text == "heard: hello"
    assert second.rows("SELECT count(*) FROM outbox WHERE ambiguous") == [(0,)]


async def test_an_answer_whose_wait_is_too_long_is_tried_again_without_a_pause_or_a_counted_try(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    platform.waits += [RetryLaterError(HOUR), RetryLaterError(HOUR)]  # at the end of the turn, and at the delivery
    scene = limited(tmp_path, platform, monkeypatch, database_url)
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
        assert scene.rows("SELECT attempts FROM outbox WHERE status = 'retrying'") == [(0,)]
        assert scene.rows("SELECT count(*) FROM pauses") == [(0,)]
        await scene.change("UPDATE outbox SET due_at = '2000-01-01 00:00:00.000000'")
        await scene.wait_for(1)
    assert texts(scene) == ["heard: one"]


async def test_each_part_of_an_answer_is_reserved_once_and_they_keep_their_order(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.waits += [0.0, 0.01, 0.02, 0.01]
    scene = limited(tmp_path, platform, monkeypatch)
    monkeypatch.setattr(scene.channel.presenter, "parts", lambda text: [f"{text} {part}" for part in range(4)])
    async with scene.open():
        await scene.write("alice", "x")
        await scene.wait_for(4)
    assert texts(scene) == [f"heard: x {part}" for part in range(4)]
    assert platform.reserved == [("dm-alice", False)] * 4


async def test_an_answer_whose_limits_the_channel_cannot_tell_is_sent(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    platform.waits.append(ValueError("no such chat"))
    scene = limited(tmp_path, platform, monkeypatch)
    async with scene.open():
        assert await scene.ask("alice", "one") == "heard: one"
    assert "no such chat" in caplog.text


async def test_a_pause_of_a_chat_holds_its_threads_and_no_other_chat(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url, timings=QUICK)
    scene.channel.presenter.failures.append(RetryLaterError(HOUR, place="C1"))
    async with scene.open():
        await scene.write("alice", "one", "C1/7")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
        await scene.write("bob", "two", "C1/8")
        await scene.write("carol", "three", "C1")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 3)
        assert await scene.ask("dave", "four", "C11") == "heard: four"
        assert await scene.ask("erin", "five", "C11/7") == "heard: five"
    assert texts(scene) == ["heard: four", "heard: five"]
