"""Edits and deletions change a message that waits for its turn, and start nothing once the turn has begun."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from peers.postgres import PostgresServer
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.gate import Gate
from support.stage import CANCEL, Orders, Stage, Vault, obey, place, stage, stage_timings

from gateway import Agent
from gateway.channels import Change, Event, Piece


async def write(
    scene: Stage, key: str, text: str, where: str = "dm-alice", person: str = "alice", **fields: Any
) -> bool:
    """Write a message that can be edited and deleted."""
    return await scene.write(person, text, where, message_key=key, content=text, **fields)


async def edit(
    scene: Stage, key: str, text: str, where: str = "dm-alice", person: str = "alice", revision: int = 1, **fields: Any
) -> bool:
    change = {"change": Change.EDITED, "revision": revision}
    return await write(scene, key, text, where, person, **change, **fields)


async def delete(scene: Stage, key: str, where: str = "dm-alice", **fields: Any) -> bool:
    return await scene.write("alice", "", where, message_key=key, change=Change.DELETED, **fields)


def answers(scene: Stage) -> list[str]:
    return [sent.text for sent in scene.sent]


async def test_a_message_that_is_edited_before_its_turn_is_answered_as_edited_in_its_place(
    tmp_path: Path, database_url: str
) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url)
    async with scene.open():
        await scene.write("alice", "before")
        await gate.holds(1)
        await write(scene, "M1", "helo")
        await scene.write("alice", "after")
        assert not await edit(scene, "M1", "hello")
        gate.opened.set()
        await scene.wait_for(3)
    assert answers(scene) == ["answer to before", "answer to hello", "answer to after"]


async def test_a_message_that_is_deleted_before_its_turn_is_not_answered(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url)
    async with scene.open():
        await scene.write("alice", "before")
        await gate.holds(1)
        await write(scene, "M1", "hello")
        await scene.write("alice", "after")
        assert not await delete(scene, "M1")
        gate.opened.set()
        await scene.wait_for(2)
    assert answers(scene) == ["answer to before", "answer to after"]
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("done",), ("dropped",), ("done",)]


async def test_a_change_after_the_turn_began_starts_nothing(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url)
    async with scene.open():
        await write(scene, "M1", "one")
        await write(scene, "M2", "two", "dm-bob", "bob")
        await gate.holds(2)
        assert not await edit(scene, "M1", "one, edited")
        assert not await delete(scene, "M2", "dm-bob")
        gate.opened.set()
        await scene.wait_for(2)
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 2)
        assert not await edit(scene, "M1", "one, edited again", revision=2)
        assert not await delete(scene, "M1")
        assert await scene.ask("alice", "after") == "answer to after"
    assert sorted(answers(scene)) == ["answer to after", "answer to one", "answer to two"]


async def test_an_edit_of_an_answered_message_is_a_new_message_where_edits_are_answered(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, settings={"answer_edits": True})
    async with scene.open():
        await write(scene, "M1", "one")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 1)
        assert not await edit(scene, "M1", "one", revision=1)  # a link preview, for example
        assert not await edit(scene, "M1", "not for you any more", revision=2, addressed=False)
        assert await edit(scene, "M1", "two", revision=3, id="E3")
        assert not await edit(scene, "M1", "two", revision=3, id="E3")  # a second delivery
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 2)
        assert not await edit(scene, "M1", "an older one", revision=2)
        assert await edit(scene, "M1", "three", revision=4)
        await scene.wait_for(3)
        assert await scene.ask("alice", "after") == "heard: after"
    assert answers(scene) == ["heard: one", "heard: two", "heard: three", "heard: after"]


async def test_an_edit_of_a_running_message_is_ignored_also_where_edits_are_answered(
    tmp_path: Path, database_url: str
) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url, settings={"answer_edits": True})
    async with scene.open():
        await write(scene, "M1", "one")
        await gate.holds(1)
        assert not await edit(scene, "M1", "two")
        gate.opened.set()
        assert await scene.ask("alice", "after") in ("answer to one", "answer to after")
        await scene.wait_for(2)
    assert answers(scene) == ["answer to one", "answer to after"]


async def test_nobody_can_edit_the_message_of_another_person(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url, settings={"answer_edits": True})
    async with scene.open():
        await scene.write("alice", "before", "thread")
        await gate.holds(1)
        await write(scene, "M1", "mine", "thread")
        assert not await edit(scene, "M1", "forged", "thread", person="bob")
        gate.opened.set()
        await scene.wait_for(2)
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 2)
        assert not await edit(scene, "M1", "forged", "thread", person="bob", revision=2)
    assert answers(scene) == ["answer to before", "answer to mine"]


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 2, 1)], ids=str)
async def test_the_last_edit_counts_in_whatever_order_they_come(
    tmp_path: Path, database_url: str, order: tuple[int, ...]
) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url)
    async with scene.open():
        await scene.write("alice", "before")
        await gate.holds(1)
        await write(scene, "M1", "draft")
        for revision in order:
            await edit(scene, "M1", f"edit {revision}", revision=revision, id=f"E{revision}")
        gate.opened.set()
        await scene.wait_for(2)
    assert answers(scene) == ["answer to before", "answer to edit 2"]


async def test_a_message_that_comes_after_its_edit_is_answered_once_as_edited(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        assert not await edit(scene, "M1", "hello")
        assert await scene.ask("alice", "meanwhile") == "heard: meanwhile"
        assert await write(scene, "M1", "helo", id="E1")
        assert not await write(scene, "M1", "helo", id="E1")
        assert not await write(scene, "M1", "helo", id="E2")  # the same message as another event
        await scene.wait_for(2)
        assert await scene.ask("alice", "after") == "heard: after"
    assert answers(scene) == ["heard: meanwhile", "heard: hello", "heard: after"]


async def test_a_message_that_comes_after_its_deletion_is_not_answered(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await delete(scene, "M1")
        assert not await write(scene, "M1", "hello")
        await edit(scene, "M2", "hello")
        await delete(scene, "M2")
        assert not await write(scene, "M2", "helo")
        assert await scene.ask("alice", "after") == "heard: after"
    assert answers(scene) == ["heard: after"]


async def test_an_edit_without_its_message_is_removed_in_the_end(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url, settings={"answer_within_hours": 0.00001})
    async with scene.open():
        await edit(scene, "M1", "hello")
        await scene.wait_until_rows("SELECT count(*) FROM inbox", 0)
    assert answers(scene) == []


async def test_edits_and_deletions_of_messages_that_are_not_for_the_bot_leave_nothing(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, settings={"answer_edits": True})
    async with scene.open():
        await edit(scene, "M1", "secret", "group", addressed=False)
        await delete(scene, "M1", "group", addressed=False)
    for table in ("inbox", "dedupe_keys", "conversations"):
        assert scene.rows(f"SELECT count(*) FROM {table}") == [(0,)]


async def test_an_edit_without_the_mention_still_changes_a_waiting_message(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url)
    async with scene.open():
        await scene.write("alice", "before", "group")
        await gate.holds(1)
        await write(scene, "M1", "helo", "group")
        await edit(scene, "M1", "hello", "group", addressed=False)
        gate.opened.set()
        await scene.wait_for(2)
    assert answers(scene) == ["answer to before", "answer to hello"]


async def test_a_message_that_waits_for_a_sign_in_can_be_edited_and_deleted(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Vault()], database=database_url)
    async with scene.open():
        await write(scene, "M1", "call open_vault")
        await write(scene, "M2", "call open_vault", "dm-2")
        await scene.wait_for(2)
        await edit(scene, "M1", "never mind")
        await delete(scene, "M2", "dm-2")
        await scene.connect(scene.sent[0].link, "alice")
        await scene.wait_for(3)
    assert answers(scene)[2:] == ["heard: never mind"]
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("done",), ("dropped",)]


async def test_a_message_whose_turn_has_asked_for_an_approval_cannot_be_changed(
    tmp_path: Path, database_url: str
) -> None:
    orders = Orders()
    scene = stage(tmp_path, [orders], database=database_url)
    async with scene.open():
        await write(scene, "M1", CANCEL)
        await scene.wait_for(1)
        await edit(scene, "M1", "never mind")
        await delete(scene, "M1")
        await scene.write("alice", "yes")
        await scene.wait_for(2)
    assert answers(scene)[1] == "cancelled 4711"


class Flaky:
    """A model that fails until a test lets it answer."""

    def __init__(self) -> None:
        self.works = False

    async def model(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if not self.works:
            raise ModelHTTPError(503, "model")
        return await obey(messages, info)


async def test_a_message_that_waits_for_a_retry_can_be_edited_and_deleted(tmp_path: Path, database_url: str) -> None:
    flaky = Flaky()
    scene = stage(tmp_path, model=flaky.model, database=database_url, timings=stage_timings(due_interval=3600))
    async with scene.open():
        await write(scene, "M1", "helo")
        await write(scene, "M2", "of no importance", "dm-2")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'retrying'", 2)
        await edit(scene, "M1", "hello")
        await delete(scene, "M2", "dm-2")
        flaky.works = True
        await scene.change("UPDATE inbox SET due_at = accepted_at WHERE status = 'retrying'")
        await scene.gateway.parts.inbox.resume_due()
        await scene.wait_for(1)
        assert await scene.ask("alice", "after", "dm-2") == "heard: after"
    assert answers(scene) == ["heard: hello", "heard: after"]


async def test_each_of_several_messages_that_are_answered_together_can_be_changed(
    tmp_path: Path, database_url: str
) -> None:
    flaky, gate, asked = Flaky(), asyncio.Event(), asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.set()
        await gate.wait()
        return await flaky.model(messages, info)

    agent = Agent(model=FunctionModel(model), when_busy="collect")
    scene = stage(tmp_path, agent=agent, database=database_url, timings=stage_timings(due_interval=3600))
    async with scene.open():
        await scene.write("alice", "before")
        await scene.wait_until(asked.is_set)  # from then on nothing joins this turn
        for key in ("M1", "M2", "M3", "M4"):
            await write(scene, key, key)
        gate.set()
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'retrying'", 2)
        flaky.works = True
        await edit(scene, "M2", "edited")
        await delete(scene, "M3")
        await delete(scene, "M1")
        await scene.change("UPDATE inbox SET due_at = accepted_at WHERE status = 'retrying'")
        await scene.gateway.parts.inbox.resume_due()
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status NOT IN ('done', 'dropped')", 0)
        await scene.wait_until(lambda: "heard: before" in answers(scene))
    said = "\n\n".join(answers(scene))
    assert "edited" in said
    assert "M4" in said
    assert "M1" not in said
    assert "M3" not in said


@pytest.mark.long
async def test_pieces_can_be_edited_and_deleting_one_deletes_all(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for album in ("A", "B"):
            for number in (1, 2):
                piece = Piece(album, number)
                await write(
                    scene, f"{album}{number}", f"text {number}", f"dm-{album}", id=f"{album}{number}", piece=piece
                )
        await edit(scene, "A1", "edited 1", "dm-A", piece=Piece("A", 1))
        await edit(scene, "A2", "edited 2", "dm-A", piece=Piece("A", 2))
        await delete(scene, "B2", "dm-B")
        await scene.wait_for(1)
        assert await scene.ask("alice", "after", "dm-B") == "heard: after"
    assert answers(scene) == ["heard: edited 1\n\nedited 2", "heard: after"]


@pytest.mark.long
async def test_an_edit_can_make_an_album_one_for_the_bot(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for number in (1, 2):
            piece = Piece("A", number)
            await write(scene, f"A{number}", f"text {number}", "group", piece=piece, addressed=False)
        await edit(scene, "A2", "for you", "group", piece=Piece("A", 2))
        await scene.wait_for(1)
    assert answers(scene) == ["heard: text 1\n\nfor you"]


def an_event(key: str, text: str, **fields: Any) -> Event:
    payload = {"id": key, "text": text, "person": "alice", "place": "dm-alice", "tenant": "T1"}
    where = place("dm-alice")
    return Event(f"{key} {text}", where, json.dumps(payload), key, author="alice", content=text, **fields)


async def test_messages_and_their_changes_in_one_transaction(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        events = [
            an_event("M1", "helo"),
            an_event("M1", "hello", change=Change.EDITED, revision=1),
            an_event("M2", "secret"),
            an_event("M2", "", change=Change.DELETED),
            an_event("M3", "edited", change=Change.EDITED, revision=1),
            an_event("M3", "before"),
        ]
        new = [True, False, True, False, False, True]
        assert await scene.gateway.parts.inbox.accept(events) == new
        await scene.wait_for(2)
        assert await scene.ask("alice", "after") == "heard: after"
    assert answers(scene) == ["heard: hello", "heard: edited", "heard: after"]


@pytest.mark.processes
async def test_a_message_that_is_claimed_while_it_is_edited_is_played_as_edited(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    scene = stage(tmp_path, database=postgres.make())
    database, inbox = scene.gateway.parts.backend.database, scene.gateway.parts.inbox
    async with scene.gateway.lifespan():
        await write(scene, "M1", "helo")
        ((conversation_id,),) = scene.rows("SELECT conversation_id FROM inbox")
        async with database.write() as connection:
            await inbox._events.add(connection, [an_event("M1", "hello", change=Change.EDITED, revision=1)])
            claiming = asyncio.create_task(inbox.claim(conversation_id))
            await scene.wait_until_rows("SELECT count(*) FROM pg_locks WHERE NOT granted", 1)
        claimed = (await claiming).message
    assert claimed is not None
    assert json.loads(claimed.payloads[0])["text"] == "hello"
