"""Load the history of a turn with the files that were sent earlier, as long as the platform keeps them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from gateway.channels.interface import Interface
from gateway.inbox.inbox import Inbox
from gateway.runs.items import SessionItem
from gateway.turns.reading import MessageReader
from gateway.turns.summaries import SummarizedHistory
from gateway.turns.turn import Turn
from toolkits import Attachment, AttachmentError

MOST_MESSAGES = 3  # messages whose files are given again, the last ones with files
MOST_TURNS = 10  # the last turns whose files are given again: each turn fetches them and passes them to the model


class HistoryWithFiles:
    """Loads the history of a turn with the files of its last messages.

    It reads the stored events of earlier messages again to get their attachments. So the history does not have to store
    how a file is fetched, and files of messages that were removed by retention or by an erasure are not given to later
    turns.
    """

    def __init__(self, history: SummarizedHistory, inbox: Inbox, reader: MessageReader) -> None:
        self._history = history
        self._inbox = inbox
        self._reader = reader

    async def load(self, turn: Turn) -> list[SessionItem]:
        """Return the history of a turn, with attachments in the items of the last messages with files.

        Each attachment is fetched at its first read, and only once in the turn.
        """
        history = await self._history.load(turn.row, turn.message, turn.agent)
        turns = list(dict.fromkeys(item.turn_id for item in history))[-MOST_TURNS:]
        # A turn of a flow may have several items with files.
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
    """Return an attachment that is fetched at its first read, and kept for later reads."""
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
