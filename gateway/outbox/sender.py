"""Send messages on the bot's own initiative: from the host application, or from a tool in a turn."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime

from gateway.channels.presenter import Presenter
from gateway.inbox.inbox import Inbox
from gateway.outbox.composing import checked, composed, stored
from gateway.outbox.outbox import Outbox, Part
from gateway.storage.database import Database
from gateway.storage.files import FileStore, are, remove_files
from oauth import SettingError
from toolkits import Conversation, File, Message, Template, ToolError
from toolkits.text import storable

CANNOT_SEND_PRIVATELY = "This may go only to one person, but several people share the sender's id, so it was not sent."

log = logging.getLogger(__name__)


class Sender:
    """Sends messages that answer no message, now or at a set time."""

    def __init__(
        self,
        database: Database,
        inbox: Inbox,
        outbox: Outbox,
        presenters: Mapping[str, Presenter],
        files: FileStore,
    ) -> None:
        self._database = database
        self._inbox = inbox
        self._outbox = outbox
        self._presenters = presenters
        self._files = files

    async def send(
        self,
        conversation: Conversation,
        text: str,
        *,
        template: Template | None = None,
        files: Sequence[File] = (),
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        """Send a text and files, or a template, to a conversation: see `Gateway.send`."""
        return await self._send(conversation, text, template, files, at, key, None)

    async def send_privately(
        self,
        message: Message,
        text: str,
        *,
        template: Template | None = None,
        files: Sequence[File] = (),
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        """Send a text and files only to the sender of a message, as a private answer is sent.

        Raises:
            ToolError: if several people share the sender's id.
        """
        if message.conversation.shared and message.anonymous:
            raise ToolError(CANNOT_SEND_PRIVATELY)
        private_to = message if message.conversation.shared else None
        return await self._send(message.conversation, text, template, files, at, key, private_to)

    async def _send(
        self,
        conversation: Conversation,
        text: str,
        template: Template | None,
        files: Sequence[File],
        at: datetime | None,
        key: str | None,
        private_to: Message | None,
    ) -> str | None:
        if conversation.channel not in self._presenters:
            configured = ", ".join(self._presenters) or "none"
            raise SettingError(
                f"send(): the channel {conversation.channel!r} is not configured (configured: {configured}). "
                "Add it to the interfaces of the gateway."
            )
        if at is not None and at.tzinfo is None:
            raise ValueError("send(at=…): the time has no time zone: pass an aware datetime")
        presenter = self._presenters[conversation.channel]
        owner = private_to.sender if private_to is not None else None
        if template is not None and (text or files):
            raise ValueError("send(template=…): a template is sent alone, without a text and without files")
        kept = await stored(self._files, presenter, files, owner)
        if template is not None:
            parts: list[Part] = [checked(presenter, template)]
        else:
            parts = await composed(presenter, storable(text), kept)
        if not parts:
            raise ValueError("send(): the text has no visible characters")
        async with self._database.write() as connection:
            if key is not None and not await self._inbox.take_key(connection, conversation, f"send:{key}"):
                await remove_files(connection, are(kept))
                return None
            conversation_id = await self._inbox.conversation_id(connection, conversation)
            reference = await self._outbox.add_message(connection, conversation_id, parts, at, private_to)
            committed = await self._inbox.resume(connection, [conversation_id] if at is None else [])
        committed()
        return reference


class TurnSender:
    """Sends messages for the tools of a turn.

    Once the turn is private, its messages to shared conversations go only to the turn's person.

    Args:
        message: the message that the turn answers.
        is_private: returns whether the turn is private: it has read private data that is not to be posted openly.
    """

    def __init__(self, sender: Sender, message: Message, is_private: Callable[[], bool]) -> None:
        self._sender = sender
        self._message = message
        self._is_private = is_private

    async def send(
        self,
        conversation: Conversation,
        text: str,
        *,
        template: Template | None = None,
        files: Sequence[File] = (),
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        """Send a text and files, or a template, to a conversation, as `Gateway.send` does.

        Raises:
            ToolError: if the message is private, but several people share the id of the turn's person.
        """
        if conversation.shared and self._is_private():
            log.info("a message to %s is private and goes only to %s", conversation, self._message.sender)
            return await self._sender.send_privately(
                self._message, text, template=template, files=files, at=at, key=key
            )
        return await self._sender.send(conversation, text, template=template, files=files, at=at, key=key)

    def through(self, sender: Sender) -> "TurnSender":
        """Return a `TurnSender` of the same turn that sends through another gateway's sender."""
        return TurnSender(sender, self._message, self._is_private)


current_turn_sender: ContextVar[TurnSender | None] = ContextVar("current_turn_sender", default=None)
"""The sender of the running turn, for `Gateway.send`, which gets no context. Tools find it in their `TurnContext`."""
