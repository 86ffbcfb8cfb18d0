"""Who reaches a limit of turns is told once until when, and gets no answer until then."""

import asyncio
import logging
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from peers.postgres import PostgresServer
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo
from support.consent.pages import code_on
from support.consent.sign_ins import sign_in
from support.stage import CANCEL, IMPATIENT, TENANT, Orders, Stage, Vault, obey, stage, stage_timings

from gateway import Identity
from gateway.channels import Change, Piece, PressOutcome
from gateway.operations.personal_data import PersonalData
from oauth import Keyring, OAuthCoordinator

MINUTE = re.compile(r"I answer up to 2 messages a minute from each person, .* in \d+ seconds?\.")
DAY = re.compile(r"I answer up to 2 messages a day from each person, .* in 2[34] hours.*\.")
PER_MINUTE, PER_DAY = {"turns_per_minute": 2}, {"turns_per_day": 2}

WRITE_AT_ONCE = Path(__file__).with_name("write_at_once.py")


def limited(directory: Path, toolkits: Any = (), per_day: int = 2, **options: Any) -> Stage:
    settings = {"turns_per_day": per_day} | options.pop("settings", {})
    return stage(directory, toolkits, settings=settings, **options)


async def end_windows(scene: Stage) -> None:
    """Let the minute and the day of everybody end."""
    for window in ("minute", "day"):
        await scene.change(f"UPDATE turn_counts SET {window}_until = '2020-01-01 00:00:00.000000'")


def turns(scene: Stage, person: str = "alice") -> int:
    """Return how many turns of a person are counted in the day."""
    (counted,) = scene.rows(f"SELECT day_turns FROM turn_counts WHERE user_id = '{person}'") or [(0,)]
    return int(counted[0])


def told(scene: Stage) -> list[str]:
    return [sent.text for sent in scene.sent if sent.text.startswith("I answer up to")]


@pytest.mark.parametrize(("limits", "sentence"), [(PER_MINUTE, MINUTE), (PER_DAY, DAY)], ids=["minute", "day"])
async def test_who_reaches_a_limit_is_told_once_until_when_and_is_answered_after_that(
    tmp_path: Path,
    database_url: str,
    limits: dict[str, int],
    sentence: re.Pattern[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    scene = stage(tmp_path, database=database_url, settings=limits)
    async with scene.open():
        for _ in range(2):
            assert await scene.ask("alice", "one", "group") == "heard: one"
            assert await scene.ask("alice", "two") == "heard: two"
            assert sentence.fullmatch(await scene.ask("alice", "my secret plan"))
            for where in ("dm-alice", "group"):
                assert not await scene.write("alice", "my secret plan", where)
            await end_windows(scene)
        assert await scene.ask("bob", "hello") == "heard: hello"
    assert len(told(scene)) == 2
    assert caplog.text.count("stage/T1/alice has reached the limit of 2 turns a ") == 2
    assert scene.rows("SELECT count(*) FROM inbox WHERE payload LIKE '%secret%'") == [(0,)]


async def test_the_longer_of_two_waits_is_told(tmp_path: Path) -> None:
    scene = stage(tmp_path, settings=PER_MINUTE | {"turns_per_day": 3})
    async with scene.open():
        for _ in range(2):
            await scene.ask("alice", "hello")
        assert "2 messages a minute" in await scene.ask("alice", "hello")
        await scene.change("UPDATE turn_counts SET minute_until = '2020-01-01 00:00:00.000000'")
        await scene.ask("alice", "hello")
        assert "3 messages a day" in await scene.ask("alice", "hello")
        assert not await scene.write("alice", "hello")
    assert len(told(scene)) == 2


async def test_what_is_refused_in_a_group_is_told_to_the_person_alone(tmp_path: Path) -> None:
    scene = limited(tmp_path, per_day=1)
    async with scene.open():
        await scene.ask("alice", "hello", "group")
        await scene.ask("alice", "hello again", "group")
        assert not await scene.write("alice", "hello again", "group")
        await scene.ask("bob", "hello", "group")
    assert [(sent.alone, sent.text[:14]) for sent in scene.sent] == [
        (None, "heard: hello"),
        ("alice", "I answer up to"),
        (None, "heard: hello"),
    ]


async def test_commands_answers_codes_and_buttons_are_not_counted_and_work_at_the_limit(
    tmp_path: Path, vault: Vault
) -> None:
    orders = Orders()
    scene = limited(tmp_path, [vault, orders])
    scene.channel.presenter.emails = {"alice": None}
    async with scene.open():
        await scene.ask("alice", CANCEL)
        asked = scene.sent[0].card
        assert asked is not None
        assert (await scene.press("alice", asked, asked.choices[0].label)).outcome is PressOutcome.TAKEN
        await scene.wait_for(2)
        await scene.ask("alice", CANCEL)
        assert "2 messages a day" in await scene.ask("alice", "12345678")  # no code is expected
        link = await scene.gateway.sign_in_link(Identity("stage", TENANT, "alice"), "Alice", "fake")
        code = code_on((await sign_in(scene, link, "other")).text)
        assert "is connected" in await scene.ask("alice", code)
        assert "/new" in await scene.ask("alice", "/help", command="help")
        assert not await scene.write("alice", "what is an order?")
        assert await scene.write("alice", "yes")
        await scene.wait_for(6)
        assert turns(scene) == 2
    assert orders.cancelled == ["4711"]


async def test_a_message_that_is_no_answer_is_counted_while_a_question_is_open(tmp_path: Path) -> None:
    scene = limited(tmp_path, [Orders()])
    async with scene.open():
        await scene.ask("alice", CANCEL)
        await scene.ask("alice", "yes", "group")  # the question is elsewhere
        assert not await scene.write("alice", "what is an order?")
        assert turns(scene) == 2


async def test_duplicates_and_retries_are_not_counted(tmp_path: Path) -> None:
    scene = limited(tmp_path, timings=IMPATIENT, model=Failing().model)
    async with scene.open():
        assert await scene.write("alice", "hello", id="E1", message_key="M1")
        assert not await scene.write("alice", "hello", id="E1", message_key="M1")
        assert not await scene.write("alice", "hello", id="E2", message_key="M1")
        await scene.wait_for(1)
        assert turns(scene) == 1
        assert await scene.ask("alice", "hello again") == "heard: hello again"
        assert not await scene.write("alice", "hello", id="E3", message_key="M3")
        assert not await scene.write("alice", "hello", id="E4", message_key="M3")
        await scene.wait_for(3)
        await end_windows(scene)
        assert not await scene.write("alice", "hello", id="E3", message_key="M3")  # it was refused for good
    assert len(told(scene)) == 1


@pytest.mark.parametrize("hidden", [(), (1,), (1, 2)], ids=["all mention the bot", "the second does", "the third does"])
async def test_an_album_is_counted_once_and_refused_whole(tmp_path: Path, hidden: tuple[int, ...]) -> None:
    scene = limited(tmp_path, per_day=1, timings=stage_timings(piece_silence=0.2))
    async with scene.open():
        for album in ("first", "second"):
            for number in (1, 2, 3):
                fields = {"piece": Piece(album, number), "addressed": number not in hidden}
                await scene.write("alice", f"{album} {number}", "group", **fields)
        await scene.wait_for(2)
    assert {sent.text for sent in scene.sent} == {"heard: first 1\n\nfirst 2\n\nfirst 3", told(scene)[0]}
    assert scene.rows("SELECT count(*) FROM inbox") == [(1,)]
    assert scene.rows("SELECT count(*) FROM pieces") == [(2,)]


async def test_an_album_that_is_for_the_bot_because_of_an_edit_is_counted(tmp_path: Path) -> None:
    scene = limited(tmp_path, per_day=1, timings=stage_timings(piece_silence=0.2))
    async with scene.open():
        for album in ("first", "second"):
            for number in (1, 2):
                fields = {"piece": Piece(album, number), "addressed": False, "message_key": f"{album}{number}"}
                await scene.write("alice", f"{album} {number}", "group", content="", **fields)
            edit = {"message_key": f"{album}1", "change": Change.EDITED, "revision": 1, "content": "edited"}
            await scene.write("alice", f"edited {album}", "group", piece=Piece(album, 1), **edit)
        await scene.wait_for(2)
    assert {sent.text for sent in scene.sent} == {"heard: edited first\n\nfirst 2", told(scene)[0]}
    assert scene.rows("SELECT count(*) FROM inbox") == [(1,)]


async def test_an_edit_is_counted_if_it_begins_a_turn(tmp_path: Path) -> None:
    scene = limited(tmp_path, settings={"answer_edits": True})

    async def edit(key: str, text: str, revision: int) -> bool:
        fields = {"message_key": key, "content": text, "change": Change.EDITED, "revision": revision}
        return await scene.write("alice", text, **fields)

    async def write(key: str, text: str) -> bool:
        return await scene.write("alice", text, message_key=key, content=text)

    async with scene.open():
        assert not await edit("M1", "an early edit", 1)
        assert turns(scene) == 0
        assert await write("M1", "draft")
        assert (await scene.wait_for(1))[0].text == "heard: an early edit"
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 1)
        assert await edit("M1", "a later edit", 2)
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'done'", 2)
        assert not await edit("M1", "the last edit", 3)
        assert not await edit("M2", "an early edit", 1)
        assert not await write("M2", "draft")
        await scene.wait_for(3)
        assert turns(scene) == 2
    assert [sent.text for sent in scene.sent] == ["heard: an early edit", "heard: a later edit", told(scene)[0]]
    assert scene.rows("SELECT count(*) FROM inbox") == [(2,)]


async def test_a_hundred_people_at_once_are_each_answered_up_to_the_limit(tmp_path: Path) -> None:
    """Their events are committed in groups, in which some are refused."""
    scene = limited(tmp_path, timings=stage_timings(due_interval=60.0))
    people = [f"p{number}" for number in range(100)]
    async with scene.open():
        written = await asyncio.gather(*(scene.write(person, "hello") for _ in range(4) for person in people))
        assert sum(written) == 200
        accepted = scene.rows("SELECT author, count(*) FROM inbox GROUP BY author")
        refused = scene.rows("SELECT conversation_id, count(*) FROM outbox WHERE status = 'scheduled' GROUP BY 1")
    assert dict(accepted) == dict.fromkeys(people, 2)
    assert Counter(count for _, count in refused) == {1: 100}


@pytest.mark.long
async def test_a_hundred_people_at_once_on_three_processes_are_each_answered_up_to_the_limit(
    postgres: PostgresServer,
) -> None:
    url, limit = postgres.make(), 3
    arguments = {"processes": 3, "people": 100, "times": 2, "limit": limit}
    given = [url, *map(str, arguments.values())]
    child = await asyncio.create_subprocess_exec(sys.executable, WRITE_AT_ONCE, *given, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        output, _ = await child.communicate()
    accepted = [int(line) for line in output.split()]
    assert len(accepted) == 3
    assert sum(accepted) == 100 * limit
    told = (
        "SELECT split_part(key, '/', 1), count(*) FROM outbox JOIN conversations c ON c.id = conversation_id GROUP BY 1"
    )
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for statement, expected in (
            ("SELECT author, count(*) FROM inbox GROUP BY 1", limit),
            ("SELECT user_id, day_turns FROM turn_counts", limit),
            (told, 1),
        ):
            rows = await (await connection.execute(statement)).fetchall()
            assert Counter(count for _, count in rows) == {expected: 100}


async def test_people_who_share_an_id_share_their_turns_and_are_told_nothing(tmp_path: Path) -> None:
    scene = limited(tmp_path)
    async with scene.open():
        for expected in (True, True, False):
            assert await scene.write("admins", "hello", "group", author_tenant="", anonymous=True) is expected
        await scene.ask("bob", "hello", "group")
    assert told(scene) == []


async def test_the_counts_of_a_person_are_exported_and_erased(tmp_path: Path) -> None:
    scene = limited(tmp_path)
    alice = Identity("stage", TENANT, "alice")
    async with scene.open():
        await scene.ask("alice", "hello")
        database = scene.gateway.parts.backend.database
        data = PersonalData(database, OAuthCoordinator(database, Keyring.parse(Keyring.generate()), None))
        assert [row["day_turns"] for row in (await data.export(alice))["turn_counts"]] == [1]
        assert (await data.erase(alice))["turn counts"] == 1
        assert turns(scene) == 0


class Failing:
    """A model that fails once."""

    def __init__(self) -> None:
        self._failed = False

    async def model(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if not self._failed:
            self._failed = True
            raise ModelHTTPError(503, "test")
        return await obey(messages, info)
