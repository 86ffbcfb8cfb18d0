"""Private answers to messages in shared conversations: where they are sent."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers.wait import wait_until_async
from support.stage import Sent, Stage, Vault, stage

from gateway import SettingError
from toolkits import Toolkit, tool


class TimedVault(Vault):
    @tool
    def tell_time(self) -> str:
        """Tell the time. The result is private."""
        return "noon"


class Clock(Toolkit):
    @tool
    def tell_date(self) -> str:
        """Tell the date."""
        return "Monday"


def scene_of(directory: Path, **options: str) -> Stage:
    return stage(directory, [TimedVault(), Clock()], **options)


async def connect(scene: Stage) -> None:
    await scene.write("alice", "call open_vault")
    await scene.connect((await scene.wait_for(1))[0].link, "alice")
    await scene.wait_for(2)


async def noted(scene: Stage, count: int = 1) -> list[tuple[str, str, bool]]:
    async def enough() -> bool:
        return len(scene.channel.presenter.notes) >= count

    await wait_until_async(enough, 10, "a note is sent")
    return scene.channel.presenter.notes


async def test_a_private_answer_goes_only_to_its_person_by_default(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    async with scene.open():
        await connect(scene)
        assert scene.sent[1] == Sent("dm-alice", "SECRET-alice")  # nobody else reads this conversation
        await scene.ask("alice", "call open_vault", "thread")
        await scene.ask("alice", "call tell_date", "thread-2")
        assert await noted(scene) == [("thread", "alice", True)]
    assert scene.sent[2:] == [Sent("thread", "SECRET-alice", alone="alice"), Sent("thread-2", "Monday")]


async def test_a_private_answer_goes_where_it_was_asked_for_if_the_operator_says_so(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, private_answers="open")
    async with scene.open():
        await connect(scene)
        await scene.ask("alice", "call open_vault", "thread")
    assert scene.sent[2:] == [Sent("thread", "SECRET-alice")]
    assert scene.channel.presenter.notes == []


async def test_a_private_answer_to_an_unreachable_person_is_held_until_they_write(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    async with scene.open():
        await connect(scene)
        scene.channel.presenter.unreachable.add("alice")
        await scene.write("alice", "call open_vault", "thread")
        assert await noted(scene) == [("thread", "alice", False)]
        await scene.ask("bob", "hello")  # a message of another person does not release it
        assert scene.sent[2:] == [Sent("dm-bob", "heard: hello")]
    scene.channel.presenter.unreachable.clear()
    async with scene.open():  # the answer survives a restart
        await scene.ask("alice", "", command="start", argument="answer")
        assert scene.sent[3:] == [Sent("thread", "SECRET-alice", alone="alice")]
        assert (
            await scene.ask("alice", "", command="start", argument="answer")
            == "There is no answer waiting for you any more."
        )


async def test_a_held_answer_is_not_sent_after_a_day(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    async with scene.open():
        await connect(scene)
        scene.channel.presenter.unreachable.add("alice")
        await scene.write("alice", "call open_vault", "thread")
        await noted(scene)
    with sqlite3.connect(tmp_path / "stage.db") as connection:
        yesterday = str((datetime.now(UTC) - timedelta(hours=25)).replace(tzinfo=None))
        connection.execute("UPDATE outbox SET created_at = ? WHERE status = 'held'", [yesterday])
    scene.channel.presenter.unreachable.clear()
    async with scene.open():
        assert await scene.ask("alice", "hello") == "heard: hello"
    assert "SECRET-alice" not in str(scene.sent[2:])


async def test_a_held_answer_is_sent_within_a_day_although_messages_of_its_age_are_not_answered(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    async with scene.open():
        await connect(scene)
        scene.channel.presenter.unreachable.add("alice")
        await scene.write("alice", "call open_vault", "thread")
        await noted(scene)
        this_morning = str((datetime.now(UTC) - timedelta(hours=20)).replace(tzinfo=None))
        await scene.change(f"UPDATE outbox SET created_at = '{this_morning}' WHERE status = 'held'")
        scene.channel.presenter.unreachable.clear()
        before = len(scene.sent)
        await scene.write("alice", "hello")
        await scene.wait_for(before + 2, timeout=5)
    assert "SECRET-alice" in str(scene.sent[before:])


async def test_a_person_of_another_tenant_with_the_same_id_does_not_get_it(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    async with scene.open():
        await connect(scene)
        scene.channel.presenter.unreachable.add("alice")
        await scene.write("alice", "call open_vault", "thread")
        await noted(scene)
        scene.channel.presenter.unreachable.clear()
        await scene.ask("alice", "hello", tenant="T2")
        assert scene.sent[-1] == Sent("dm-alice", "heard: hello")


async def test_an_id_that_several_people_share_gets_a_sentence_instead(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    async with scene.open():
        answer = await scene.ask("group", "call tell_time", "thread", anonymous=True)
    assert "noon" not in answer
    assert "Write to me directly" in answer


def test_an_unknown_value_of_the_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="UNDERSTUDY_PRIVATE_ANSWERS"):
        scene_of(tmp_path, private_answers="maybe")
