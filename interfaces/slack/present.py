"""Deliver answers as messages: https://docs.slack.dev/reference/methods/chat.postMessage"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from gateway.channels import Delivery, DeliveryAmbiguousError, DeliveryError, LiveView, Presenter, SignIn, StoredFile
from gateway.channels.sentences import SIGN_IN_TERMS, answer_held, answered_in, sign_in_button, sign_in_request
from gateway.logs import describe
from interfaces.slack.errors import slack_errors
from interfaces.slack.format import LIMIT, MrkdwnRenderer, escape, link
from interfaces.slack.live import SlackLiveView
from interfaces.slack.uploads import upload
from interfaces.slack.workspaces import Workspaces
from oauth import Identity
from toolkits import Conversation, Message

METADATA = "understudy_delivery"  # the type of the metadata that holds the key of a delivery
PEOPLE = ("U", "W")  # the first letters of user ids
CLOCK_SKEW = timedelta(minutes=1)  # between Slack and us, at the most
# Messages that are looked through. Apps outside the Marketplace get no more, and once a minute.
# https://docs.slack.dev/apis/web-api/rate-limits
MOST_FOUND = 15
MOST_FILES = 10  # of one message: https://slack.com/help/articles/201330736-Add-files-to-Slack

ANSWERED = answered_in("a direct message")
ANSWER_HELD = answer_held("Write to me in a direct message, and I will send it there.")

log = logging.getLogger(__name__)


class SlackPresenter(Presenter):
    """Posts answers as messages, each workspace's with its own token.

    Args:
        own_workspaces: the ids of the workspaces whose e-mail addresses the operator trusts.
    """

    def __init__(self, workspaces: Workspaces, own_workspaces: Collection[str]) -> None:
        self._workspaces = workspaces
        self._own_workspaces = own_workspaces
        self._renderer = MrkdwnRenderer()

    async def vouched_email(self, identity: Identity) -> str | None:
        """https://docs.slack.dev/reference/objects/user-object"""
        if identity.tenant not in self._own_workspaces:
            return None
        try:
            client = await self._workspaces.client(identity.tenant)
            with slack_errors():
                user = (await client.users_info(user=identity.user_id))["user"]
                is_foreign = user.get("team_id") != identity.tenant or user.get("is_stranger")
                if is_foreign or user.get("deleted") or user.get("is_bot") or user.get("is_email_confirmed") is False:
                    return None
                email: str | None = user.get("profile", {}).get("email")
                return email
        except (DeliveryError, ConnectionError) as error:
            log.warning(
                "Slack does not give the e-mail address of %s, who has to send a code instead: %s",
                identity,
                describe(error),
            )
            return None

    async def direct_channel(self, tenant: str, user_id: str) -> str:
        """Return the channel of the direct conversation with a person.

        Raises:
            DeliveryError, ConnectionError: if it cannot be opened.
        """
        return await _resolved(await self._workspaces.client(tenant), user_id)

    def live_view(self, message: Message) -> LiveView:
        return SlackLiveView(self._workspaces, message)

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        channel, _, thread = conversation.id.partition("/")
        return await self._post(conversation.tenant, channel, thread, text, key)

    def check_file(self, file: StoredFile) -> None:
        """Accept every file: Slack takes up to a gigabyte of any type. https://docs.slack.dev/messaging/working-with-files"""

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        return [files[start : start + MOST_FILES] for start in range(0, len(files), MOST_FILES)]

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return LIMIT

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> None:
        channel, _, thread = conversation.id.partition("/")
        await self._share(conversation.tenant, channel, thread, files, caption)

    async def send_private_files(
        self,
        identity: Identity,
        conversation: Conversation,
        files: Sequence[StoredFile],
        caption: str,
        *,
        first: bool,
        key: str,
    ) -> None:
        caption = _heading(conversation, first=first) + caption
        await self._share(conversation.tenant, identity.user_id, "", files, caption)

    async def _share(self, tenant: str, channel: str, thread: str, files: Sequence[StoredFile], comment: str) -> None:
        """Upload files and share them as one message."""
        client = await self._workspaces.client(tenant)
        channel = await _resolved(client, channel)
        uploaded: list[dict[str, str | None]] = [
            {"id": await upload(client, file), "title": file.name} for file in files
        ]
        with slack_errors():
            await client.files_completeUploadExternal(
                files=uploaded, channel_id=channel, thread_ts=thread or None, initial_comment=comment or None
            )

    async def was_sent(self, delivery: Delivery) -> bool | None:
        """Look for a message with the key in its metadata: https://docs.slack.dev/messaging/message-metadata

        A message with files has no metadata, and is known by their names and sizes.
        """
        tenant, (channel, _, thread) = delivery.conversation.tenant, delivery.conversation.id.partition("/")
        if delivery.identity is not None:
            channel, thread = delivery.identity.user_id, ""
        client = await self._workspaces.client(tenant)
        channel = await _resolved(client, channel)
        oldest = str((delivery.since - CLOCK_SKEW).timestamp())
        options: dict[str, Any] = {"oldest": oldest, "limit": MOST_FOUND, "include_all_metadata": True}
        with slack_errors():
            if thread:
                found = await client.conversations_replies(channel=channel, ts=thread, **options)
            else:
                found = await client.conversations_history(channel=channel, **options)
        messages: list[Any] = found["messages"]
        if delivery.files:
            sent, own = _named(delivery.files), await _own_user(client)
            was_found = any(message.get("user") == own and _files_of(message) == sent for message in messages)
        else:
            was_found = any(_key_of(message) == delivery.key for message in messages)
        if was_found:
            return True
        return None if found.get("has_more") else False

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str | None:
        # chat.postEphemeral does not do: its messages are not kept, and may not arrive:
        # https://docs.slack.dev/reference/methods/chat.postEphemeral
        text = _heading(conversation, first=first) + text
        return await self._post(conversation.tenant, identity.user_id, "", text, key)

    async def send_private_note(
        self, identity: Identity, conversation: Conversation, reply_to: str, *, reached: bool
    ) -> None:
        channel, _, thread = conversation.id.partition("/")
        note = f"<@{identity.user_id}> {ANSWERED if reached else ANSWER_HELD}"
        await self._post(conversation.tenant, channel, thread, note)

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        """Return whether it is the person's direct conversation and none of its threads, which are not read with it."""
        return not conversation.shared and self.thread_root(conversation) is None

    def thread_root(self, conversation: Conversation) -> str | None:
        return conversation.id.partition("/")[2] or None

    async def send_sign_in(self, sign_in: SignIn) -> None:
        channel, _, thread = sign_in.conversation.id.partition("/")
        label, asked = escape(sign_in.label), "that"
        if sign_in.conversation.shared:
            asked = f"what you wrote in <#{channel}>"
            channel, thread = sign_in.identity.user_id, ""
        button = link(sign_in_button(label), await sign_in.link())
        text = f"{sign_in_request(label, asked)}: {button}. {SIGN_IN_TERMS}"
        await self._post(sign_in.conversation.tenant, channel, thread, text)

    async def _post(self, tenant: str, channel: str, thread: str, text: str, key: str | None = None) -> str | None:
        """Post a message; return its `ts`."""
        client = await self._workspaces.client(tenant)
        channel = await _resolved(client, channel)
        metadata = {"event_type": METADATA, "event_payload": {"key": key}} if key else None
        with slack_errors():
            posted = await client.chat_postMessage(
                channel=channel,
                thread_ts=thread or None,
                text=text,
                metadata=metadata,
                unfurl_links=False,
                unfurl_media=False,
            )
            if not posted.get("ts"):
                raise ValueError("no message in the answer")
        return str(posted["ts"])


async def _resolved(client: AsyncWebClient, channel: str) -> str:
    """Return the id of a channel; for the id of a person, that of their direct channel."""
    if not channel.startswith(PEOPLE):
        return channel
    try:
        with slack_errors():
            return str((await client.conversations_open(users=channel))["channel"]["id"])
    except DeliveryAmbiguousError as error:  # this call sends nothing
        raise ConnectionError(f"the direct conversation was not opened: {error}") from error


def _heading(conversation: Conversation, *, first: bool) -> str:
    """Return what the first part of a private answer begins with."""
    return f"You asked in <#{conversation.id.partition('/')[0]}>:\n" if first else ""


async def _own_user(client: AsyncWebClient) -> str:
    """Return the bot's user id: https://docs.slack.dev/reference/methods/auth.test"""
    with slack_errors():
        return str((await client.auth_test())["user_id"])


def _named(files: Sequence[StoredFile]) -> list[tuple[str, int]]:
    """Return the names and sizes of files, by which Slack shows them again."""
    return sorted((file.name, file.size) for file in files)


def _files_of(message: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the names and sizes of the files of a message."""
    return sorted((file.get("name", ""), file.get("size", 0)) for file in message.get("files", ()))


def _key_of(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    return metadata.get("event_payload", {}).get("key") if metadata.get("event_type") == METADATA else None
