"""Deliver answers as messages: https://docs.slack.dev/reference/methods/chat.postMessage"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from gateway.channels import (
    Delivery,
    DeliveryError,
    DeliveryRefusedError,
    LiveView,
    Presenter,
    PreviewGoneError,
    QuestionCard,
    ReturnLink,
    SignIn,
    StoredFile,
)
from gateway.channels.sentences import SIGN_IN_TERMS, answer_held, answered_in, sign_in_button, sign_in_request
from gateway.logs import describe
from interfaces.slack.agent.sessions import AgentSessions
from interfaces.slack.errors import slack_errors
from interfaces.slack.format import LIMIT, MrkdwnRenderer, escape, link
from interfaces.slack.interactivity import blocks
from interfaces.slack.live import SlackLiveView
from interfaces.slack.posting.messages import Poster, key_of, keyed, own_user, resolved
from interfaces.slack.posting.uploads import upload
from interfaces.slack.workspaces import Workspaces
from oauth import Identity
from toolkits import Conversation, Message

MOST_FILES = 10  # of one message: https://slack.com/help/articles/201330736-Add-files-to-Slack
BLOCKS_REFUSED = ("invalid_blocks", "invalid_blocks_format")

ANSWERED = answered_in("a direct message")
ANSWER_HELD = answer_held("Write to me in a direct message, and I will send it there.")

log = logging.getLogger(__name__)


class SlackPresenter(Presenter):
    """Posts answers as messages, with the token of each workspace.

    Attributes:
        sessions: shows in threads that the agent is working.

    Args:
        own_workspaces: the ids of the workspaces whose e-mail addresses the operator trusts.
        has_thumbs: whether answers have buttons to rate them.
    """

    def __init__(self, workspaces: Workspaces, own_workspaces: Collection[str], *, has_thumbs: bool = False) -> None:
        self._workspaces = workspaces
        self._has_thumbs = has_thumbs
        self._poster = Poster(workspaces)
        self.sessions = AgentSessions(workspaces)
        self._own_workspaces = own_workspaces
        self._renderer = MrkdwnRenderer()

    async def vouched_email(self, identity: Identity) -> str | None:
        """Return the e-mail address of a member of an own workspace: https://docs.slack.dev/reference/objects/user-object"""
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
        return await resolved(await self._workspaces.client(tenant), user_id)

    def live_view(self, message: Message) -> LiveView:
        return SlackLiveView(self._poster, self.sessions, message)

    def parts(self, markdown: str) -> list[str]:
        return self._renderer.render(markdown)

    def reserve(self, conversation: Conversation, recipient: Identity | None = None, *, is_edit: bool = False) -> float:
        channel = recipient.user_id if recipient is not None else conversation.id.partition("/")[0]
        return self._poster.reserve(conversation.tenant, channel, is_edit=is_edit)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        channel, _, thread = conversation.id.partition("/")
        return await self._poster.post(conversation.tenant, channel, thread, text, metadata=keyed(key))

    async def complete_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        channel, _, _ = conversation.id.partition("/")
        return await self._poster.complete(conversation.tenant, channel, platform_id, text, key)

    async def send_rated_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        channel, _, thread = conversation.id.partition("/")
        place = (conversation.tenant, channel, thread, text)
        if self._has_thumbs:
            with _blocks_refused("thumbs of an answer"):
                return await self._poster.post(*place, metadata=keyed(key), blocks=blocks.rated(text))
        return await self._poster.post(*place, metadata=keyed(key))

    async def complete_rated_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        channel, _, _ = conversation.id.partition("/")
        place = (conversation.tenant, channel, platform_id, text, key)
        if self._has_thumbs:
            with _blocks_refused("thumbs of an answer"):
                return await self._poster.complete(*place, blocks.rated(text))
        return await self._poster.complete(*place)

    async def remove_preview(self, conversation: Conversation, platform_id: str | None, since: datetime) -> None:
        tenant, (channel, _, thread) = conversation.tenant, conversation.id.partition("/")
        lost = [platform_id] if platform_id else await self._poster.lost_previews(tenant, channel, thread, since)
        for preview in lost:
            await self._poster.delete(tenant, channel, preview)

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
        channel = await resolved(client, channel)
        uploaded: list[dict[str, str | None]] = [
            {"id": await upload(client, file), "title": file.name} for file in files
        ]
        with slack_errors():
            await client.files_completeUploadExternal(
                files=uploaded, channel_id=channel, thread_ts=thread or None, initial_comment=comment or None
            )

    async def was_sent(self, delivery: Delivery) -> bool | None:
        """Look for a message with the key in its metadata: https://docs.slack.dev/messaging/message-metadata

        A message with files has no metadata. It is recognized by their names and sizes.
        """
        tenant, (channel, _, thread) = delivery.conversation.tenant, delivery.conversation.id.partition("/")
        if delivery.identity is not None:
            channel, thread = delivery.identity.user_id, ""
        client = await self._workspaces.client(tenant)
        channel = await resolved(client, channel)
        messages, has_more = await self._poster.recent(client, channel, thread, delivery.since)
        if delivery.files:
            sent, own = _named(delivery.files), await own_user(client)
            was_found = any(message.get("user") == own and _files_of(message) == sent for message in messages)
        else:
            was_found = any(key_of(message) == delivery.key for message in messages)
        if was_found:
            return True
        return None if has_more else False

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str | None:
        # chat.postEphemeral is not enough: its messages are not kept, and may not arrive:
        # https://docs.slack.dev/reference/methods/chat.postEphemeral
        text = _heading(conversation, first=first) + text
        return await self._poster.post(conversation.tenant, identity.user_id, "", text, metadata=keyed(key))

    async def send_private_note(
        self,
        identity: Identity,
        conversation: Conversation,
        reply_to: str,
        *,
        reached: bool,
        card: QuestionCard | None = None,
    ) -> str | None:
        channel, _, thread = conversation.id.partition("/")
        note = f"<@{identity.user_id}> {ANSWERED if reached else ANSWER_HELD}"
        buttons = blocks.question(replace(card, text=note)) if card is not None else None
        return await self._poster.post(conversation.tenant, channel, thread, note, blocks=buttons)

    async def send_question(
        self, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
    ) -> str | None:
        channel, _, thread = conversation.id.partition("/")
        return await self._ask(conversation.tenant, channel, thread, card, key)

    async def send_private_question(
        self, identity: Identity, conversation: Conversation, card: QuestionCard, *, first: bool, key: str
    ) -> str | None:
        card = replace(card, text=_heading(conversation, first=first) + card.text)
        return await self._ask(conversation.tenant, identity.user_id, "", card, key)

    async def close_question(
        self, conversation: Conversation, identity: Identity | None, platform_id: str, text: str
    ) -> None:
        """Replace the buttons by the decision: https://docs.slack.dev/reference/methods/chat.update

        A message that is gone, or that cannot be edited any more, stays as it is.
        """
        place = conversation.id.partition("/")[0] if identity is None else identity.user_id
        channel = await resolved(await self._workspaces.client(conversation.tenant), place)
        try:
            await self._poster.edit(conversation.tenant, channel, platform_id, text, blocks=blocks.sections(text))
        except (PreviewGoneError, DeliveryRefusedError) as refusal:
            log.info("the question %s in %s keeps its buttons: %s", platform_id, channel, refusal)

    async def _ask(self, tenant: str, channel: str, thread: str, card: QuestionCard, key: str) -> str | None:
        """Post a question with buttons, or with the choices to type, if they are too many or Slack refuses them."""
        if len(card.choices) <= blocks.MOST_OPTIONS:
            with _blocks_refused("buttons of a question"):
                return await self._poster.post(
                    tenant, channel, thread, card.text, metadata=keyed(key), blocks=blocks.question(card)
                )
        return await self._poster.post(tenant, channel, thread, self.in_words(card), metadata=keyed(key))

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        """Return whether a conversation is the person's direct conversation itself, and not a thread in it."""
        return not conversation.shared and self.thread_root(conversation) is None

    def thread_root(self, conversation: Conversation) -> str | None:
        return conversation.id.partition("/")[2] or None

    async def send_sign_in(self, sign_in: SignIn) -> None:
        channel, _, thread = sign_in.conversation.id.partition("/")
        label, asked = escape(sign_in.label), "that"
        if sign_in.conversation.shared:
            asked = f"what you wrote in <#{channel}>"
            channel, thread = sign_in.identity.user_id, ""
        address, request = await sign_in.link(), sign_in_request(label, asked)
        text = f"{request}: {link(sign_in_button(label), address)}. {SIGN_IN_TERMS}"  # for notifications
        button = blocks.link_button(f"{request}. {SIGN_IN_TERMS}", sign_in_button(sign_in.label), address)
        await self._poster.post(sign_in.conversation.tenant, channel, thread, text, blocks=button)

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        # Slack's links to a conversation carry no text, so that the person has to paste the code.
        # https://docs.slack.dev/interactivity/deep-linking
        client = await self._workspaces.client(identity.tenant)
        query = urlencode({"channel": await resolved(client, identity.user_id), "team": identity.tenant})
        site = client.base_url.removesuffix("/").removesuffix("/api")
        return ReturnLink(f"{site}/app_redirect?{query}", "Slack")


@contextmanager
def _blocks_refused(what: str) -> Iterator[None]:
    """Suppress the error if Slack refuses the blocks of a message, so that the caller can send it as text."""
    try:
        yield
    except DeliveryRefusedError as refusal:
        if str(refusal) not in BLOCKS_REFUSED:
            raise
        log.warning("Slack refuses the %s, which is sent as text: %s", what, refusal)


def _heading(conversation: Conversation, *, first: bool) -> str:
    """Return the heading of the first part of a private answer; empty for the other parts."""
    return f"You asked in <#{conversation.id.partition('/')[0]}>:\n" if first else ""


def _named(files: Sequence[StoredFile]) -> list[tuple[str, int]]:
    """Return the names and sizes of files, by which a message with them is recognized."""
    return sorted((file.name, file.size) for file in files)


def _files_of(message: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the names and sizes of the files of a message."""
    return sorted((file.get("name", ""), file.get("size", 0)) for file in message.get("files", ()))
