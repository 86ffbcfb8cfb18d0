"""Play a claimed message to its end."""

import logging
from collections.abc import Sequence

from gateway.inbox.claims import ClaimedMessage, LeaseLostError
from gateway.inbox.dispatch import TurnSlot
from gateway.logs import describe
from gateway.outbox.previews import TurnPreviews
from gateway.outbox.unsent import PendingDelivery
from gateway.request_context import update_request_context
from gateway.storage.database import Database, DatabaseUnavailableError
from gateway.turns.ending import Ending
from gateway.turns.joining import MessageJoiner
from gateway.turns.journal import TurnJournal
from gateway.turns.reading import MessageReader, values_of_person
from gateway.turns.replies import Reply
from gateway.turns.turn import Turn, TurnOutcome

log = logging.getLogger(__name__)


class TurnPlayer:
    """Plays turns: the first reply that fits a message answers it.

    Args:
        replies: the replies in the order in which they are tried. The last one fits every message.
    """

    def __init__(
        self,
        database: Database,
        reader: MessageReader,
        joiner: MessageJoiner,
        replies: Sequence[Reply],
        ending: Ending,
    ) -> None:
        self._database = database
        self._reader = reader
        self._joiner = joiner
        self._replies = replies
        self._ending = ending

    async def play(self, row: ClaimedMessage, slot: TurnSlot) -> list[PendingDelivery] | None:
        """Play a claimed message until it is answered, parked, put off or given up.

        Args:
            slot: a taken slot. It is freed when the agent has answered.

        Returns:
            The deliveries to send now; `None` if they are not known.

        Raises:
            DatabaseUnavailableError: if the database failed. The message is not at fault.
        """
        try:
            return await self._play(row, slot)
        except LeaseLostError:
            log.warning("another worker has taken this message over: this worker discards its run of the turn")
            return None

    async def _play(self, row: ClaimedMessage, slot: TurnSlot) -> list[PendingDelivery] | None:
        interface = self._reader.interface(row)
        if not self._ending.has_tries_left(row):
            return await self._ending.give_up(row, interface)
        if interface is None:
            reason = f"The channel {row.conversation.channel!r} is not configured, so nothing can be answered there."
            await self._ending.put_off(row, reason)
            return None
        try:
            read = await self._reader.read(interface, row.conversation, row.payloads)
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a channel's parser raises: it is stored and logged
            await self._ending.put_off(row, describe(error), error)
            return None
        if read is None:
            await self._ending.ignore(row)
            return None
        agent, message = read
        update_request_context(**values_of_person(message))
        journal, previews = TurnJournal(self._database, row), TurnPreviews(self._database, row)
        turn = Turn(row, message, agent, interface, journal, previews, slot)
        turn, outcome = await self._joiner.answer(turn, self._reply)
        return await self._ending.write(turn, outcome)

    async def _reply(self, turn: Turn) -> TurnOutcome:
        for reply in self._replies:
            if (outcome := await reply.reply(turn)) is not None:
                return outcome
        raise AssertionError("no reply has answered the message")
