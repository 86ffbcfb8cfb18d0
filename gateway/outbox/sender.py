import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime

from gateway.channels.presenter import Presenter
from gateway.channels.rendering import rendered
from gateway.inbox.inbox import Inbox
from gateway.outbox.outbox import Outbox
from gateway.storage.database import Database
from oauth import SettingError
from toolkits import Conversation, Message, ToolError
from toolkits.text import storable

CANNOT_SEND_ALONE = "This is for one person alone, and several people share this id, so it was not sent."

log = logging.getLogger(__name__)


class Sender:
    """Writes to conversations first, or later."""

    def __init__(self, database: Database, inbox: Inbox, outbox: Outbox, presenters: Mapping[str, Presenter]) -> None:
        self._database = database
        self._inbox = inbox
        self._outbox = outbox
        self._presenters = presenters

    async def send(
        self, conversation: Conversation, text: str, *, at: datetime | None = None, key: str | None = None
    ) -> str | None:
        """See `Gateway.send`."""
        return await self._send(conversation, text, at, key, None)

    async def send_alone(
        self, message: Message, text: str, *, at: datetime | None = None, key: str | None = None
    ) -> str | None:
        """Write to the sender of a message alone, as a private answer to it goes to them.

        Raises:
            ToolError: if several people share the sender's id.
        """
        if message.conversation.shared and message.anonymous:
            raise ToolError(CANNOT_SEND_ALONE)
        return await self._send(message.conversation, text, at, key, message if message.conversation.shared else None)

    async def _send(
        self, conversation: Conversation, text: str, at: datetime | None, key: str | None, alone: Message | None
    ) -> str | None:
        if conversation.channel not in self._presenters:
            there = ", ".join(self._presenters) or "none"
            raise SettingError(f"There is no channel {conversation.channel!r} here to send to, only {there}.")
        if at is not None and at.tzinfo is None:
            raise ValueError("send(at=…) needs a time with a time zone")
        parts = await rendered(self._presenters[conversation.channel], storable(text))
        if not parts:
            raise ValueError("send(): there is nothing in the text that can be seen")
        async with self._database.write() as connection:
            if key is not None and not await self._inbox.take_key(connection, conversation, f"send:{key}"):
                return None
            conversation_id = await self._inbox.conversation_id(connection, conversation)
            reference = await self._outbox.add_message(connection, conversation_id, parts, at, alone)
            committed = await self._inbox.resume(connection, [conversation_id] if at is None else [])
        committed()
        return reference


class TurnSender:
    """Writes to conversations in a turn. What it sends once the turn is private goes to the turn's person alone.

    Args:
        message: of the turn.
        is_private: whether the turn has read something that is for its person alone.
    """

    def __init__(self, sender: Sender, message: Message, is_private: Callable[[], bool]) -> None:
        self._sender = sender
        self._message = message
        self._is_private = is_private

    async def send(
        self, conversation: Conversation, text: str, *, at: datetime | None = None, key: str | None = None
    ) -> str | None:
        """Write to a conversation, as `Gateway.send` does.

        Raises:
            ToolError: if it is for one person alone, and several share their id.
        """
        if conversation.shared and self._is_private():
            log.info("what was to be sent to %s goes to %s alone", conversation, self._message.sender)
            return await self._sender.send_alone(self._message, text, at=at, key=key)
        return await self._sender.send(conversation, text, at=at, key=key)

    def through(self, sender: Sender) -> "TurnSender":
        """Return the same for another gateway."""
        return TurnSender(sender, self._message, self._is_private)


current_turn_sender: ContextVar[TurnSender | None] = ContextVar("current_turn_sender", default=None)
"""That of the turn that runs, for `Gateway.send`, which is told of none. A tool's own is in its `TurnContext`."""
