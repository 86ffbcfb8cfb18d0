"""Slack's events: https://docs.slack.dev/apis/events-api and https://docs.slack.dev/reference/events/message"""

import json
import re
from collections.abc import Mapping
from typing import Any

from gateway.commands import COMMANDS
from gateway.interface import Event
from interfaces.commands import command_in
from interfaces.slack.format import unescape, without_mention
from oauth import Identity
from toolkits import Attachment, Conversation, Message

CHANNEL = "slack"

# The subtypes of a message that a person wrote; all others are edits, joins, bots and the like.
WRITTEN_BY_PEOPLE = (None, "file_share", "me_message", "thread_broadcast")

Body = Mapping[str, Any]


def bot_user(body: Body) -> str | None:
    """The user id of the bot in the workspace that an event comes from, as far as the event says it."""
    for authorization in body.get("authorizations") or ():
        if authorization.get("is_bot") and authorization.get("user_id"):
            return str(authorization["user_id"])
    return None


def conversation_of(body: Body) -> Conversation:
    """A direct message channel, or a thread: a message at the top of a channel begins one."""
    event = body["event"]
    channel, thread = event["channel"], event.get("thread_ts")
    if not _is_direct(event):
        thread = thread or event["ts"]
    return Conversation(CHANNEL, _tenant(body), f"{channel}/{thread}" if thread else channel, not _is_direct(event))


def is_written(body: Body, bot: str | None) -> bool:
    """Whether an event is something new that a person wrote, where a bot is spoken to."""
    event = body.get("event") or {}
    return (
        event.get("type") in ("app_mention", "message")
        and event.get("subtype") in WRITTEN_BY_PEOPLE
        and bool(event.get("user") and event.get("channel") and event.get("ts"))
        and event["user"] not in (bot, "USLACKBOT")
        and not any(event.get(name) for name in ("bot_id", "bot_profile", "edited", "hidden"))
    )


def is_addressed(body: Body, bot: str | None) -> bool:
    """Whether a written message is for the bot by itself: a direct message or a mention."""
    event = body["event"]
    mentioned = bot is not None and re.search(rf"<@{re.escape(bot)}[|>]", event.get("text") or "") is not None
    return event["type"] == "app_mention" or _is_direct(event) or mentioned


def to_event(body: Body, payload: str) -> Event:
    event = body["event"]
    return Event(
        id=body.get("event_id") or "",
        conversation=conversation_of(body),
        payload=payload,
        # A mention in a channel is reported as `app_mention` and as `message`, with two event ids.
        message_key=f"{event['channel']}:{event['ts']}",
    )


def to_message(body: Body, bot: str | None) -> Message:
    event = body["event"]
    text = event.get("text") or ""
    # Somebody from another organization, in a shared channel, has their id in their own workspace.
    tenant = event.get("user_team") or _tenant(body)
    written = unescape(without_mention(text, bot) if bot else text)
    # Slack keeps what begins with a slash to itself, so that a command has none here.
    command, argument = command_in(written, plain=True)
    return Message(
        id=event["ts"],
        text=written,
        sender=Identity(CHANNEL, tenant, event["user"]),
        sender_name=event["user"],
        conversation=conversation_of(body),
        attachments=tuple(Attachment(file.get("filetype") or "file") for file in event.get("files") or ()),
        command=command,
        argument=argument,
        raw=json.dumps(body, ensure_ascii=False),
    )


def to_command_event(form: Body, channel: str) -> Event:
    """A slash command: https://docs.slack.dev/interactivity/implementing-slash-commands

    It is one of the direct conversation, wherever it was given: the bot need not be where it was.

    Args:
        channel: that of the direct conversation.
    """
    payload = json.dumps({"slash_command": form, "direct_channel": channel})
    return Event(f"command:{form['trigger_id']}", Conversation(CHANNEL, form["team_id"], channel, False), payload)


def to_command_message(body: Body, payload: str) -> Message:
    form = body["slash_command"]
    name, text = form["command"].removeprefix("/").lower(), form.get("text", "").strip()
    # An operator may call the commands otherwise, like `/bot accounts`, and have others, which an agent is told.
    command, argument = (name, text) if name in COMMANDS else command_in(f"/{text}")
    return Message(
        id="",
        text=f"/{name} {text}".strip(),
        sender=Identity(CHANNEL, form["team_id"], form["user_id"]),
        sender_name=form.get("user_name") or form["user_id"],
        conversation=Conversation(CHANNEL, form["team_id"], body["direct_channel"], shared=False),
        command=command or (None if text else "help"),
        argument=argument,
        raw=payload,
    )


def _tenant(body: Body) -> str:
    return str(body.get("context_team_id") or body["team_id"])


def _is_direct(event: Mapping[str, Any]) -> bool:
    return event.get("channel_type") == "im" or str(event["channel"]).startswith("D")
