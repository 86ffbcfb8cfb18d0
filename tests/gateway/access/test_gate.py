"""Channels answer whom their policy admits, and store nothing of what others write."""

from itertools import product
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from support.stage import CANCEL, TENANT, Orders, Stage, stage

from gateway import Identity
from gateway.access.entries import AccessList, Entry, Kind
from gateway.access.pairing import NOT_ADMITTED
from gateway.channels import AccessPolicy, Change, EventNotAcceptedError, Feedback, Piece, PressOutcome, Rating
from gateway.testing import place

SECRET = "my secret plan"


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Stage:
    made = stage(tmp_path, database=database_url)
    made.channel.access = AccessPolicy.ALLOWLIST
    return made


def entries(scene: Stage) -> AccessList:
    return AccessList(scene.gateway.parts.backend.database)


def person(user_id: str, tenant: str = TENANT) -> Entry:
    return Entry("stage", tenant, Kind.PERSON, user_id)


def chat(name: str) -> Entry:
    return Entry("stage", TENANT, Kind.CHAT, name)


WORKSPACE = Entry("stage", TENANT, Kind.WORKSPACE, "")

ADMITTED_BY = {
    "nothing": [],
    "the person": [person("alice")],
    "the chat": [chat("group")],
    "the workspace": [WORKSPACE],
}


@pytest.mark.parametrize(
    ("policy", "where", "listed"), list(product(AccessPolicy, ("dm-alice", "group", "group/topic"), ADMITTED_BY))
)
async def test_a_message_is_accepted_if_the_policy_admits_its_person_its_chat_or_its_workspace(
    tmp_path: Path, policy: AccessPolicy, where: str, listed: str
) -> None:
    scene = stage(tmp_path)
    scene.channel.access = policy
    is_listed = listed in ("the person", "the workspace") or (listed == "the chat" and where != "dm-alice")
    async with scene.open():
        for entry in ADMITTED_BY[listed]:
            await entries(scene).allow(entry)
        assert await scene.write("alice", SECRET, where) == (is_listed or policy is AccessPolicy.OPEN)


@pytest.mark.parametrize("other", [person("bob"), person("alice", "T2"), chat("other"), chat("dm-bob")])
async def test_an_entry_admits_nobody_else(scene: Stage, other: Entry) -> None:
    async with scene.open():
        await entries(scene).allow(other)
        assert not await scene.write("alice", SECRET)
        assert not await scene.write("alice", SECRET, "group")


async def test_a_stranger_who_writes_directly_is_told_once_and_nothing_of_them_is_stored(scene: Stage) -> None:
    async with scene.open():
        for _ in range(3):
            assert not await scene.write("alice", SECRET)
        assert not await scene.write("alice", "/help", command="help", stops=True)
        assert not await scene.write("alice", SECRET, piece=Piece("album", 1))
        assert not await scene.write("alice", SECRET, id="m1", message_key="m1", content="c", change=Change.EDITED)
        await scene.wait_for(1)
        await entries(scene).allow(person("bob"))
        await scene.ask("bob", "hello")
    assert [(sent.conversation, sent.text) for sent in scene.sent] == [
        ("dm-alice", NOT_ADMITTED),
        ("dm-bob", "heard: hello"),
    ]
    assert scene.rows("SELECT count(*) FROM inbox") == [(1,)]
    assert scene.rows("SELECT count(*) FROM dedupe_keys") == [(1,)]
    assert scene.rows("SELECT count(*) FROM pieces") == [(0,)]


async def test_a_stranger_in_a_group_gets_no_answer(scene: Stage) -> None:
    async with scene.open():
        await entries(scene).allow(person("bob"))
        assert not await scene.write("alice", SECRET, "group")
        await scene.ask("bob", "hello", "group")
    assert [sent.text for sent in scene.sent] == ["heard: hello"]
    assert scene.rows("SELECT count(*) FROM outbox") == [(1,)]


@pytest.mark.processes
async def test_a_change_of_the_list_takes_effect_at_once_in_every_process(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.make()
    one, two = stage(tmp_path, database=url), stage(tmp_path, database=url)
    one.channel.access = two.channel.access = AccessPolicy.ALLOWLIST
    async with one.open(), two.gateway.lifespan():
        assert not await two.write("alice", "hello")
        assert await entries(one).allow(person("alice"))
        assert not await entries(one).allow(person("alice"))
        assert await two.write("alice", "hello")
        assert await entries(one).remove(person("alice"))
        assert not await entries(one).remove(person("alice"))
        assert not await two.write("alice", "hello again", id="another")


async def test_buttons_and_ratings_of_people_who_were_removed_do_nothing(tmp_path: Path, database_url: str) -> None:
    orders = Orders()
    scene = stage(tmp_path, [orders], database=database_url)
    scene.channel.access = AccessPolicy.ALLOWLIST
    async with scene.open():
        await entries(scene).allow(chat("group"))
        await scene.write("alice", CANCEL, "group")
        (asked,) = await scene.wait_for(1)
        assert asked.card is not None
        yes = asked.card.choices[0].label
        await entries(scene).remove(chat("group"))
        assert (await scene.press("alice", asked.card, yes)).outcome is PressOutcome.CLOSED
        rating = Feedback(Identity("stage", TENANT, "alice"), place("group"), Rating.UP, platform_id="p1")
        assert not await scene.gateway.host.rate(rating)
        assert orders.cancelled == []
        await entries(scene).allow(chat("group"))
        assert (await scene.press("alice", asked.card, yes)).outcome is PressOutcome.TAKEN
        await scene.wait_for(2)
    assert len(orders.cancelled) == 1


async def test_a_stop_of_a_stranger_stops_nobodys_turn(scene: Stage) -> None:
    async with scene.open():
        await entries(scene).allow(person("bob"))
        await scene.ask("bob", "hello", "group")
        assert not await scene.write("alice", "/stop", "group", stops=True)
        assert not await scene.gateway.host.stop(place("group"), "alice")


async def test_people_may_delete_what_they_wrote_after_they_were_removed(scene: Stage) -> None:
    async with scene.open():
        event = {"message_key": "k1", "change": Change.DELETED}
        assert not await scene.write("alice", "", **event)
    assert scene.sent == []
    assert scene.rows("SELECT count(*) FROM inbox") == [(0,)]


async def test_an_approver_may_use_their_channel(tmp_path: Path) -> None:
    scene = stage(tmp_path, approvers=[Identity("stage", TENANT, "boss")])
    scene.channel.access = AccessPolicy.ALLOWLIST
    async with scene.open():
        assert await scene.ask("boss", "hello") == "heard: hello"


async def test_a_chat_stays_on_the_list_when_it_gets_another_id(scene: Stage) -> None:
    async with scene.open():
        await entries(scene).allow(chat("group"))
        await scene.ask("alice", "hello", "group")
        await scene.gateway.host.move(place("group"), "supergroup")
        assert await scene.write("alice", "hello again", "supergroup")
        assert not await scene.write("alice", "hello again", "group", id="late")


async def test_an_event_is_delivered_again_if_the_database_does_not_answer(scene: Stage) -> None:
    async with scene.open():
        await scene.change("ALTER TABLE access_list RENAME TO gone")
        with pytest.raises(EventNotAcceptedError):
            await scene.write("alice", "hello")
        await scene.change("ALTER TABLE gone RENAME TO access_list")
