"""Give a turn the files that were sent earlier in its conversation, while the platform has them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from gateway.channels.interface import Interface
from gateway.inbox.inbox import Inbox
from gateway.runs.items import SessionItem
from gateway.turns.reading import MessageReader
from gateway.turns.turn import Turn
from toolkits import Attachment, AttachmentError

MOST_MESSAGES = 3  # the last ones with files, whose files are given again
MOST_TURNS = 10  # of the conversation, in which they may be: each later turn fetches them and asks with them


class EarlierFiles:
    """Reads the stored events of earlier messages again, for their attachments.

    So the history needs no other copy of how a file is fetched, and what retention or the erasure of a person removes
    is given to no later turn.
    """

    def __init__(self, inbox: Inbox, reader: MessageReader) -> None:
        self._inbox = inbox
        self._reader = reader

    async def attach(self, turn: Turn, history: list[SessionItem]) -> list[SessionItem]:
        """Return the history of a turn, in which the last messages that had files have their attachments.

        Each is fetched when it is read first, and once in a turn.
        """
        turns = list(dict.fromkeys(item.turn_id for item in history))[-MOST_TURNS:]
        # Of a flow, several items may be of one turn.
        by_turn = {item.turn_id: item for item in history if item.has_files and item.turn_id in turns}
        recent = list(by_turn)[-MOST_MESSAGES:]
        if not recent:
            return history
        payloads = await self._inbox.payloads(recent)
        found = {
            by_turn[turn_id].id: await self._attachments(turn.interface, payloads.get(turn_id, ()))
            for turn_id in recent
        }
        return [replace(item, attachments=found[item.id]) if item.id in found else item for item in history]

    async def _attachments(self, interface: Interface, payloads: Sequence[str]) -> Sequence[Attachment]:
        return [_read_once(attachment) for attachment in await self._reader.attachments(interface, payloads)]


def _read_once(attachment: Attachment) -> Attachment:
    """Return an attachment that is fetched when it is first read, whoever reads it again."""
    if attachment.fetch is None:
        return attachment
    lock, outcomes = asyncio.Lock(), list[bytes | AttachmentError]()

    async def fetch() -> AsyncGenerator[bytes, None]:
        async with lock:
            if not outcomes:
                try:
                    outcomes.append(await attachment.read())
                except AttachmentError as error:
                    outcomes.append(error)
        if isinstance(outcomes[0], AttachmentError):
            raise outcomes[0]
        yield outcomes[0]

    return replace(attachment, fetch=fetch)
