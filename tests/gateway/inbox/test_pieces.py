"""Messages that a platform delivers in pieces are played in one turn, in whatever order the pieces come."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from pydantic_ai.models.function import FunctionModel
from support.gate import Gate
from support.stage import Stage, place, stage, stage_timings

from gateway import Agent
from gateway.channels import Event, Piece
from toolkits import Attachment, AttachmentKind

pytestmark = pytest.mark.long  # a turn begins a second after the last piece

PATIENT = stage_timings(piece_silence=3600.0, longest_pieces=3600.0)


async def write(
    scene: Stage, album: str, number: int, text: str = "", where: str = "dm-alice", **fields: object
) -> bool:
    """Write a piece of an album."""
    identifier = fields.pop("id", f"{album}-{number}")
    return await scene.write("alice", text, where, id=identifier, piece=Piece(album, number), **fields)


def answers(scene: Stage) -> list[str]:
    return [sent.text for sent in scene.sent]


def answers_in(scene: Stage, where: str) -> list[str]:
    return [sent.text for sent in scene.sent if sent.conversation == where]


async def test_pieces_in_any_order_are_one_message_in_the_order_of_their_numbers(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url)
    orders = list(itertools.permutations([1, 2, 10]))
    async with scene.open():
        for index, order in enumerate(orders):
            for number in order:
                assert await write(scene, f"album{index}", number, f"text{number}", f"dm-{index}")
            await scene.write("alice", "after", f"dm-{index}")
        await scene.wait_for(2 * len(orders))
        for index in range(len(orders)):
            assert answers_in(scene, f"dm-{index}") == ["heard: text1\n\ntext2\n\ntext10", "heard: after"]
    assert scene.rows("SELECT DISTINCT status FROM inbox") == [("done",)]


async def test_the_attachments_of_all_pieces_are_in_the_message_in_order(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    for number in (1, 2, 3):
        attachment = Attachment(AttachmentKind.LOCATION, text=f"place {number}")
        scene.channel.attachments[f"file{number}"] = attachment
    async with scene.open():
        for number, text in ((3, ""), (1, "look"), (2, "")):
            await write(scene, "album", number, text, attachments=[f"file{number}"])
        await scene.wait_for(1)
    (answer,) = answers(scene)
    assert answer.index("look") < answer.index("place 1") < answer.index("place 2") < answer.index("place 3")


async def test_messages_around_pieces_are_answered_in_their_order(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await scene.write("alice", "before")
        await write(scene, "first", 1, "one")
        await scene.write("alice", "between")
        await write(scene, "second", 3, "three")
        await write(scene, "first", 2, "two")
        await write(scene, "second", 4, "four")
        await scene.write("alice", "after")
        await scene.wait_for(5)
    said = ["before", "one\n\ntwo", "between", "three\n\nfour", "after"]
    assert answers(scene) == [f"heard: {text}" for text in said]


async def test_pieces_that_several_processes_accept_at_once_are_one_message(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await asyncio.gather(*(write(scene, "album", number, str(number)) for number in range(10)))
        await scene.wait_for(1)
        assert await scene.ask("alice", "after") == "heard: after"
    assert answers(scene)[0] == "heard: " + "\n\n".join(map(str, range(10)))


@pytest.mark.processes
async def test_gateways_beside_each_other_gather_the_pieces_of_one_message(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    database_url = postgres.make()
    first = stage(tmp_path, database=database_url)
    second = stage(tmp_path, database=database_url)
    async with first.open(), second.gateway.lifespan():
        scenes = itertools.cycle([first, second])
        await asyncio.gather(
            *(
                write(next(scenes), f"album{number // 4}", number, str(number), "group", addressed=number % 4 == 3)
                for number in range(16)
            )
        )
        await first.wait_for(4)
        assert await first.ask("alice", "after") == "heard: after"
    said = ["\n\n".join(str(4 * album + number) for number in range(4)) for album in range(4)]
    assert sorted(answers(first)) == sorted(["heard: after", *(f"heard: {text}" for text in said)])


@pytest.mark.parametrize("addressed", [0, 1, 2])
async def test_an_album_is_for_the_bot_if_one_of_its_pieces_is_whichever_comes_first(
    tmp_path: Path, database_url: str, addressed: int
) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for number in range(3):
            await write(scene, "album", number, str(number), "group", addressed=number == addressed)
        await scene.write("alice", "after", "group")
        await scene.wait_for(2)
    assert answers(scene) == ["heard: 0\n\n1\n\n2", "heard: after"]


@pytest.mark.parametrize("addressed", [0, 1, 2])
async def test_pieces_in_one_transaction_are_one_message_if_one_is_for_the_bot(
    tmp_path: Path, database_url: str, addressed: int
) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        events = []
        for number in range(3):
            payload = {"id": str(number), "text": str(number), "person": "alice", "place": "group", "tenant": "T1"}
            piece = Piece("album", number)
            is_addressed = number == addressed
            events.append(Event(f"E{number}", place("group"), json.dumps(payload), piece=piece, addressed=is_addressed))
        await scene.gateway.parts.inbox.accept(events)
        await scene.wait_for(1)
    assert answers(scene) == ["heard: 0\n\n1\n\n2"]


@pytest.mark.long
async def test_pieces_that_are_not_for_the_bot_delay_nothing_and_leave_nothing(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url, timings=stage_timings(longest_pieces=0.5))
    async with scene.open():
        for number in range(3):
            await write(scene, "album", number, "secret", "group", addressed=False)
        assert await scene.ask("bob", "hello", "group") == "heard: hello"
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE payload LIKE '%secret%'", 0)
        await scene.wait_until_rows("SELECT count(*) FROM pieces", 0)
        await write(scene, "album", 7, "for you", "group")  # so late that the others are gone
        await scene.wait_for(2)
    assert answers(scene) == ["heard: hello", "heard: for you"]


async def test_a_second_delivery_of_a_piece_adds_nothing(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for _ in range(2):
            await write(scene, "album", 1, "held", "group", addressed=False)
            await write(scene, "album", 2, "held too", "group", addressed=False)
        assert await write(scene, "album", 3, "for you", "group")
        assert not await write(scene, "album", 3, "for you", "group")
        await scene.wait_for(1)
    assert answers(scene) == ["heard: held\n\nheld too\n\nfor you"]


async def test_a_piece_that_comes_after_the_turn_began_starts_no_other(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url)
    async with scene.open():
        await write(scene, "album", 1, "one", "group")
        await gate.holds(1)
        await write(scene, "album", 2, "two", "group")
        await write(scene, "album", 3, "three", "group", addressed=False)
        gate.opened.set()
        await scene.wait_for(1)
        await write(scene, "album", 4, "four", "group")
        assert await scene.ask("alice", "after", "group") == "answer to after"
        await scene.change("DELETE FROM outbox")
        await scene.change("DELETE FROM inbox")
        await write(scene, "album", 5, "five", "group")
        await write(scene, "album", 6, "six", "group", addressed=False)
        assert await scene.ask("alice", "after all", "group") == "answer to after all"
    assert answers(scene) == ["answer to one", "answer to after", "answer to after all"]


async def test_a_piece_joins_its_message_while_that_waits_behind_another(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url)
    async with scene.open():
        await scene.write("alice", "before")
        await gate.holds(1)
        await write(scene, "album", 1, "one")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'waiting'", 1)
        await write(scene, "album", 2, "two")
        gate.opened.set()
        await scene.wait_for(2)
    assert answers(scene) == ["answer to before", "answer to one\n\ntwo"]


async def test_a_message_is_complete_in_the_end_though_pieces_keep_coming(tmp_path: Path, database_url: str) -> None:
    timings = stage_timings(piece_silence=3600.0, longest_pieces=0.5)
    scene = stage(tmp_path, database=database_url, timings=timings)
    async with scene.open():
        await write(scene, "album", 1, "one")
        await write(scene, "album", 2, "two")
        await scene.wait_for(1)
    assert answers(scene) == ["heard: one\n\ntwo"]


async def test_pieces_outlive_the_process_that_took_them(tmp_path: Path, database_url: str) -> None:
    first = stage(tmp_path, database=database_url, timings=PATIENT)
    async with first.open():
        await write(first, "album", 1, "one", "group", addressed=False)
        await write(first, "album", 2, "two", "group")
        await first.write("alice", "after", "group")
    second = stage(tmp_path, database=database_url, written=10)
    async with second.open():
        await write(second, "album", 3, "three", "group", addressed=False)
        await second.wait_for(2)
    assert answers(first) == []
    assert answers(second) == ["heard: one\n\ntwo\n\nthree", "heard: after"]


@pytest.mark.parametrize("when_busy", ["collect", "interrupt"])
async def test_a_message_in_pieces_is_joined_as_a_whole(tmp_path: Path, database_url: str, when_busy: str) -> None:
    gate = Gate()
    agent = Agent(model=FunctionModel(gate.model), when_busy=when_busy)
    scene = stage(tmp_path, agent=agent, database=database_url, timings=stage_timings(interruption_interval=0.01))
    async with scene.open():
        await scene.write("alice", "before")
        await gate.holds(1)
        await write(scene, "album", 2, "two")
        await write(scene, "album", 1, "one")
        await scene.write("alice", "after")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status IN ('waiting', 'joined')", 2)
        gate.opened.set()
        await scene.wait_until(lambda: "\n\n".join(answers(scene)).endswith("one\n\ntwo\n\nafter"))


async def test_old_messages_are_removed_with_their_pieces(tmp_path: Path, database_url: str) -> None:
    scene = stage(
        tmp_path, database=database_url, settings={"keep_days": 1e-9}, timings=stage_timings(removal_interval=0.05)
    )
    async with scene.open():
        await write(scene, "album", 1, "one")
        await write(scene, "album", 2, "two")
        await scene.wait_for(1)
        await scene.wait_until_rows("SELECT count(*) FROM inbox", 0)
        await scene.wait_until_rows("SELECT count(*) FROM pieces", 0)
