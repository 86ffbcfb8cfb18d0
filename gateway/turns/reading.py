"""Read stored events as messages."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from gateway.agents.agent import Agent
from gateway.agents.routing import Router
from gateway.cancellation import exits_contained
from gateway.channels.interface import Interface
from gateway.inbox.claims import ClaimedMessage
from gateway.logs import describe
from gateway.timings import Timings
from toolkits import Attachment, Message

log = logging.getLogger(__name__)

LONGEST_NAME = 80  # characters of a name that instructions may have in them


class MessageReader:
    """Reads a stored event with the parser of its channel, and chooses the agent that answers it.

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

    async def read(self, interface: Interface, payload: str) -> tuple[Agent, Message] | None:
        """Return a stored event as a message, without the command that chose its agent, and that agent.

        Returns:
            `None` if there is nothing to answer in the event.

        Raises:
            Exception: whatever the parser of the channel raises.
            TimeoutError: if it takes too long.
        """
        message = await self._parse(interface, payload)
        return self._router.select(message) if message is not None else None

    async def attachments(self, interface: Interface, payload: str) -> Sequence[Attachment]:
        """Return what was sent with a stored event; nothing if the channel cannot read it any more."""
        try:
            message = await self._parse(interface, payload)
        except Exception as error:  # noqa: BLE001 - whatever a channel's parser raises
            log.warning("the attachments of an earlier message cannot be read: %s", describe(error))
            return ()
        return message.attachments if message is not None else ()

    async def _parse(self, interface: Interface, payload: str) -> Message | None:
        with exits_contained("the parser"):
            async with asyncio.timeout(self._timings.parse):
                return await interface.parse(payload)


def values_of_person(message: Message) -> dict[str, str]:
    """Return what the request context has of the person who wrote a message. What is not known is left out."""
    name = " ".join(message.sender_name.split())[:LONGEST_NAME]
    known = {"USER_NAME": name, "LOCALE": message.locale, "TIMEZONE": message.timezone}
    return {"USER_ID": message.sender.user_id, **{key: value for key, value in known.items() if value}}
