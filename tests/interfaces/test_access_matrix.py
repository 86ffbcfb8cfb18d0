"""Whom each policy admits, in each place of each channel."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import httpx
import pytest
from peers import seed
from peers.telegram import updates
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import twilio_webhook as twilio
from peers.webhooks.slack_events import OURS, Organization
from sqlalchemy import delete
from support.agents.held import Held
from support.channels.chatkit import by_header, written
from support.channels.running import URL, Run, Running
from support.channels.slack_api import SlackApi
from support.stage import IMPATIENT

from gateway.access.entries import AccessList, Entry, Kind
from gateway.channels import AccessPolicy, Interface
from gateway.storage.tables import access_requests
from interfaces.chatkit import ChatKit
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth import Identity

FORM = "application/x-www-form-urlencoded"
CHANNEL, GROUP, FORUM = seed.SLACK_CHANNEL_ID, str(updates.GROUP["id"]), str(updates.FORUM["id"])
THREAD = "1764000000.000100"


@dataclass(frozen=True)
class Place:
    """A place where a person writes to the bot.

    Args:
        request: returns the request for a message of a person.
        chat: the id of the chat; empty for a direct conversation.
        tells: whether people whom the policy does not admit are told so.
    """

    channel: str
    name: str
    request: Callable[[seed.Person], httpx.Request]
    chat: str = ""
    tells: bool = False


def identity(channel: str, person: seed.Person) -> Identity:
    """Return who a person is in a channel."""
    tenant, user_id = {
        "slack": (seed.SLACK_TEAM_ID, person.slack_id),
        "telegram": (str(updates.BOT_ID), str(person.telegram_id)),
        "whatsapp": (seed.WHATSAPP_NUMBER.removeprefix("whatsapp:"), person.phone),
        "web": ("dev", person.name),
        "chatkit": ("app", person.name),
    }[channel]
    return Identity(channel, tenant, user_id)


def slack_event(payload: dict[str, Any]) -> httpx.Request:
    body = json.dumps(payload).encode()
    return httpx.Request("POST", f"{URL}/slack/events", content=body, headers=events.headers(body))


def slack_command(form: dict[str, str]) -> httpx.Request:
    body = httpx.Request("POST", URL, data=form).read()
    headers = events.headers(body, content_type=FORM)
    return httpx.Request("POST", f"{URL}/slack/commands", content=body, headers=headers)


def telegram_update(update: dict[str, Any]) -> httpx.Request:
    headers = {"X-Telegram-Bot-Api-Secret-Token": updates.SECRET_TOKEN}
    return httpx.Request("POST", f"{URL}/telegram/webhook", json=update, headers=headers)


def whatsapp_form(form: dict[str, str]) -> httpx.Request:
    headers = {"X-Twilio-Signature": twilio.sign(f"{URL}/whatsapp/webhook", form)}
    return httpx.Request("POST", f"{URL}/whatsapp/webhook", data=form, headers=headers)


def chatkit_thread(person: seed.Person) -> httpx.Request:
    body = {"type": "threads.create", "params": {"input": written("hello")}}
    return httpx.Request("POST", f"{URL}/chatkit", json=body, headers={"authorization": person.name})


def _dm(person: seed.Person, **fields: Any) -> dict[str, Any]:
    return events.direct_message("hello", person.slack_id, f"D-{person.slack_id}", **fields)


def _mention(person: seed.Person, **fields: Any) -> dict[str, Any]:
    return events.app_mention("hello", person.slack_id, **fields)


PLACES = [
    Place("slack", "direct message", lambda person: slack_event(_dm(person)), tells=True),
    Place("slack", "direct thread", lambda person: slack_event(_dm(person, thread_ts=THREAD)), tells=True),
    Place("slack", "edited direct message", lambda person: slack_event(events.message_changed(_dm(person), "hi"))),
    Place("slack", "channel", lambda person: slack_event(_mention(person)), CHANNEL),
    Place("slack", "thread", lambda person: slack_event(_mention(person, thread_ts=THREAD)), CHANNEL),
    Place(
        "slack", "slash command", lambda person: slack_command(events.slash_command("/help", "", person)), tells=True
    ),
    Place(
        "telegram", "private chat", lambda person: telegram_update(updates.private_message("hi", person)), tells=True
    ),
    Place(
        "telegram", "private command", lambda person: telegram_update(updates.command("start", "", person)), tells=True
    ),
    Place(
        "telegram",
        "edited private message",
        lambda person: telegram_update(updates.edited(updates.private_message("hi", person), "hello")),
    ),
    Place("telegram", "group", lambda person: telegram_update(updates.group_mention("hi", person)), GROUP),
    Place(
        "telegram",
        "group command",
        lambda person: telegram_update(updates.command("help", "", person, updates.GROUP, at_bot=True)),
        GROUP,
    ),
    Place(
        "telegram",
        "edited group message",
        lambda person: telegram_update(
            updates.edited(updates.group_mention("hi", person), f"@{updates.BOT_USERNAME} hello")
        ),
        GROUP,
    ),
    Place(
        "telegram",
        "topic",
        lambda person: telegram_update(updates.topic_message(f"@{updates.BOT_USERNAME} hi", person=person)),
        FORUM,
    ),
    Place("whatsapp", "message", lambda person: whatsapp_form(twilio.inbound("hello", person)), tells=True),
    Place("whatsapp", "command", lambda person: whatsapp_form(twilio.inbound("/help", person)), tells=True),
    Place("chatkit", "thread", chatkit_thread, tells=True),
]


HASTY = replace(IMPATIENT, shutdown_grace=0.01)
GUEST = Organization("T0GUEST01")
STRANGER, APPROVER, SOMEBODY_ELSE = seed.ALICE, seed.BOB, seed.CAROL


@pytest.fixture
def slack_api() -> Iterator[SlackApi]:
    with SlackApi() as api:
        yield api


@pytest.fixture
def interface(request: pytest.FixtureRequest, channel: str) -> Interface:
    match channel:
        case "slack":
            api: SlackApi = request.getfixturevalue("slack_api")
            return Slack(seed.SLACK_BOT_TOKEN, seed.SLACK_SIGNING_SECRET, f"{api.url}/api")
        case "telegram":
            made: Telegram = request.getfixturevalue("bot")
            return made
        case "whatsapp":
            sender: WhatsApp = request.getfixturevalue("whatsapp")
            return sender
    return ChatKit(by_header)


def entry_of(kind: str, place: Place) -> Entry | None:
    """Return the entry of the access list in a row of the table; `None` if the list is empty."""
    alice = identity(place.channel, STRANGER)
    somewhere = {"slack": CHANNEL, "telegram": GROUP}.get(place.channel, "elsewhere")
    return {
        "the person": Entry.of(alice),
        "the chat": Entry(place.channel, alice.tenant, Kind.CHAT, place.chat or somewhere),
        "the workspace": Entry(place.channel, alice.tenant, Kind.WORKSPACE, ""),
        "somebody else": Entry.of(identity(place.channel, SOMEBODY_ELSE)),
        "another workspace": Entry(place.channel, "another", Kind.WORKSPACE, ""),
    }.get(kind)


LISTED = ("nobody", "the person", "the chat", "the workspace", "somebody else", "another workspace", "the approver")


def is_admitted(policy: AccessPolicy, place: Place, listed: str) -> bool:
    in_chat = listed == "the chat" and bool(place.chat)
    return policy is AccessPolicy.OPEN or in_chat or listed in ("the person", "the workspace", "the approver")


@pytest.mark.long
@pytest.mark.parametrize(
    "channel", ["slack", "telegram", "chatkit", pytest.param("whatsapp", marks=pytest.mark.processes)]
)
async def test_a_message_is_accepted_from_whom_the_policy_admits_and_strangers_are_told_where_only_they_read_it(
    run: Run, interface: Interface, channel: str
) -> None:
    places_of = [place for place in PLACES if place.channel == channel]
    table = [
        (policy, place, listed)
        for policy, place, listed in product(AccessPolicy, places_of, LISTED)
        if policy is not AccessPolicy.OPEN or listed == "nobody"
    ]
    # One turn that does not end keeps all others waiting, which saves time. A stream of ChatKit ends with its turn.
    waiting = {} if channel == "chatkit" else {"model": Held().model, "max_concurrent_turns": 1, "timings": HASTY}
    async with run(interface, approvers=[identity(channel, APPROVER)], **waiting) as running:
        found = {}
        for policy, place, listed in table:
            interface.access = policy
            found[policy, place.name, listed] = await try_place(running, place, listed)
    expected = {}
    for policy, place, listed in table:
        accepted = is_admitted(policy, place, listed)
        expected[policy, place.name, listed] = (accepted, place.tells and not accepted)
    assert {row: was for row, was in found.items() if was != expected[row]} == {}


async def try_place(running: Running, place: Place, listed: str) -> tuple[bool, bool]:
    """Write in a place. Return whether the message was accepted, and whether the person was told that it was not."""
    entries = AccessList(running.gateway.parts.backend.database)
    if (entry := entry_of(listed, place)) is not None:
        await entries.allow(entry)
    before = running.rows("SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM access_requests)")[0]
    answer = await running.client.send(place.request(APPROVER if listed == "the approver" else STRANGER))
    assert answer.is_success, answer.text
    accepted, told = running.rows("SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM access_requests)")[0]
    if entry is not None:
        await entries.remove(entry)
    await forget_strangers(running)
    return accepted > before[0], told > before[1]


async def forget_strangers(running: Running) -> None:
    """Remove the requests of strangers, who are then told again."""
    async with running.gateway.parts.backend.database.write() as connection:
        await connection.execute(delete(access_requests))


async def test_the_app_home_is_shown_to_whom_the_policy_admits(run: Run, slack_api: SlackApi) -> None:
    slack = Slack(seed.SLACK_BOT_TOKEN, seed.SLACK_SIGNING_SECRET, f"{slack_api.url}/api", access="pairing")
    async with run(slack, approvers=[identity("slack", APPROVER)]) as running:
        await AccessList(running.gateway.parts.backend.database).allow(Entry.of(identity("slack", SOMEBODY_ELSE)))
        for person in (STRANGER, APPROVER, SOMEBODY_ELSE):
            event = {"type": "app_home_opened", "user": person.slack_id, "channel": "D1", "tab": "home"}
            answer = await running.client.send(slack_event(events.envelope(event)))
            assert answer.status_code == 200
        await wait_until_async(lambda: len(published(slack_api)) == 2, what="two homes are published")
    assert published(slack_api) == {APPROVER.slack_id, SOMEBODY_ELSE.slack_id}


def published(api: SlackApi) -> set[str]:
    """Return the ids of the people whose App Home was published."""
    return {received.json["user_id"] for received in api.requests if received.path.endswith("views.publish")}


@pytest.mark.parametrize(
    ("listed", "admitted"),
    [
        (Entry("slack", OURS.team_id, Kind.WORKSPACE, ""), False),
        (Entry("slack", OURS.team_id, Kind.PERSON, STRANGER.slack_id), False),
        (Entry("slack", OURS.team_id, Kind.CHAT, CHANNEL), True),
        (Entry("slack", GUEST.team_id, Kind.WORKSPACE, ""), True),
        (Entry("slack", GUEST.team_id, Kind.PERSON, STRANGER.slack_id), True),
    ],
)
async def test_a_person_of_another_organization_is_admitted_by_their_own_workspace_or_by_the_shared_channel(
    run: Run, slack_api: SlackApi, listed: Entry, admitted: bool
) -> None:
    slack = Slack(seed.SLACK_BOT_TOKEN, seed.SLACK_SIGNING_SECRET, f"{slack_api.url}/api", access="allowlist")
    async with run(slack) as running:
        await AccessList(running.gateway.parts.backend.database).allow(listed)
        mention = events.shared(events.app_mention("hello", STRANGER.slack_id), GUEST, OURS, GUEST)
        assert (await running.client.send(slack_event(mention))).status_code == 200
        assert len(running.inbox()) == admitted


@pytest.mark.parametrize(
    ("kind", "key", "admitted"),
    [(Kind.CHAT, GROUP, True), (Kind.PERSON, f"chat:{GROUP}", False)],
    ids=["the group", "the shared id"],
)
async def test_who_writes_under_a_shared_id_in_telegram_is_admitted_by_the_group_alone(
    run: Run, bot: Telegram, kind: Kind, key: str, admitted: bool
) -> None:
    bot.access = AccessPolicy.ALLOWLIST
    async with run(bot) as running:
        await AccessList(running.gateway.parts.backend.database).allow(
            Entry("telegram", str(updates.BOT_ID), kind, key)
        )
        written = updates.anonymous_admin(f"@{updates.BOT_USERNAME} hello")
        assert (await running.client.send(telegram_update(written))).status_code == 200
        assert len(running.inbox()) == admitted


async def test_nothing_of_a_strangers_album_is_stored(run: Run, bot: Telegram) -> None:
    bot.access = AccessPolicy.ALLOWLIST
    async with run(bot) as running:
        for photo in updates.album("my secret plan", None, None):
            assert (await running.client.send(telegram_update(photo))).status_code == 200
        assert running.rows("SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM pieces)") == [(0, 0)]
