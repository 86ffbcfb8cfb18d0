"""The preview of a turn is completed by the answer or removed, however the turn ends."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.agents.writer import Writer
from support.channels.live import LiveChannel, StageView
from support.stage import IMPATIENT, Stage, Vault, stage, stage_timings

from gateway import Agent, Message, phase
from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, RetryLaterError
from gateway.timings import Timings
from toolkits import Toolkit, tool

AT_ONCE = stage_timings(first_status=0.0, shutdown_grace=0.1)


class Diary(Toolkit):
    """A toolkit whose results are private."""

    private = True

    @tool
    async def read(self) -> str:
        """Read the diary."""
        return "dear diary"


class Mailbox(Toolkit):
    @tool(approval=True)
    async def send(self) -> str:
        """Send a mail."""
        return "sent"


@pytest.fixture
def writer() -> Writer:
    return Writer()


def live_stage(
    directory: Path, writer: Writer, toolkits: Any = (), timings: Timings = AT_ONCE, **options: Any
) -> tuple[Stage, LiveChannel]:
    channel = LiveChannel()
    agent = options.pop("agent", None) or Agent(model=writer.model, toolkits=toolkits)
    return stage(directory, agent=agent, channel=channel, timings=timings, **options), channel


async def shows(scene: Stage, channel: LiveChannel, place: str, *texts: str) -> None:
    """Wait until a conversation shows these messages."""
    await scene.wait_until(lambda: channel.presenter.said(place) == list(texts))


async def test_an_answer_takes_the_place_of_its_preview(tmp_path: Path, database_url: str, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer, database=database_url)
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("This is half of it")
        await shows(scene, channel, "dm-alice", "This is half of it …")
        writer.write(", and that is the rest.")
        writer.end()
        await shows(scene, channel, "dm-alice", "This is half of it, ", "and that is the rest", ".")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 3)
    assert scene.rows("SELECT count(*) FROM previews") == [(0,)]
    assert channel.presenter.posted <= 3


async def test_text_before_a_call_is_replaced_by_the_answer(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer, [Mailbox(), NoteBook()])
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("I will look it up in my notebook.")
        await scene.wait_until(lambda: len(channel.presenter.said("dm-alice")) == 2)
        writer.call("look")
        writer.write("42")
        writer.end()
        await shows(scene, channel, "dm-alice", "42")


class NoteBook(Toolkit):
    @tool
    async def look(self) -> str:
        """Look something up."""
        return "42"


async def test_no_preview_is_left_of_a_turn_that_waits_for_an_account(
    tmp_path: Path, vault: Vault, writer: Writer
) -> None:
    scene, channel = live_stage(tmp_path, writer, [vault])
    async with scene.open():
        await scene.write("alice", "open it")
        writer.write("I will open the vault.")
        await scene.wait_until(lambda: bool(channel.presenter.said("dm-alice")))
        writer.call("open_vault")
        await scene.wait_until(lambda: any(sent.link for sent in scene.sent))
        await shows(scene, channel, "dm-alice")


async def test_no_preview_is_left_of_a_turn_that_waits_for_an_approval(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer, [Mailbox()])
    async with scene.open():
        await scene.write("alice", "send it")
        writer.write("I will send the mail.")
        await scene.wait_until(lambda: bool(channel.presenter.said("dm-alice")))
        writer.call("send")
        await scene.wait_until(lambda: bool(scene.sent))
        await scene.wait_until(lambda: not any("I will" in text for text in channel.presenter.said("dm-alice")))


async def test_no_preview_is_left_of_a_turn_that_is_tried_again(tmp_path: Path) -> None:
    tries = 0

    async def flow(message: Message) -> str:
        nonlocal tries
        tries += 1
        async with phase("Search"):
            if tries == 1:
                await scene.wait_until(lambda: bool(channel.presenter.said("dm-alice")))
                raise ConnectionError("the model is away")
        return "done"

    scene, channel = live_stage(tmp_path, Writer(), agent=Agent(flow), timings=stage_timings(first_status=0.0))
    async with scene.open():
        await scene.write("alice", "hello")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'retrying'", 1)
        await shows(scene, channel, "dm-alice")


async def test_the_phases_of_a_flow_are_removed_and_the_answer_is_a_message_of_its_own(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def flow(message: Message) -> str:
        async with phase("Search"):
            await gate.wait()
        return "done"

    scene, channel = live_stage(tmp_path, Writer(), agent=Agent(flow))
    async with scene.open():
        await scene.write("alice", "hello")
        await shows(scene, channel, "dm-alice", "… Search")
        gate.set()
        await shows(scene, channel, "dm-alice", "done")
    assert channel.presenter.posted == 2


async def test_nothing_of_an_answer_that_may_be_private_is_shown_to_others(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer, [Diary()])
    async with scene.open():
        await scene.write("alice", "read it", "room")
        await scene.wait_until(lambda: writer.asked == 1)
        writer.write("I will read your diary")
        writer.call("read")
        await scene.wait_until(lambda: bool(channel.presenter.said("dm-alice")))
        assert channel.presenter.said("room") == []
        assert channel.presenter.said("dm-alice") == ["dear diary"]


async def test_an_answer_for_everybody_is_streamed_where_others_read(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer, [NoteBook()])
    async with scene.open():
        await scene.write("alice", "hello", "room")
        writer.write("Half of ")
        await shows(scene, channel, "room", "Half of  …")
        writer.write("it")
        writer.end()
        await shows(scene, channel, "room", "Half of it")


async def test_a_turn_that_is_taken_over_completes_the_preview_of_the_first_process(
    tmp_path: Path, database_url: str, writer: Writer
) -> None:
    scene, channel = live_stage(tmp_path, writer, database=database_url)
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("Half of it")
        await shows(scene, channel, "dm-alice", "Half of it …")
    again = Writer()
    after, other = live_stage(tmp_path, again, database=database_url)
    other.presenter.there = channel.presenter.there
    async with after.open():
        again.write("All of it")
        again.end()
        await shows(after, other, "dm-alice", "All of it")
        await after.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 1)
    assert other.presenter.posted == 0


async def test_a_preview_whose_id_was_not_stored_is_looked_for(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer)
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("Half of it")
        await shows(scene, channel, "dm-alice", "Half of it …")
        await scene.change("UPDATE previews SET platform_id = NULL")
        writer.end()
        await shows(scene, channel, "dm-alice", "Half of it")


async def test_an_answer_whose_preview_was_deleted_is_a_new_message(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer)
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("Half of it")
        await shows(scene, channel, "dm-alice", "Half of it …")
        channel.presenter.there.clear()
        writer.end()
        await shows(scene, channel, "dm-alice", "Half of it")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 1)
    assert "completes" not in scene.rows("SELECT body FROM outbox")[0][0]


async def test_a_preview_whose_completion_is_ambiguous_is_completed_again_without_a_mark(
    tmp_path: Path, writer: Writer
) -> None:
    scene, channel = live_stage(tmp_path, writer, timings=replace(IMPATIENT, first_status=0.0))
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("Half of it")
        await shows(scene, channel, "dm-alice", "Half of it …")
        channel.presenter.failures.append(DeliveryAmbiguousError("the answer was lost"))
        writer.end()
        await shows(scene, channel, "dm-alice", "Half of it")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 1)
    assert scene.rows("SELECT attempts, ambiguous FROM outbox") == [(2, True)]


async def test_a_turn_whose_preview_is_refused_is_answered(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer)
    channel.presenter.failures.append(DeliveryRefusedError("no"))
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("Half of it")
        await scene.wait_until(lambda: not channel.presenter.failures)
        writer.end()
        await shows(scene, channel, "dm-alice", "Half of it")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 1)
    assert scene.rows("SELECT kind FROM outbox") == [("text",)]


async def test_no_preview_is_posted_before_an_earlier_answer_is_sent(tmp_path: Path, writer: Writer) -> None:
    scene, channel = live_stage(tmp_path, writer)
    channel.presenter.failures.append(RetryLaterError(3600))
    async with scene.open():
        await scene.write("alice", "first", command="help")
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'retrying'", 1)
        await scene.write("alice", "second")
        writer.write("Half of it")
        await scene.wait_until(lambda: writer.asked == 1)
        await scene.change("UPDATE pauses SET until = '2000-01-01 00:00:00.000000'")
        await scene.change("UPDATE outbox SET due_at = '2000-01-01 00:00:00.000000' WHERE status = 'retrying'")
        assert channel.presenter.said("dm-alice") == []
        writer.end()
        await scene.wait_until(lambda: "Half of it" in channel.presenter.said("dm-alice"))
        assert channel.presenter.said("dm-alice")[-1] == "Half of it"


async def test_no_preview_is_posted_while_the_platform_has_asked_another_process_for_a_pause(
    tmp_path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    held: list[float] = []
    monkeypatch.setattr(StageView, "hold", lambda _, seconds: held.append(seconds))
    monkeypatch.setattr(StageView, "ready", lambda _: asyncio.sleep(0.05))
    scene, channel = live_stage(tmp_path, writer, database=database_url)
    pause = (
        "INSERT INTO pauses (channel, tenant, key, until) VALUES ('stage', 'T1', 'C1', '2100-01-01 00:00:00.000000')"
    )
    async with scene.open():
        await scene.change(pause)
        await scene.write("alice", "hello", "C1/7")
        writer.write("Half of it")
        await scene.wait_until(lambda: held != [])
        assert held[0] == 3600  # the longest pause
        assert channel.presenter.said("C1/7") == []
        await scene.change("DELETE FROM pauses")
        await shows(scene, channel, "C1/7", "Half of it …")
        writer.end()


@pytest.mark.parametrize(
    "given_up", ["UPDATE inbox SET status = 'expired'", "DELETE FROM inbox"], ids=["expired", "removed"]
)
async def test_the_preview_of_a_turn_that_will_never_end_is_removed(
    tmp_path: Path, database_url: str, writer: Writer, given_up: str
) -> None:
    scene, channel = live_stage(tmp_path, writer, database=database_url)
    async with scene.open():
        await scene.write("alice", "hello")
        writer.write("Half of it")
        await shows(scene, channel, "dm-alice", "Half of it …")
    await scene.change(given_up)
    after, other = live_stage(tmp_path, Writer(), database=database_url)
    other.presenter.there = channel.presenter.there
    async with after.open():
        await after.wait_until_rows("SELECT count(*) FROM previews", 0)
        if "DELETE" not in given_up:
            await shows(after, other, "dm-alice")
