"""Read stored events as messages."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.agents.agent import Agent
from gateway.agents.routing import Router
from gateway.cancellation import exits_contained
from gateway.channels.interface import Interface
from gateway.inbox.claims import ClaimedMessage
from gateway.logs import describe
from gateway.timings import Timings
from toolkits import Attachment, Conversation, Message

log = logging.getLogger(__name__)

LONGEST_NAME = 80  # characters of a person's name in the request context, from which instructions may take it


class MessageReader:
    """Reads stored events with the parser of their channel, and chooses the agent that answers.

    Args:
        interfaces: by channel.
    """

    def __init__(self, interfaces: Mapping[str, Interface], router: Router, timings: Timings) -> None:
        self._interfaces = interfaces
        self._router = router
        self._timings = timings

    def interface(self, row: ClaimedMessage) -> Interface | None:
        """Return the interface of a message's channel; `None` if that channel is not configured."""
        return self._interfaces.get(row.conversation.channel)

    async def read(
        self, interface: Interface, conversation: Conversation, payloads: Sequence[str]
    ) -> tuple[Agent, Message] | None:
        """Return the agent that answers a stored message, and the message without the command that chose the agent.

        Args:
            conversation: the conversation of the message. It may have moved since the message was written.
            payloads: the payload of the message's event, or of each of its pieces, in order. Pieces are read as one
                message; its id and other fields are those of the first piece with a text.

        Returns:
            `None` if there is nothing to answer.

        Raises:
            Exception: whatever the parser of the channel raises.
            TimeoutError: if the parser takes too long.
        """
        messages = await self._parse(interface, payloads)
        if not messages:
            return None
        base = next((message for message in messages if message.text), messages[0])
        message = combined(messages, base)
        if message.conversation != conversation:
            message = replace(message, conversation=conversation)
        return self._router.select(message)

    async def attachments(self, interface: Interface, payloads: Sequence[str]) -> Sequence[Attachment]:
        """Return the attachments in stored events; none if the channel cannot read the events any more."""
        try:
            messages = await self._parse(interface, payloads)
        except Exception as error:  # noqa: BLE001 - whatever a channel's parser raises
            log.warning("the attachments of an earlier message cannot be read: %s", describe(error))
            return ()
        return [attachment for message in messages for attachment in message.attachments]

    async def _parse(self, interface: Interface, payloads: Sequence[str]) -> list[Message]:
        with exits_contained("the parser"):
            async with asyncio.timeout(self._timings.parse):
                parsed = [await interface.parse(payload) for payload in payloads]
        return [message for message in parsed if message is not None]


def values_of_person(message: Message) -> dict[str, str]:
    """Return the request context's values about the sender of a message, without those that are not known."""
    name = " ".join(message.sender_name.split())[:LONGEST_NAME]
    known = {"USER_NAME": name, "LOCALE": message.locale, "TIMEZONE": message.timezone}
    return {"USER_ID": message.sender.user_id, **{key: value for key, value in known.items() if value}}


def combined(messages: Sequence[Message], base: Message) -> Message:
    """Combine messages to one.

    Args:
        base: the message from which everything is taken except the text, the attachments and the quoted messages.
    """
    if len(messages) == 1:
        return messages[0]
    return replace(
        base,
        text="\n\n".join(message.text for message in messages if message.text),
        attachments=tuple(attachment for message in messages for attachment in message.attachments),
        quoted=tuple(dict.fromkeys(quoted for message in messages for quoted in message.quoted)),
    )
