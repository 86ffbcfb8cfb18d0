"""Read Slack's events: https://docs.slack.dev/apis/events-api and https://docs.slack.dev/reference/events/message

In these functions a `channel` is the gateway's: "slack", or "slack.sales" for one of several apps. A channel of Slack's
is a `place`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.channels import Event, Feedback, Rating, digest
from gateway.channels.commands import COMMANDS, command_in
from interfaces.slack.format import mentioned_in, unescape, without_mention
from oauth import Identity
from toolkits import Attachment, AttachmentKind, Conversation, Message, QuotedKind, QuotedMessage

MOST_NAMES = 20  # people whose names are looked up for one message

# The subtypes of messages that people write. The others are edits, joins, messages of bots and the like.
WRITTEN_BY_PEOPLE = (None, "file_share", "me_message", "thread_broadcast")

SYSTEM_USERS = ("USLACK", "USLACKBOT")  # authors of Slack's own notices, which have no subtype

# The names of reactions, without the skin tone. Slack's documentation has one name, its client sends the other.
THUMBS = {"+1": Rating.UP, "thumbsup": Rating.UP, "-1": Rating.DOWN, "thumbsdown": Rating.DOWN}

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """A person, as Slack describes them.

    Args:
        locale: like "en-US", empty if it is not known.
        timezone: the IANA name, like "Europe/Berlin", empty if it is not known.
    """

    name: str
    locale: str = ""
    timezone: str = ""


def bot_user(body: Body) -> str | None:
    """Return the bot's user id in the workspace of an event; `None` if the event does not name it."""
    for authorization in body.get("authorizations") or ():
        if authorization.get("is_bot") and authorization.get("user_id"):
            return str(authorization["user_id"])
    return None


def tenant_of(body: Body) -> str | None:
    """Return the workspace in which the app received an event or a slash command; `None` if it names none.

    It is the workspace of the first authorization, as in Bolt. In a channel that is shared with another organization,
    `team_id` and `context_team_id` may name that organization's workspace.
    """
    authorization = _authorization(body)
    team = authorization.get("team_id")
    if not team and body.get("is_ext_shared_channel"):
        team = authorization.get("enterprise_id")  # an organization-wide installation names no workspace here
    team = team or body.get("team_id")
    return str(team) if team else None


def people_who_left(channel: str, body: Body) -> list[Identity]:
    """Return the identities of the person whom a `user_change` reports as deactivated; none for any other change.

    The person belongs to their own workspace, not to the one that got the event: a stranger of Slack Connect has
    another. Members of an organization have an identity in each of its workspaces.

    https://docs.slack.dev/reference/events/user_change
    """
    user = body["event"].get("user") or {}
    if not user.get("deleted") or not user.get("id"):
        return []
    organization = user.get("enterprise_user") or {}
    tenants = [user.get("team_id"), organization.get("enterprise_id"), *(organization.get("teams") or ())]
    return [Identity(channel, str(tenant), str(user["id"])) for tenant in dict.fromkeys(filter(None, tenants))]


def organization_of(body: Body) -> str | None:
    """Return the organization that received an event or a command by an organization-wide installation, if any.

    https://docs.slack.dev/enterprise/organization-ready-apps
    """
    installed = _authorization(body) or body
    is_whole = installed.get("is_enterprise_install") in (True, "true")
    return str(installed["enterprise_id"]) if is_whole and installed.get("enterprise_id") else None


def conversation_of(channel: str, body: Body) -> Conversation:
    """Return the direct conversation or the thread of a message. A message at the top of a channel begins a thread."""
    event = body["event"]
    place, thread = event["channel"], event.get("thread_ts")
    if not _is_direct(event):
        thread = thread or event["ts"]
    return Conversation(channel, _tenant(body), f"{place}/{thread}" if thread else place, not _is_direct(event))


def in_own_thread(body: Body) -> Body:
    """Make a message at the top of a direct conversation the first one of a thread.

    Slack names no thread for it, or names the message itself. Any other event is returned unchanged.
    """
    event = body["event"]
    if not is_message(body) or event.get("thread_ts") or not (event.get("channel") and event.get("ts")):
        return body
    return {**body, "event": {**event, "thread_ts": event["ts"]}} if _is_direct(event) else body


def is_message(body: Body) -> bool:
    """Return whether an event is a message or a mention, whatever its subtype."""
    event = body.get("event")
    return isinstance(event, Mapping) and event.get("type") in ("app_mention", "message")


def is_written(body: Body) -> bool:
    """Return whether an event is a new message of a person: no edit, no notice of Slack's, not marked as a bot's."""
    event = body.get("event") or {}
    return (
        is_message(body)
        and tenant_of(body) is not None
        and event.get("subtype") in WRITTEN_BY_PEOPLE
        and bool(event.get("user") and event.get("channel") and event.get("ts"))
        and event["user"] not in SYSTEM_USERS
        and not any(event.get(name) for name in ("bot_id", "bot_profile", "edited", "hidden"))
    )


def is_unknown(body: Body) -> bool:
    """Return whether only the place of a message is known: Slack may leave out the content of a deleted message."""
    event = body["event"]
    has_place = tenant_of(body) is not None and bool(event.get("channel") and event.get("ts"))
    return has_place and not event.get("user") and not event.get("bot_id")


def is_addressed(body: Body, bot: str | None) -> bool:
    """Return whether a message is a direct message or mentions the bot."""
    event = body["event"]
    mentioned = bot is not None and re.search(rf"<@{re.escape(bot)}[|>]", event.get("text") or "") is not None
    return event["type"] == "app_mention" or _is_direct(event) or mentioned


def to_event(channel: str, body: Body, payload: str, **fields: Any) -> Event:
    """Return the event of a message: see `is_written`.

    Args:
        fields: further fields of the event.
    """
    event = body["event"]
    # In a channel that is shared with other organizations, the writer may belong to another workspace.
    team = _team_of_writer(body) if event.get("user") else None
    return Event(
        id=body.get("event_id") or "",
        conversation=conversation_of(channel, body),
        payload=payload,
        # A mention in a channel is reported as `app_mention` and as `message`, with two event ids.
        message_key=f"{event['channel']}:{event['ts']}",
        author=event.get("user"),
        author_tenant=team or "",
        content=digest(
            event.get("text") or "",
            [file.get("id") for file in files(body)],
            # Slack adds link previews to a message later. They are no edit.
            [text_of(share, "text") for share in event.get("attachments") or () if share.get("is_share")],
        ),
        **fields,
    )


def said_in(body: Body, bot: str | None) -> tuple[str, str | None]:
    """Return the text of a message, and the gateway's command in it, if there is one.

    Args:
        bot: as for `to_message`.
    """
    text = _written(body["event"], bot, {})
    return text, command_in(text, plain=True)[0]


def to_message(
    channel: str, body: Body, bot: str | None, attachments: Sequence[Attachment], people: Mapping[str, Person]
) -> Message:
    """Return the message of a stored event.

    Args:
        bot: the bot's user id, whose mentions are left out; `None` if it is not known.
        attachments: the attachments for its `files`.
        people: the known people among `people_in`, by their ids.
    """
    event = body["event"]
    team = _team_of_writer(body)
    names, sender = {user_id: person.name for user_id, person in people.items()}, people.get(event["user"])
    written = _written(event, bot, names)
    # Slack handles messages that begin with a slash itself, so that commands have none here.
    command, argument = command_in(written, plain=True)
    forwarded = forwarded_by(event)
    quoted = [_quoted(each, names) for each in forwarded if content_of(each, names)]
    if forwarded and not (quoted or attachments):
        attachments = [Attachment(AttachmentKind.OTHER, name="forwarded message")]
    return Message(
        id=event["ts"],
        text=written,
        sender=Identity(channel, team or _tenant(body), event["user"]),
        sender_name=sender.name if sender is not None else event["user"],
        conversation=conversation_of(channel, body),
        attachments=tuple(attachments),
        quoted=tuple(quoted),
        locale=sender.locale if sender is not None else "",
        timezone=sender.timezone if sender is not None else "",
        anonymous=team is None,
        command=command,
        argument=argument,
        raw=json.dumps(body, ensure_ascii=False),
    )


def to_feedback(channel: str, body: Body) -> Feedback | None:
    """Return the rating that a thumbs reaction adds or removes; `None` for any other event.

    https://docs.slack.dev/reference/events/reaction_added: the event names the channel, but not the thread. In a
    channel that is shared with another organization, it does not name the workspace of the person.
    """
    event, tenant = body["event"], tenant_of(body)
    if event.get("type") not in ("reaction_added", "reaction_removed") or tenant is None:
        return None
    item, rating = event.get("item") or {}, THUMBS.get((event.get("reaction") or "").partition("::")[0])
    is_whole = all((event.get("user"), item.get("type") == "message", item.get("channel"), item.get("ts")))
    if rating is None or not is_whole or body.get("is_ext_shared_channel"):
        return None
    return Feedback(
        identity=Identity(channel, tenant, event["user"]),
        conversation=Conversation(channel, tenant, item["channel"], not _is_direct(item)),
        rating=rating,
        platform_id=item["ts"],
        taken_back=event["type"] == "reaction_removed",
    )


def is_direct_thread(conversation: Conversation) -> bool:
    """Return whether a conversation is a thread of a direct conversation."""
    return not conversation.shared and "/" in conversation.id


def _written(event: Mapping[str, Any], bot: str | None, names: Mapping[str, str]) -> str:
    text = event.get("text") or ""
    return unescape(without_mention(text, bot) if bot else text, names)


def is_root(body: Body) -> bool:
    """Return whether a message is the first one of the thread that it names."""
    event = body["event"]
    return bool(event.get("thread_ts")) and event["thread_ts"] == event.get("ts")


def is_in_thread(message: Message) -> bool:
    """Return whether a message is a reply in a thread that several people read."""
    thread = message.conversation.id.partition("/")[2]
    return message.conversation.shared and thread not in ("", message.id)


def text_in(body: Body) -> str:
    """Return what a message says, without Slack's marks."""
    return unescape(text_of(body["event"], "text"))


def id_in(payload: str) -> str:
    """Return the id of the message in a stored event."""
    return str(json.loads(payload)["event"]["ts"])


def people_in(body: Body) -> list[str]:
    """Return the ids of the people whose names a message needs: its writer, and those whom it mentions."""
    event = body["event"]
    texts = (event.get("text") or "", *(text_of(each, "text") for each in forwarded_by(event)))
    return [event["user"], *(user_id for text in texts for user_id in mentioned_in(text))][:MOST_NAMES]


def files(body: Body) -> list[Mapping[str, Any]]:
    """Return the files of a message and of the messages that it forwards."""
    return [file for each in (body["event"], *forwarded_by(body["event"])) for file in each.get("files") or ()]


def to_command_event(channel: str, form: Body, place: str) -> Event:
    """Return the event of a slash command: https://docs.slack.dev/interactivity/implementing-slash-commands

    It belongs to the direct conversation, wherever it was given, because the bot may not be a member there.

    Args:
        place: the direct conversation.
    """
    payload = json.dumps({"slash_command": form, "direct_channel": place})
    where = Conversation(channel, form["team_id"], place, False)
    command, _ = command_of(form)
    return Event(f"command:{form['trigger_id']}", where, payload, author=form["user_id"], command=command)


def to_command_message(channel: str, body: Body, payload: str) -> Message:
    """Return the message of a stored slash command: see `to_command_event`."""
    form = body["slash_command"]
    name, text = _slash_command(form)
    command, argument = command_of(form)
    return Message(
        id="",
        text=f"/{name} {text}".strip(),
        sender=Identity(channel, form["team_id"], form["user_id"]),
        sender_name=form.get("user_name") or form["user_id"],
        conversation=Conversation(channel, form["team_id"], body["direct_channel"], shared=False),
        command=command,
        argument=argument,
        raw=payload,
    )


def command_of(form: Body) -> tuple[str | None, str]:
    """Return the gateway's command in a slash command, and its argument; `None` and "" if there is none.

    An operator may offer the commands in another form, like `/bot accounts`, and have others, which agents answer.
    Without a text, these ask for help.
    """
    name, text = _slash_command(form)
    if name in COMMANDS:
        return name, text
    return command_in(f"/{text}") if text else ("help", "")


def _slash_command(form: Body) -> tuple[str, str]:
    return form["command"].removeprefix("/").lower(), form.get("text", "").strip()


def forwarded_by(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the messages that a message forwards or links to. Without a text, return everything that it shows.

    https://docs.slack.dev/reference/messaging/attachments
    """
    shown = event.get("attachments") or ()
    return [each for each in shown if each.get("is_share") or each.get("is_msg_unfurl") or not event.get("text")]


def _quoted(share: Mapping[str, Any], names: Mapping[str, str]) -> QuotedMessage:
    author = next(filter(None, (text_of(share, name) for name in ("author_name", "author_id", "service_name"))), "")
    return QuotedMessage(QuotedKind.FORWARDED, author, content_of(share, names))


def content_of(share: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return unescape("\n".join(filter(None, (text_of(share, name) for name in ("pretext", "title", "text")))), names)


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return a text field; an empty text if the field is missing or has another type."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _authorization(body: Body) -> Body:
    """Return the installation that an event was sent to: https://docs.slack.dev/apis/events-api#authorizations"""
    authorizations = body.get("authorizations")
    return authorizations[0] if authorizations else {}


def _tenant(body: Body) -> str:
    tenant = tenant_of(body)
    assert tenant is not None, "an event of no workspace is not accepted"
    return tenant


def _team_of_writer(body: Body) -> str | None:
    """Return the workspace that the writer of a message belongs to; `None` if a shared channel's event has none.

    A person of another organization that has several workspaces is identified by the organization: a `message` names
    their workspace, an `app_mention` only the organization, and their user id is the same in all its workspaces.
    """
    event, own = body["event"], _tenant(body)
    # If an `app_mention` has a `user_team`, its `team` is not the writer's.
    team = event.get("user_team") or event.get("team") or event.get("source_team")
    if team is None:
        return None if body.get("is_ext_shared_channel") else own
    organization = None
    if team == body.get("team_id"):
        organization = body.get("enterprise_id")
    elif team == body.get("context_team_id"):
        organization = body.get("context_enterprise_id")
    own_organization = _authorization(body).get("enterprise_id")
    if own_organization is not None and own_organization in (team, organization):
        return own if team == own_organization else str(team)
    return str(organization) if organization and team != own else str(team)


def _is_direct(event: Mapping[str, Any]) -> bool:
    return event.get("channel_type") == "im" or str(event["channel"]).startswith("D")
