"""What becomes of messages that come while a conversation is busy."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from gateway.inbox.inbox import ClaimedMessage, Inbox, Waiting
from gateway.timings import DEFAULT_TIMINGS, Timings
from oauth.store.pending import code_in
from toolkits import Message

Parse = Callable[[str], Awaitable[Message | None]]
IsAnswer = Callable[[Message], Awaitable[bool]]

log = logging.getLogger(__name__)


class MessageCollector:
    """Joins messages to a turn: those of its sender that wait next in its conversation.

    A command, an answer, or what somebody else wrote, is a turn of its own: a turn acts for one person. A message that
    was claimed before is, too: what its turn has done is in its own journal, and another turn would do it again.

    Args:
        is_answer: whether a message may be the answer to a question that its sender was asked.
    """

    def __init__(
        self,
        inbox: Inbox,
        row: ClaimedMessage,
        parse: Parse,
        is_answer: IsAnswer,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._timings = timings
        self._inbox = inbox
        self._row = row
        self._parse = parse
        self._is_answer = is_answer

    async def collect(self, message: Message) -> Message:
        """Joins what waits to a turn; returns the message that it is about now.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
        """
        joined = await self._inbox.joined(self._row)
        messages = [message, *[found for each in joined if (found := await self._read(each)) is not None]]
        following = await self._following(message) if self.is_open else []
        if following:
            await self._inbox.join(self._row, [waiting for waiting, _ in following])
            messages += [found for _, found in following]
        return _combined(messages)

    @property
    def is_open(self) -> bool:
        """Return whether messages may join the turn: an earlier claim that played it without them excludes that."""
        return self._row.lease == 1

    async def interruption(self, message: Message) -> None:
        """Returns when a message waits that belongs to a turn which runs."""
        while not await self._following(message):  # noqa: ASYNC110 - another process may have accepted it
            await asyncio.sleep(self._timings.interruption_interval)

    async def _following(self, message: Message) -> list[tuple[Waiting, Message]]:
        following = []
        for waiting in await self._inbox.waiting_next(self._row):
            found = None if waiting.was_claimed else await self._read(waiting)
            if found is None or found.sender != message.sender or not may_be_joined(found):
                break
            if await self._is_answer(found):
                break
            following.append((waiting, found))
        return following

    async def _read(self, waiting: Waiting) -> Message | None:
        try:
            return await self._parse(waiting.payload)
        except Exception:  # noqa: BLE001 - its own turn says so
            log.warning("message %s cannot be read, and is a turn of its own", waiting.id)
            return None


def may_be_joined(message: Message) -> bool:
    return message.command is None and not message.anonymous and code_in(message.text) is None


def _combined(messages: Sequence[Message]) -> Message:
    if len(messages) == 1:
        return messages[0]
    return replace(
        messages[-1],
        text="\n\n".join(message.text for message in messages if message.text),
        attachments=tuple(attachment for message in messages for attachment in message.attachments),
    )
