"""A conversation that gets another id keeps its history, its order and all that waits, also if the new id is in use."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo
from support.stage import CANCEL, IMPATIENT, Orders, Stage, Vault, obey, place, stage, stage_timings, texts_told

from gateway import Conversation, TurnContext
from gateway.channels import Feedback, Rating
from gateway.channels.errors import RetryLaterError
from oauth import Identity
from toolkits import Toolkit, tool

OLD, NEW = "room", "hall"
ALICE = Identity("stage", "T1", "alice")


class Gate(Toolkit):
    """A toolkit whose tool waits until the test opens the gate of the conversation."""

    _clone_shared_attrs = ("gates", "begun")

    def __init__(self) -> None:
        self.gates = {OLD: asyncio.Event(), NEW: asyncio.Event()}
        self.begun: list[str] = []

    @tool(read_only=True)
    async def hold(self, context: TurnContext) -> str:
        """Wait."""
        where = context.conversation.id
        self.begun.append(where)
        await self.gates[where].wait()
        return f"held in {where}"

    @tool
    async def choose(self, context: TurnContext) -> str:
        """Ask a question that everybody reads."""
        return await context.ask("Which?", ["Red", "Blue"])


async def recall(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call the tool that the message names, or answer with all that was said."""
    last = messages[-1]
    assert isinstance(last, ModelRequest)
    if results := [str(part.content) for part in last.parts if isinstance(part, ToolReturnPart)]:
        return ModelResponse([TextPart(results[0])])
    said = texts_told(messages)
    if said[-1] in [each.name for each in info.function_tools]:
        return ModelResponse([ToolCallPart(said[-1], {})])
    return ModelResponse([TextPart(f"heard {'; '.join(said)}")])


async def move(scene: Stage, old: str = OLD, new: str = NEW) -> None:
    await scene.gateway.host.move(place(old), new)


async def begun(scene: Stage, gate: Gate, where: str) -> None:
    """Have a turn begin in a conversation, and wait until it is held."""
    before = gate.begun.count(where)
    await scene.write("alice", "hold", where)
    await scene.wait_until(lambda: gate.begun.count(where) > before)


def said(scene: Stage) -> list[tuple[str, str]]:
    return [(sent.conversation, sent.text) for sent in scene.sent]


async def test_a_moved_conversation_keeps_its_history_and_is_found_by_its_old_id(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Gate()], recall, database=database_url)
    async with scene.open():
        await scene.ask("alice", "one", OLD)
        await move(scene)
        await move(scene)  # the platform may report it twice
        await scene.ask("alice", "two", NEW)
        await scene.ask("alice", "three", OLD)  # it was written before the move, and delivered late
        await scene.gateway.send(place(OLD), "by its old id")
        await scene.wait_for(4)
    first, second = "heard one", "heard one; heard one; two"
    assert said(scene) == [
        (OLD, first),
        (NEW, second),
        (NEW, f"heard one; {first}; two; {second}; three"),
        (NEW, "by its old id"),
    ]


async def test_a_conversation_that_began_under_the_new_id_becomes_one_with_the_old_one(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Gate()], recall, database=database_url)
    async with scene.open():
        await scene.ask("alice", "one", OLD)
        await scene.ask("alice", "two", NEW)  # before the move was known
        await move(scene)
        answer = await scene.ask("alice", "three", NEW)
        assert answer == "heard one; heard one; two; heard two; three"
    assert scene.rows("SELECT DISTINCT conversation_id FROM inbox") == scene.rows(
        "SELECT id FROM conversations WHERE key = 'hall'"
    )


async def test_a_summary_hides_nothing_of_the_conversation_with_which_its_own_becomes_one(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Gate()], recall, database=database_url)
    async with scene.open():
        await scene.ask("alice", "one", OLD)
        await scene.ask("alice", "two", NEW)
        columns = "conversation_id, inbox_id, owner_tenant, owner_user_id, owner_name"
        await scene.change(
            f"INSERT INTO session_items ({columns}, role, text, private, engine, data, created_at, summary_until)"
            f"SELECT {columns}, 'summary', '', private, '', '', created_at, id FROM session_items WHERE text = 'two'"
        )
        await move(scene)
        assert await scene.ask("alice", "three", NEW) == "heard one; heard one; two; heard two; three"


@pytest.mark.parametrize("running", [[OLD], [NEW], [OLD, NEW]], ids=["old", "new", "both"])
async def test_messages_that_wait_during_a_move_are_answered_one_at_a_time_in_their_order(
    tmp_path: Path, database_url: str, running: list[str]
) -> None:
    gate = Gate()
    scene = stage(tmp_path, [gate], recall, database=database_url)
    async with scene.open():
        for where in running:
            await begun(scene, gate, where)
            await scene.write("alice", f"after {where}", where)
        await move(scene)
        await scene.write("alice", "last", NEW)
        for number, where in enumerate(running, 1):
            gate.gates[where].set()
            if number < len(running):
                await scene.wait_for(number)
        texts = [sent.text for sent in await scene.wait_for(2 * len(running) + 1)]
    assert sorted(texts[: len(running)]) == sorted(f"held in {where}" for where in running)
    heard = [text.rpartition("; ")[2] for text in texts[len(running) :]]
    assert heard == [*(f"after {where}" for where in running), "last"]
    for where in running:  # the last turn reads all of the history
        assert f"held in {where}" in texts[-1]
    assert {sent.conversation for sent in scene.sent[len(running) :]} == {NEW}


async def test_an_answer_that_is_being_sent_during_a_move_is_sent_once_and_before_the_next(
    tmp_path: Path, database_url: str
) -> None:
    scene, gate, sending = stage(tmp_path, database=database_url), asyncio.Event(), asyncio.Event()
    presenter = scene.channel.presenter
    send = presenter.send_text

    async def send_later(conversation: Conversation, text: str, reply_to: str, *, key: str) -> str:
        sending.set()
        await gate.wait()
        return await send(conversation, text, reply_to, key=key)

    presenter.send_text = send_later  # type: ignore[method-assign]
    async with scene.open():
        await scene.write("alice", "one", NEW)
        await sending.wait()
        await scene.write("alice", "before", OLD)
        await move(scene)
        await scene.write("alice", "two", NEW)
        gate.set()
        await scene.wait_for(3)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)
    texts = [sent.text for sent in scene.sent]
    assert sorted(texts) == ["heard: before", "heard: one", "heard: two"]
    assert texts.index("heard: one") < texts.index("heard: two")


async def test_a_turn_that_runs_under_the_new_id_during_a_move_can_be_stopped(
    tmp_path: Path, database_url: str
) -> None:
    gate = Gate()
    scene = stage(tmp_path, [gate], recall, database=database_url)
    async with scene.open():
        await scene.ask("alice", "one", OLD)
        await begun(scene, gate, NEW)
        await move(scene)
        assert await scene.gateway.host.stop(place(NEW), "alice")
        assert (await scene.wait_for(2))[1].text == "Stopped."
        assert await scene.ask("alice", "two", NEW)


async def test_a_turn_under_the_new_id_that_a_stopped_process_left_is_played_after_a_move(
    tmp_path: Path, database_url: str
) -> None:
    gate, options = Gate(), {"database": database_url, "timings": stage_timings(shutdown_grace=0.1)}
    scene = stage(tmp_path, [gate], recall, **options)
    async with scene.open():
        await scene.ask("alice", "one", OLD)
        await begun(scene, gate, NEW)
        await move(scene)
        await scene.write("alice", "two", NEW)
    gate.gates[NEW].set()
    scene = stage(tmp_path, [gate], recall, written=3, **options)
    async with scene.open():
        texts = [sent.text for sent in await scene.wait_for(2)]
        assert await scene.ask("alice", "three", NEW)
    assert "held in hall" in texts
    assert all("one" in text for text in texts if text.startswith("heard"))
    assert set(scene.rows("SELECT status FROM inbox")) == {("done",)}


async def test_a_sign_in_and_a_question_that_wait_are_completed_under_the_new_id(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Vault(), orders := Orders()], database=database_url)
    async with scene.open():
        await scene.write("alice", "call open_vault", OLD)
        await scene.write("bob", CANCEL, OLD)
        await scene.wait_for(2)
        await scene.write("alice", "hello", NEW)
        await scene.wait_for(3)
        await move(scene)
        link = next(sent.link for sent in scene.sent if sent.sign_in is not None)
        await scene.connect(link, "alice")
        card = next(sent.card for sent in scene.sent if sent.card is not None)
        await scene.press("bob", card, "Approve")
        await scene.wait_for(5)
    assert orders.cancelled == ["4711"]
    assert {sent.conversation for sent in scene.sent[3:]} == {NEW}


async def test_a_question_under_the_old_id_is_answered_by_a_message_under_the_new_one(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Gate()], recall, database=database_url)
    async with scene.open():
        await scene.write("alice", "choose", OLD)
        await scene.wait_for(1)
        await move(scene)
        assert await scene.ask("alice", "red", NEW) == "Red"


async def test_of_two_open_questions_the_older_is_asked_again_after_the_newer(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Gate()], recall, database=database_url)
    async with scene.open():
        for number, where in enumerate([OLD, NEW], 1):
            await scene.write("alice", "choose", where)
            await scene.wait_for(number)
        await move(scene)
        await scene.write("alice", "red", NEW)
        sent = await scene.wait_for(4)
        again = next(each.card for each in sent[2:] if each.card is not None)
        await scene.press("alice", again, "Blue")
        await scene.wait_for(5)
    assert {each.text for each in scene.sent[2:]} == {"Red", "Which?", "Blue"}
    assert {each.conversation for each in scene.sent[2:]} == {NEW}


async def test_what_is_scheduled_or_paused_goes_to_the_new_id(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url, timings=IMPATIENT)
    async with scene.open():
        await scene.gateway.send(place(OLD), "reminder", at=datetime.now(UTC) + timedelta(hours=1))
        scene.channel.presenter.failures.append(RetryLaterError(3600))
        await scene.gateway.send(place(OLD), "paused")
        await scene.wait_until_rows("SELECT count(*) FROM pauses WHERE key = 'room'", 1)
        await move(scene)
        assert scene.rows("SELECT key FROM pauses") == [(NEW,)]
        await scene.change("UPDATE pauses SET until = (SELECT min(created_at) FROM outbox)")
        await scene.change("UPDATE outbox SET due_at = created_at")
        await scene.wait_for(2)
    assert sorted(said(scene)) == [(NEW, "paused"), (NEW, "reminder")]


async def test_an_answer_can_still_be_rated_after_a_move(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await scene.ask("alice", "one", OLD)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 1)
        await move(scene)
        assert await scene.gateway.host.rate(Feedback(ALICE, place(NEW), Rating.UP, platform_id="p1"))
        assert list((await scene.gateway.host.ratings(ALICE, place(NEW))).values()) == [Rating.UP]


async def test_only_the_conversation_of_that_tenant_and_those_in_it_move(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Gate()], recall, database=database_url)
    async with scene.open():
        for where in (f"{OLD}/1", f"{OLD}/2", f"{OLD}s", "dm-alice"):
            await scene.ask("alice", "hello", where)
        await scene.ask("alice", "hello", f"{OLD}/1", tenant="T2")
        await move(scene)
        await move(scene, "dm-alice", "dm-bob")
    moved = "SELECT key, tenant FROM conversations WHERE moved_to IS NULL ORDER BY key, tenant"
    assert sorted(scene.rows(moved)) == [
        ("dm-alice", "T1"),
        ("hall/1", "T1"),
        ("hall/2", "T1"),
        ("room/1", "T2"),
        ("rooms", "T1"),
    ]


@pytest.mark.parametrize("where", [OLD, NEW])
async def test_a_private_answer_stays_private_when_conversations_become_one(
    tmp_path: Path, database_url: str, where: str
) -> None:
    told: list[str] = []

    async def note(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append(str(messages))
        return await obey(messages, info)

    scene = stage(tmp_path, [Vault()], note, database=database_url)
    async with scene.open():
        await scene.write("alice", "call open_vault", where)
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        await scene.wait_for(2)
        await scene.ask("bob", "hello", OLD if where == NEW else NEW)
        await move(scene)
        await scene.ask("bob", "what did she get?", NEW)
        await scene.ask("alice", "what did I get?", NEW)
    secret = scene.sent[1].text
    assert scene.sent[1].alone == "alice"
    assert "open_vault" in told[-2]  # her message, which everybody reads
    assert secret not in told[-2]
    assert secret in told[-1]


@pytest.mark.long
async def test_moves_and_messages_at_the_same_time_lose_nothing(tmp_path: Path, database_url: str) -> None:
    """Report each move twice, as a platform does, while messages with both ids arrive."""
    scene, rooms = stage(tmp_path, database=database_url), range(20)
    async with scene.open():
        for room in rooms:
            await scene.ask("alice", "one", f"{OLD}{room}")
        host = scene.worker.host if scene.worker is not None else scene.gateway.host
        for room in rooms:
            await asyncio.gather(
                scene.write("alice", "old", f"{OLD}{room}"),
                host.move(place(f"{OLD}{room}"), f"{NEW}{room}"),
                scene.write("alice", "new", f"{NEW}{room}"),
                scene.gateway.host.move(place(f"{OLD}{room}"), f"{NEW}{room}"),
            )
        await scene.wait_for(3 * len(rooms))
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status <> 'done'", 0)
        for room in rooms:
            await scene.write("alice", "last", f"{OLD}{room}")
        await scene.wait_for(4 * len(rooms))
    kept = scene.rows(
        "SELECT key, count(*) FROM conversations JOIN inbox ON conversation_id = conversations.id GROUP BY 1"
    )
    assert sorted(kept) == sorted((f"{NEW}{room}", 4) for room in rooms)


async def test_a_conversation_that_begins_under_the_new_id_during_the_move_is_merged(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, [Gate()], recall, database=database_url)
    async with scene.open():
        await scene.ask("alice", "one", OLD)
        parts = scene.gateway.parts
        async with parts.backend.database.write() as connection:
            await parts.inbox.conversation_id(connection, place(NEW))
            moving = asyncio.create_task(move(scene))
            if scene.worker is not None:
                waits = "datname = current_database() AND wait_event_type = 'Lock'"
                await scene.wait_until_rows(f"SELECT count(*) FROM pg_stat_activity WHERE {waits}", 1)
        await moving
        assert await scene.ask("alice", "two", NEW) == "heard one; heard one; two"
