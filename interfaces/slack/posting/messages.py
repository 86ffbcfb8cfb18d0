"""Post, edit, stream and delete messages, within Slack's limits: https://docs.slack.dev/messaging"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, PreviewGoneError, RecipientUnreachableError
from gateway.channels.live import Key, Limit, Pacer
from interfaces.slack.errors import slack_errors
from interfaces.slack.workspaces import Workspaces
from oauth import Identity

METADATA = "understudy_delivery"  # the type of the metadata that holds the key of a delivery
PREVIEW = "understudy_preview"  # the type of the metadata that holds the id of the message whose turn a preview shows
PEOPLE = ("U", "W")  # the first letters of user ids
STREAM = "stream/"  # the prefix of the id of a preview that is a stream
CLOCK_SKEW = timedelta(minutes=1)  # the greatest difference between Slack's clock and ours
MOST_SEARCHED = 15  # messages: apps outside the Marketplace get no more

# https://docs.slack.dev/apis/web-api/rate-limits: a message a second in a channel, several hundred a minute in a
# workspace, and the tier of each method, which is for a workspace, too
LIMITS = {
    "channel": Limit(most=1, seconds=1.1),
    "workspace": Limit(most=300, seconds=60.0, previews=150),
    "chat.startStream": Limit(most=20, seconds=60.0, previews=15),
    "chat.appendStream": Limit(most=100, seconds=60.0, previews=90),
    "chat.postMessage": Limit(most=10, seconds=60.0),  # of previews: each takes a chat.update to complete
    "chat.update": Limit(most=50, seconds=60.0, previews=25),
}
# https://docs.slack.dev/reference/methods/chat.update#errors
NOT_THERE = frozenset({"message_not_found", "cant_update_message", "cant_delete_message", "edit_window_closed"})
# Refusals that are about the place, and not about the app.
PLACE_REFUSED = frozenset({"channel_type_not_supported", "message_not_found", "thread_not_found"})
NOT_STREAMING = "message_not_in_streaming_state"  # Slack ends a stream by itself after some minutes

log = logging.getLogger(__name__)


class Poster:
    """Posts, edits, streams and deletes the bot's messages, with the token of each workspace."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._pacer = Pacer(LIMITS)
        self._without_streams: set[str] = set()  # the tenants that refuse streams to the app

    async def client(self, tenant: str) -> AsyncWebClient:
        """Return a client of the Web API with a workspace's token."""
        return await self._workspaces.client(tenant)

    def may_stream(self, tenant: str) -> bool:
        """Return whether streams can be tried in a workspace: Slack has not refused one there."""
        return tenant not in self._without_streams

    def reserve(self, tenant: str, channel: str, *, is_edit: bool) -> float:
        """Reserve the next message or edit of an answer in a channel; return the seconds until then."""
        method = ("chat.update" if is_edit else "workspace", tenant)
        return self._pacer.reserve(("channel", tenant, channel), method)

    async def ready_for_preview(self, tenant: str, channel: str, method: str) -> None:
        """Wait until the rate limits allow a preview in a channel, shown by a method of the Web API."""
        await self._pacer.preview(("channel", tenant, channel), ("workspace", tenant), (method, tenant))

    def pause_previews(self, tenant: str, channel: str, seconds: float) -> None:
        """Pause the previews in a channel for some seconds."""
        self._pacer.pause_previews(("channel", tenant, channel), seconds)

    def is_busy(self, tenant: str) -> bool:
        """Return whether an answer waits for a workspace, or Slack has asked for a pause there."""
        return self._pacer.gives_way(("workspace", tenant))

    async def post(
        self,
        tenant: str,
        channel: str,
        thread: str,
        text: str,
        *,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> str:
        """Post a message; return its `ts`.

        Args:
            channel: the id of a channel, or of a person for their direct conversation.
            thread: the `ts` of the thread; empty if it is in none.
        """
        client = await self.client(tenant)
        channel = await resolved(client, channel)
        with self._errors(("channel", tenant, channel), ("workspace", tenant)):
            posted = await client.chat_postMessage(
                channel=channel,
                thread_ts=thread or None,
                text=text,
                metadata=metadata,
                unfurl_links=False,
                unfurl_media=False,
                **options,
            )
            if not posted.get("ts"):
                raise ValueError("no message in the answer")
        return str(posted["ts"])

    async def start_stream(self, tenant: str, channel: str, thread: str, recipient: Identity, **content: Any) -> str:
        """Start a stream in a thread; return its `ts`. A workspace that refuses it once is not asked again.

        https://docs.slack.dev/reference/methods/chat.startStream

        Args:
            recipient: the person who gets the answer. Slack requires it in channels.

        Raises:
            DeliveryRefusedError: if Slack refuses it.
        """
        client = await self.client(tenant)
        try:
            with self._errors(("chat.startStream", tenant)):
                started = await client.chat_startStream(
                    channel=channel,
                    thread_ts=thread,
                    recipient_team_id=recipient.tenant,
                    recipient_user_id=recipient.user_id,
                    **content,
                )
                return str(started["ts"])
        except RecipientUnreachableError:
            raise
        except DeliveryRefusedError as refusal:
            if str(refusal) not in PLACE_REFUSED:
                self._without_streams.add(tenant)
                log.info(
                    "Slack refuses streams in the workspace %s, and messages are edited instead: %s", tenant, refusal
                )
            raise

    async def append(self, tenant: str, channel: str, ts: str, **content: Any) -> bool:
        """Append to a stream; return `False` if Slack has ended it: https://docs.slack.dev/reference/methods/chat.appendStream"""
        client = await self.client(tenant)
        try:
            with self._errors(("chat.appendStream", tenant)):
                await client.chat_appendStream(channel=channel, ts=ts, **content)
        except DeliveryRefusedError as refusal:
            if str(refusal) != NOT_STREAMING:
                raise
            return False
        return True

    async def stop(self, tenant: str, channel: str, ts: str) -> None:
        """Stop a stream, unless it has ended: https://docs.slack.dev/reference/methods/chat.stopStream

        Raises:
            PreviewGoneError: if there is no such message.
        """
        client = await self.client(tenant)
        try:
            with slack_errors():
                await client.chat_stopStream(channel=channel, ts=ts)
        except DeliveryRefusedError as refusal:
            if str(refusal) in NOT_THERE:
                raise PreviewGoneError(str(refusal)) from refusal
            if str(refusal) != NOT_STREAMING:
                raise

    async def complete(
        self, tenant: str, channel: str, preview: str, text: str, key: str, blocks: Sequence[Any] = ()
    ) -> str:
        """Replace a preview by a part of the answer; return its `ts`.

        Raises:
            PreviewGoneError: if it cannot be replaced.
        """
        await self.edit(tenant, channel, preview, text, metadata=keyed(key), blocks=blocks)
        return preview.removeprefix(STREAM)

    async def edit(
        self,
        tenant: str,
        channel: str,
        preview: str,
        text: str,
        *,
        metadata: dict[str, Any] | None = None,
        blocks: Sequence[Any] = (),
    ) -> None:
        """Replace the text of a message. A stream is stopped first: https://docs.slack.dev/reference/methods/chat.update

        Raises:
            PreviewGoneError: if there is no such message, or it cannot be changed.
        """
        ts = preview.removeprefix(STREAM)
        if preview != ts:
            await self.stop(tenant, channel, ts)
        client = await self.client(tenant)
        try:
            with self._errors(("chat.update", tenant)):  # without blocks, those of a stream would stay
                await client.chat_update(
                    channel=channel, ts=ts, text=text, blocks=blocks, metadata=metadata and dict(metadata)
                )
        except DeliveryRefusedError as refusal:
            if str(refusal) in NOT_THERE:
                raise PreviewGoneError(str(refusal)) from refusal
            raise

    async def delete(self, tenant: str, channel: str, preview: str) -> None:
        """Delete a message, unless it is gone. A stream is stopped first."""
        ts = preview.removeprefix(STREAM)
        client = await self.client(tenant)
        try:
            if preview != ts:
                await self.stop(tenant, channel, ts)
            with slack_errors():
                await client.chat_delete(channel=channel, ts=ts)
        except PreviewGoneError:
            return
        except DeliveryRefusedError as refusal:
            if str(refusal) not in NOT_THERE:
                raise

    async def lost_previews(self, tenant: str, channel: str, thread: str, since: datetime) -> list[str]:
        """Return the ids of previews that were posted about a time and whose ids were not recorded."""
        client = await self.client(tenant)
        own = await own_user(client)
        messages, _ = await self.recent(client, channel, thread, since)
        latest = (since + CLOCK_SKEW).timestamp()
        return [
            (STREAM if "streaming_state" in message else "") + message["ts"]
            for message in messages
            if message.get("user") == own and _is_preview(message) and float(message["ts"]) <= latest
        ]

    async def recent(
        self, client: AsyncWebClient, channel: str, thread: str, since: datetime
    ) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Return up to `MOST_SEARCHED` messages of a channel or a thread since a time, and whether there are more.

        https://docs.slack.dev/messaging/message-metadata
        """
        oldest = str((since - CLOCK_SKEW).timestamp())
        options: dict[str, Any] = {"oldest": oldest, "limit": MOST_SEARCHED, "include_all_metadata": True}
        with slack_errors():
            if thread:
                found = await client.conversations_replies(channel=channel, ts=thread, **options)
            else:
                found = await client.conversations_history(channel=channel, **options)
        return found["messages"], bool(found.get("has_more"))

    @contextmanager
    def _errors(self, limit: Key, whole: Key | None = None) -> Iterator[None]:
        """Translate the errors of a call. After a rate limit, the calls that it applies to pause.

        Args:
            limit: the limit of the call: that of the channel, or of the method in the workspace.
            whole: the limit that the calls of several channels share.
        """
        with self._pacer.refusals_noted(limit, whole), slack_errors():
            yield


async def resolved(client: AsyncWebClient, channel: str) -> str:
    """Return the id of a channel; given the id of a person, the id of their direct channel."""
    if not channel.startswith(PEOPLE):
        return channel
    try:
        with slack_errors():
            return str((await client.conversations_open(users=channel))["channel"]["id"])
    except DeliveryAmbiguousError as error:  # this call sends nothing
        raise ConnectionError(f"the direct conversation was not opened: {error}") from error


async def own_user(client: AsyncWebClient) -> str:
    """Return the bot's user id: https://docs.slack.dev/reference/methods/auth.test"""
    with slack_errors():
        return str((await client.auth_test())["user_id"])


def keyed(key: str) -> dict[str, Any]:
    """Return the metadata of a delivery."""
    return {"event_type": METADATA, "event_payload": {"key": key}}


def key_of(message: Mapping[str, Any]) -> str | None:
    """Return the key of the delivery in a message's metadata; `None` if there is none."""
    metadata = message.get("metadata") or {}
    return metadata.get("event_payload", {}).get("key") if metadata.get("event_type") == METADATA else None


def _is_preview(message: Mapping[str, Any]) -> bool:
    metadata = message.get("metadata") or {}
    return metadata.get("event_type") == PREVIEW or ("streaming_state" in message and key_of(message) is None)
