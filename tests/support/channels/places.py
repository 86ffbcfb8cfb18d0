"""The places of each channel where people write to the bot, and the requests that tell the gateway of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from peers import seed
from peers.telegram import updates
from peers.webhooks import slack_events as slack
from peers.webhooks import twilio_webhook as twilio

from oauth import Identity
from support.channels.chatkit import written
from support.channels.running import URL

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
    return httpx.Request("POST", f"{URL}/slack/events", content=body, headers=slack.headers(body))


def slack_command(form: dict[str, str]) -> httpx.Request:
    body = httpx.Request("POST", URL, data=form).read()
    headers = slack.headers(body, content_type=FORM)
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
    return slack.direct_message("hello", person.slack_id, f"D-{person.slack_id}", **fields)


def _mention(person: seed.Person, **fields: Any) -> dict[str, Any]:
    return slack.app_mention("hello", person.slack_id, **fields)


PLACES = [
    Place("slack", "direct message", lambda person: slack_event(_dm(person)), tells=True),
    Place("slack", "direct thread", lambda person: slack_event(_dm(person, thread_ts=THREAD)), tells=True),
    Place("slack", "edited direct message", lambda person: slack_event(slack.message_changed(_dm(person), "hi"))),
    Place("slack", "channel", lambda person: slack_event(_mention(person)), CHANNEL),
    Place("slack", "thread", lambda person: slack_event(_mention(person, thread_ts=THREAD)), CHANNEL),
    Place("slack", "slash command", lambda person: slack_command(slack.slash_command("/help", "", person)), tells=True),
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
