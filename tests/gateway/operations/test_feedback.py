"""People rate the answers that they can see, and the operator's hook is called once for each change."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from commands.in_process import invoke
from support.stage import STAGE_TIMINGS, Stage, Vault, place, stage
from typer.testing import CliRunner

from gateway import FeedbackRecord, Rating
from gateway.channels import Feedback, MalformedEventError
from gateway.cli.main import app
from gateway.operations.retention import Retention
from gateway.storage.connect import connect
from oauth import Identity

UP, DOWN = Rating.UP, Rating.DOWN
OLD = "'2020-01-01 00:00:00.000000'"


def feedback(person: str, where: str, rating: Rating = UP, **fields: Any) -> Feedback:
    return Feedback(Identity("stage", "T1", person), place(where), rating, **fields)


def references(scene: Stage) -> list[str]:
    return [row[0] for row in scene.rows("SELECT reference FROM outbox ORDER BY id")]


def ratings(scene: Stage) -> list[tuple[str, str, str, str]]:
    return scene.rows("SELECT user_id, conversation, reference, rating FROM feedback ORDER BY id")


async def answered(scene: Stage, person: str, text: str, where: str | None = None) -> None:
    await scene.ask(person, text, where)
    await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)


async def test_the_last_rating_of_each_person_counts_until_they_take_it_back(tmp_path: Path, database_url: str) -> None:
    changes: list[FeedbackRecord] = []
    heard = asyncio.Event()

    async def on_feedback(change: FeedbackRecord) -> None:
        changes.append(change)
        if change.user_id == "bob":
            heard.set()

    scene = stage(tmp_path, database=database_url, on_feedback=on_feedback)
    async with scene.open():
        rate = scene.gateway.host.rate
        await answered(scene, "alice", "hello", "room/7")
        (reference,) = references(scene)
        assert await rate(feedback("alice", "room", UP, platform_id="p1"))
        assert await rate(feedback("alice", "room", UP, platform_id="p1"))  # delivered twice
        assert await rate(feedback("alice", "room", DOWN, platform_id="p1", comment="no"))
        assert await rate(feedback("alice", "room", UP, platform_id="p1", taken_back=True))  # not the last rating
        assert ratings(scene) == [("alice", "room/7", reference, "down")]
        assert await scene.gateway.host.ratings(Identity("stage", "T1", "alice"), place("room/7")) == {reference: DOWN}
        assert await rate(feedback("alice", "room/7", DOWN, reference=reference, taken_back=True))
        assert await rate(feedback("bob", "room/7", UP, reference=reference))
        assert ratings(scene) == [("bob", "room/7", reference, "up")]
        async with asyncio.timeout(30):
            await heard.wait()
    assert [(each.user_id, each.rating, each.comment) for each in changes] == [
        ("alice", UP, None),
        ("alice", DOWN, "no"),
        ("alice", None, None),
        ("bob", UP, None),
    ]
    assert {(each.channel, each.tenant, each.conversation, each.reference) for each in changes} == {
        ("stage", "T1", "room/7", reference)
    }


async def test_a_thumb_that_comes_many_times_at_once_is_one_change(tmp_path: Path, database_url: str) -> None:
    changes: list[Rating | None] = []

    async def on_feedback(change: FeedbackRecord) -> None:
        changes.append(change.rating)

    scene = stage(tmp_path, database=database_url, on_feedback=on_feedback)
    async with scene.open():
        await answered(scene, "alice", "hello")
        for taken_back in (False, True):
            thumb = feedback("alice", "dm-alice", UP, platform_id="p1", taken_back=taken_back)
            assert await asyncio.gather(*(scene.gateway.host.rate(thumb) for _ in range(8))) == [True] * 8
    assert changes == [UP, None]


async def test_an_answer_is_rated_only_where_its_person_can_see_it(tmp_path: Path, vault: Vault) -> None:
    scene = stage(tmp_path, [vault])
    async with scene.open():
        rate = scene.gateway.host.rate
        await answered(scene, "alice", "hello", "room/7")
        await answered(scene, "alice", "hello")
        await scene.write("alice", "call open_vault")
        await scene.connect((await scene.wait_for(3))[2].link, "alice")
        await scene.wait_for(4)
        await answered(scene, "alice", "call open_vault", "room/7")
        assert scene.sent[4].alone == "alice"
        reference, *_ = references(scene)
        private = scene.rows("SELECT reference FROM outbox WHERE platform_id = 'p5'")[0][0]
        unseen = [
            feedback("bob", "room/8", reference=reference),
            feedback("bob", "roo", platform_id="p1"),
            feedback("bob", "dm-bob", platform_id="p2"),
            feedback("bob", "dm-bob", platform_id="p5"),
            feedback("bob", "room", platform_id="p5"),
            feedback("alice", "room", platform_id="p5"),
            feedback("bob", "room/7", reference=private),
            feedback("bob", "room/7", reference="00000000"),
            feedback("alice", "dm-alice", platform_id="p3"),  # a sign-in link
            Feedback(Identity("stage", "T2", "bob"), place("room/7", "T2"), UP, reference=reference),
        ]
        assert [await rate(each) for each in unseen] == [False] * len(unseen)
        assert ratings(scene) == []
        assert await rate(feedback("alice", "dm-alice", platform_id="p5"))
        assert ratings(scene) == [("alice", "room/7", private, "up")]


@pytest.mark.parametrize(
    "fields", [{"platform_id": ""}, {"reference": "a\0b"}, {"reference": "1", "where": "x" * 600}], ids=str
)
def test_feedback_with_an_id_that_cannot_be_stored_is_malformed(fields: dict[str, str]) -> None:
    with pytest.raises(MalformedEventError):
        feedback("alice", fields.pop("where", "room"), **fields)


async def test_a_hook_that_raises_or_hangs_stops_no_rating_and_no_later_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = asyncio.Event()
    calls: list[Callable[[], Awaitable[Any]]] = [fail, asyncio.Event().wait]

    async def on_feedback(_: FeedbackRecord) -> None:
        if calls:
            await calls.pop(0)()
        else:
            heard.set()

    timings = replace(STAGE_TIMINGS, feedback_hook=0.05)
    scene = stage(tmp_path, on_feedback=on_feedback, timings=timings)
    async with scene.open():
        await answered(scene, "alice", "hello", "room")
        for person in ("alice", "bob", "carol"):
            assert await scene.gateway.host.rate(feedback(person, "room", platform_id="p1"))
        async with asyncio.timeout(30):
            await heard.wait()
    assert "on_feedback failed" in caplog.text
    assert "on_feedback took longer" in caplog.text


async def fail() -> None:
    raise ValueError("the operator's mistake")


async def test_a_change_before_the_stop_is_still_told(tmp_path: Path) -> None:
    told: list[str] = []

    async def on_feedback(change: FeedbackRecord) -> None:
        await asyncio.sleep(0)
        told.append(change.user_id)

    scene = stage(tmp_path, on_feedback=on_feedback)
    async with scene.open():
        await answered(scene, "alice", "hello", "room")
        for person in ("alice", "bob"):
            await scene.gateway.host.rate(feedback(person, "room", platform_id="p1"))
    assert told == ["alice", "bob"]


async def test_the_command_lists_ratings_newest_first(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await answered(scene, "alice", "hello", "room")
        await scene.gateway.host.rate(feedback("alice", "room", UP, platform_id="p1"))
        await scene.gateway.host.rate(feedback("bob", "room", DOWN, platform_id="p1", comment="too long"))
        await scene.change(f"UPDATE feedback SET rated_at = {OLD} WHERE user_id = 'alice'")
        without_comments = await listed()
        assert await invoke("audit", "--json") == ""
        everything = await listed("--content")
        (read,) = map(json.loads, (await invoke("audit", "--json")).splitlines())
        filtered = [
            [each["user_id"] for each in await listed(*options)]
            for options in [("--rating", "up"), ("--since", "2021-01-01"), ("--user", "bob"), ("--limit", "1")]
        ]
        table = await asyncio.to_thread(CliRunner().invoke, app, ["feedback"])
    assert {each["comment"] for each in without_comments} == {None}
    assert (read["tool"], read["user_id"], read["conversation"]) == ("feedback --content", "bob", "room")
    assert [(each["user_id"], each["rating"], each["comment"]) for each in everything] == [
        ("bob", "down", "too long"),
        ("alice", "up", None),
    ]
    assert filtered == [["alice"], ["bob"], ["bob"], ["bob"]]
    assert table.output.splitlines()[1].split()[4:8] == ["bob", "down", "room", references(scene)[0]]


async def listed(*options: str) -> list[dict[str, Any]]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["feedback", "--json", *options])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


async def test_old_ratings_are_removed_with_the_messages(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        await answered(scene, "alice", "hello", "room")
        for person in ("alice", "bob"):
            await scene.gateway.host.rate(feedback(person, "room", platform_id="p1"))
        await scene.change(f"UPDATE feedback SET rated_at = {OLD} WHERE user_id = 'alice'")
        database = connect(database_url)
        await database.open_alongside()
        await Retention(database, timedelta(days=30)).remove()
        await database.close()
    assert [row[0] for row in ratings(scene)] == ["bob"]


async def test_only_answers_of_agents_have_the_buttons_to_rate_them(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        await answered(scene, "alice", "hello")
        await answered(scene, "alice", "/help")
        await scene.ask("alice", "", command="help")
        entries = await scene.gateway.host.transcript(place("dm-alice"))
    assert [entry.rated for entry in entries if entry.text] == [*references(scene)[:2], None]
