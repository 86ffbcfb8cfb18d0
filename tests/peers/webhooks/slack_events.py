"""Build, sign and post requests of Slack's Events API.

The payloads are as https://docs.slack.dev/apis/events-api/ and https://docs.slack.dev/reference/events document them.
Each builder returns a whole payload, the envelope with its event. Its `**fields` replace fields of the inner event or
add to them. `post` signs a payload and sends it.
"""

import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from peers import seed
from peers.emulate.control import TIMEOUT, Json

STALE = 6 * 60  # seconds; Slack's documentation says to refuse requests that are older than five minutes

_counter = itertools.count(500_000)  # far from emulate's own numbers, which begin at 1 in each second


def ts() -> str:
    """Return a new message timestamp, `<seconds>.<six digits>`, greater than all earlier ones."""
    return f"{int(time.time())}.{next(_counter) % 1_000_000:06d}"


def sign(body: bytes, timestamp: int, secret: str = seed.SLACK_SIGNING_SECRET) -> str:
    """Sign a request: https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    base = b"v0:%d:%b" % (timestamp, body)
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def headers(
    body: bytes,
    secret: str = seed.SLACK_SIGNING_SECRET,
    *,
    age: float = 0,
    retry: int = 0,
    content_type: str = "application/json",
) -> dict[str, str]:
    """Return the headers with which Slack sends a body.

    Args:
        age: the seconds since Slack signed the request.
        retry: the number of the retry, if the request is one (https://docs.slack.dev/apis/events-api/#retries).
    """
    timestamp = int(time.time() - age)
    retried = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"} if retry else {}
    return {
        "Content-Type": content_type,
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": str(timestamp),
        "X-Slack-Signature": sign(body, timestamp, secret),
        **retried,
    }


def post(
    url: str,
    payload: Mapping[str, Any],
    *,
    secret: str = seed.SLACK_SIGNING_SECRET,
    age: float = 0,
    retry: int = 0,
    signed: bool = True,
) -> httpx.Response:
    """Send an event.

    Args:
        secret: another one for a forged request.
        age: `STALE` for a request that is too old.
        retry: the number of the retry, if the request is one.
        signed: false for a request without a signature.
    """
    body = json.dumps(payload).encode()
    sent = headers(body, secret, age=age, retry=retry) if signed else {"Content-Type": "application/json"}
    return httpx.post(url, content=body, headers=sent, timeout=TIMEOUT, trust_env=False)


def post_tampered(url: str, payload: Mapping[str, Any], secret: str = seed.SLACK_SIGNING_SECRET) -> httpx.Response:
    """Send an event with a signature that is valid for another body."""
    sent = headers(json.dumps({**payload, "event_id": "Ev0"}).encode(), secret)
    return httpx.post(url, content=json.dumps(payload), headers=sent, timeout=TIMEOUT, trust_env=False)


def url_verification(challenge: str = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P") -> Json:
    """Build the challenge: https://docs.slack.dev/reference/events/url_verification"""
    return {"token": "verification-token", "challenge": challenge, "type": "url_verification"}


def envelope(event: Mapping[str, Any], team_id: str = seed.SLACK_TEAM_ID, event_id: str | None = None) -> Json:
    """Put an event into its envelope: https://docs.slack.dev/apis/events-api/#event-type-structure"""
    bot = {"user_id": seed.SLACK_BOT_USER_ID, "is_bot": True, "is_enterprise_install": False}
    return {
        "token": "verification-token",
        "team_id": team_id,
        "context_team_id": team_id,
        "context_enterprise_id": None,
        "api_app_id": seed.SLACK_APP_ID,
        "event": dict(event),
        "type": "event_callback",
        "event_id": event_id or f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(float(event.get("event_ts") or time.time())),
        "authorizations": [{"enterprise_id": None, "team_id": team_id, **bot}],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_urlsafe(24)}",
    }


def message(
    text: str,
    user: str = seed.ALICE.slack_id,
    channel: str = seed.SLACK_CHANNEL_ID,
    *,
    channel_type: str = "channel",
    thread_ts: str | None = None,
    parent_user_id: str = seed.SLACK_BOT_USER_ID,
    team_id: str = seed.SLACK_TEAM_ID,
    event_id: str | None = None,
    **fields: Any,
) -> Json:
    """Build a person's message in a channel, or with `thread_ts` their reply in a thread.

    https://docs.slack.dev/reference/events/message.channels
    """
    at = fields.pop("ts", None) or ts()
    said = _said(text, user, channel, at, team_id)
    thread = {"thread_ts": thread_ts, "parent_user_id": parent_user_id} if thread_ts else {}
    event = {"type": "message", **said, **thread, "channel_type": channel_type, **fields}
    return envelope(event, team_id, event_id)


def direct_message(text: str, user: str = seed.ALICE.slack_id, channel: str = "D0ALICE01", **fields: Any) -> Json:
    """Build a direct message: https://docs.slack.dev/reference/events/message.im"""
    return message(text, user, channel, channel_type="im", **fields)


def app_mention(
    text: str,
    user: str = seed.ALICE.slack_id,
    channel: str = seed.SLACK_CHANNEL_ID,
    *,
    thread_ts: str | None = None,
    team_id: str = seed.SLACK_TEAM_ID,
    event_id: str | None = None,
    **fields: Any,
) -> Json:
    """Build the `app_mention` event of a message. The text gets a mention of the bot at its beginning if it has none.

    Slack also sends a `message` event with the same ts: `mention_pair` builds both.
    https://docs.slack.dev/reference/events/app_mention
    """
    mention = f"<@{seed.SLACK_BOT_USER_ID}>"
    whole = text if mention in text else f"{mention} {text}"
    said = _said(whole, user, channel, fields.pop("ts", None) or ts(), team_id)
    thread = {"thread_ts": thread_ts} if thread_ts else {}
    return _without_context(envelope({"type": "app_mention", **said, **thread, **fields}, team_id, event_id))


def mention_pair(text: str, user: str = seed.ALICE.slack_id, **given: Any) -> tuple[Json, Json]:
    """Build the `app_mention` and the `message` event that Slack sends for one mention, with two event ids."""
    mentioned = app_mention(text, user, **given)
    event = mentioned["event"]
    return mentioned, message(event["text"], user, **{**given, "ts": event["ts"]})


@dataclass(frozen=True)
class Organization:
    """A workspace, and its organization if it is part of one (Enterprise Grid)."""

    team_id: str
    enterprise_id: str | None = None


OURS = Organization(seed.SLACK_TEAM_ID)


def shared(payload: Json, writer: Organization, host: Organization, named: Organization = OURS) -> Json:
    """Change a `message` or `app_mention` into one from a channel that two organizations share (Slack Connect).

    The format is that of Slack's own test data:
    https://github.com/slackapi/bolt-python/blob/main/tests/slack_bolt/request/test_internals.py. Only `authorizations`
    names the installation. A `message` has the writer's workspace in `team_id` and `team`, and the host's workspace in
    `context_team_id`. An `app_mention` has no context. Its `team_id` and `team` may name either workspace; if it is not
    the writer's, `user_team` has the writer's organization, or the writer's workspace if that has no organization.

    Args:
        payload: the event.
        writer: the workspace of the person who wrote the message.
        host: the workspace to which the channel belongs.
        named: the workspace in the `team_id` and `team` of an `app_mention`.
    """
    event = payload["event"]
    if event["type"] == "app_mention":
        belongs = writer.enterprise_id or writer.team_id
        profile = {"user_team": belongs, "source_team": belongs, "user_profile": {"team": belongs}}
        fields = {"team": named.team_id} if named == writer else {"team": named.team_id, **profile}
        ids = _ids(named)
    else:
        fields = {"team": writer.team_id}
        context = {"context_team_id": host.team_id, "context_enterprise_id": host.enterprise_id}
        ids = _ids(writer) | context
    return {**payload, **ids, "is_ext_shared_channel": True, "event": {**event, **fields}}


def _ids(organization: Organization) -> Json:
    enterprise = {"enterprise_id": organization.enterprise_id} if organization.enterprise_id else {}
    return {"team_id": organization.team_id, **enterprise}


def _without_context(payload: Json) -> Json:
    """Remove the context, which an `app_mention` does not have."""
    return {name: value for name, value in payload.items() if not name.startswith("context_")}


def message_changed(before: Mapping[str, Any], text: str) -> Json:
    """Build the event that follows when the sender edits the message of `before`. Link previews cause the same event.

    https://docs.slack.dev/reference/events/message/message_changed
    """
    old = before["event"]
    at = ts()
    new = {**_content(old), "text": text, "edited": {"user": old["user"], "ts": at}}
    event = {"subtype": "message_changed", "message": new, "previous_message": _content(old)}
    return envelope(_hidden(old, at, event), before["team_id"])


def message_deleted(before: Mapping[str, Any]) -> Json:
    """Build the event of a deleted message: https://docs.slack.dev/reference/events/message/message_deleted"""
    old = before["event"]
    event = {"subtype": "message_deleted", "deleted_ts": old["ts"], "previous_message": _content(old)}
    return envelope(_hidden(old, ts(), event), before["team_id"])


def bot_message(text: str, channel: str = seed.SLACK_CHANNEL_ID, bot_id: str = "B0ANOTHER", **fields: Any) -> Json:
    """Build a message of an integration, which has no user.

    https://docs.slack.dev/reference/events/message/bot_message
    """
    at = ts()
    event = {
        "type": "message",
        "subtype": "bot_message",
        "text": text,
        "bot_id": bot_id,
        "username": "Another",
    }
    where = {"ts": at, "channel": channel, "event_ts": at, "channel_type": "channel"}
    return envelope({**event, **where, **fields})


def own_message(text: str, channel: str = seed.SLACK_CHANNEL_ID, **fields: Any) -> Json:
    """Build the event of the bot's own message: without a subtype, with `bot_id`, `app_id` and `bot_profile`."""
    profile = {"id": seed.SLACK_BOT_ID, "app_id": seed.SLACK_APP_ID, "name": "peerbot", "deleted": False}
    bot = {"bot_id": seed.SLACK_BOT_ID, "app_id": seed.SLACK_APP_ID, "bot_profile": profile}
    payload = message(text, seed.SLACK_BOT_USER_ID, channel, **{**bot, **fields})
    del payload["event"]["client_msg_id"]
    return payload


def file_share(text: str, name: str = "notes.txt", mimetype: str = "text/plain", **given: Any) -> Json:
    """Build a message with a file.

    https://docs.slack.dev/reference/events/message/file_share, https://docs.slack.dev/reference/objects/file-object

    Args:
        given: arguments of `message`; also the `size` of the file in bytes, and the `url` from which the bot downloads
            it with its token.
    """
    user = given.get("user", seed.ALICE.slack_id)
    number = f"F{secrets.token_hex(5).upper()}"
    url = given.pop("url", f"https://files.slack.com/files-pri/{seed.SLACK_TEAM_ID}-{number}/{name}")
    file = {
        "id": number,
        "created": int(time.time()),
        "timestamp": int(time.time()),
        "name": name,
        "title": name,
        "mimetype": mimetype,
        "filetype": name.rpartition(".")[2],
        "user": user,
        "user_team": seed.SLACK_TEAM_ID,
        "size": given.pop("size", 12),
        "mode": "hosted",
        "is_external": False,
        "is_public": False,
        "url_private": url,
        "url_private_download": url,
        "file_access": "visible",
    }
    return message(text, subtype="file_share", files=[file], upload=False, **given)


def forward(comment: str, text: str, **given: Any) -> Json:
    """Build a message to which another message is forwarded, as an attachment, with a comment that may be empty.

    https://docs.slack.dev/reference/messaging/attachments
    """
    share = {
        "is_msg_unfurl": True,
        "is_share": True,
        "channel_id": seed.SLACK_CHANNEL_ID,
        "channel_team": seed.SLACK_TEAM_ID,
        "author_id": seed.BOB.slack_id,
        "author_name": "Bob",
        "author_link": f"https://peers.slack.com/team/{seed.BOB.slack_id}",
        "ts": ts(),
        "from_url": "https://peers.slack.com/archives/C0GENERAL/p1700000000000100",
        "fallback": f"[November 14th, 2023 10:13 PM] bob: {text}",
        "text": text,
        "mrkdwn_in": ["text"],
        "footer": "Posted in #general",
        **given.pop("share", {}),
    }
    return direct_message(comment, attachments=[share], **given)


def channel_join(user: str = seed.BOB.slack_id, channel: str = seed.SLACK_CHANNEL_ID) -> Json:
    """Build the message in a channel that somebody has joined.

    https://docs.slack.dev/reference/events/message/channel_join
    """
    payload = message(f"<@{user}> has joined the channel", user, channel, subtype="channel_join")
    for absent in ("blocks", "client_msg_id", "team"):
        del payload["event"][absent]
    return payload


def member_joined_channel(user: str = seed.BOB.slack_id, channel: str = seed.SLACK_CHANNEL_ID, **fields: Any) -> Json:
    """Build the event of a new member: https://docs.slack.dev/reference/events/member_joined_channel"""
    event = {"type": "member_joined_channel", "user": user, "channel": channel, "channel_type": "C"}
    return envelope({**event, "team": seed.SLACK_TEAM_ID, "event_ts": ts(), **fields})


def reaction(name: str, user: str, channel: str, message_ts: str, *, added: bool = True) -> Json:
    """Build the event of a reaction to a message of the bot.

    https://docs.slack.dev/reference/events/reaction_added and https://docs.slack.dev/reference/events/reaction_removed
    """
    item = {"type": "message", "channel": channel, "ts": message_ts}
    fields = {"user": user, "reaction": name, "item_user": seed.SLACK_BOT_USER_ID, "item": item, "event_ts": ts()}
    return envelope({"type": "reaction_added" if added else "reaction_removed", **fields})


def agent_session_stopped(thread_ts: str, channel: str, user: str = seed.ALICE.slack_id) -> Json:
    """Build the event of Slack's own stop button: https://docs.slack.dev/reference/events/agent_session_stopped"""
    event = {"type": "agent_session_stopped", "channel": channel, "thread_ts": thread_ts, "user": user}
    return envelope({**event, "streaming_message_ts": [], "event_ts": ts()})


def channel_id_changed(old: str, new: str) -> Json:
    """Build the event of a private channel that somebody begins to share with another organization.

    Its messages keep their timestamps: https://docs.slack.dev/reference/events/channel_id_changed
    """
    return envelope({"type": "channel_id_changed", "old_channel_id": old, "new_channel_id": new, "event_ts": ts()})


def app_uninstalled(team_id: str = seed.SLACK_TEAM_ID) -> Json:
    """Build the event of an uninstallation: https://docs.slack.dev/reference/events/app_uninstalled"""
    return envelope({"type": "app_uninstalled"}, team_id)


def tokens_revoked(team_id: str = seed.SLACK_TEAM_ID) -> Json:
    """Build the event of revoked tokens: https://docs.slack.dev/reference/events/tokens_revoked"""
    tokens = {"oauth": [], "bot": [seed.SLACK_BOT_USER_ID]}
    return envelope({"type": "tokens_revoked", "tokens": tokens}, team_id)


def of_organization(event: Mapping[str, Any], enterprise_id: str, **fields: Any) -> Json:
    """Build an event about an organization-wide installation. Its envelope does not name a workspace.

    https://docs.slack.dev/reference/events/team_access_granted and …/team_access_revoked
    """
    payload = _without_context(envelope(event))
    return {**payload, "team_id": None, "enterprise_id": enterprise_id, "authorizations": [], **fields}


def _said(text: str, user: str, channel: str, at: str, team_id: str) -> Json:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {
        "user": user,
        "text": text,
        "ts": at,
        "client_msg_id": secrets.token_hex(16),
        "team": team_id,
        "blocks": [{"type": "rich_text", "block_id": secrets.token_hex(3), "elements": [section]}],
        "channel": channel,
        "event_ts": at,
    }


def _content(event: Mapping[str, Any]) -> Json:
    return {name: value for name, value in event.items() if name not in ("channel", "channel_type", "event_ts")}


def _hidden(old: Mapping[str, Any], at: str, event: Json) -> Json:
    where = {
        "channel": old["channel"],
        "ts": at,
        "event_ts": at,
        "channel_type": old.get("channel_type", "channel"),
    }
    return {"type": "message", "hidden": True, **event, **where}


def slash_command(command: str, text: str = "", person: seed.Person = seed.ALICE, **fields: Any) -> dict[str, str]:
    """Build the form of a slash command.

    https://docs.slack.dev/interactivity/implementing-slash-commands#app_command_handling
    """
    return {
        "token": "verification-token",
        "team_id": seed.SLACK_TEAM_ID,
        "team_domain": "peers",
        "channel_id": seed.SLACK_CHANNEL_ID,
        "channel_name": "general",
        "user_id": person.slack_id,
        "user_name": person.name,
        "command": command,
        "text": text,
        "api_app_id": seed.SLACK_APP_ID,
        "is_enterprise_install": "false",
        "response_url": "https://hooks.slack.com/commands/1234/5678",
        "trigger_id": f"{time.time_ns()}.738474920.8088930838d88f008e0",
        **fields,
    }
