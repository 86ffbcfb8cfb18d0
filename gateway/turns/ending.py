"""End turns: write the outcome of each in one transaction."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.interface import Interface
from gateway.channels.live import Preview
from gateway.channels.presenter import HELD_ANSWER
from gateway.inbox.claims import ClaimedMessage, TurnStoppedError, check_claimed
from gateway.outbox.composing import composed, stored
from gateway.outbox.outbox import Part
from gateway.outbox.previews import take_previews
from gateway.outbox.unsent import PendingDelivery
from gateway.retries import RetryPolicy
from gateway.runs.journal import AnswerRequiredError
from gateway.settings import PrivateAnswers
from gateway.storage.files import StoredFile
from gateway.storage.tables import InboxStatus
from gateway.turns.questions.asking import Asking
from gateway.turns.questions.deciding import Deciding
from gateway.turns.replies.sentences import CANNOT_ANSWER_PRIVATELY, FAILED, NO_ANSWER, NOTHING_HELD
from gateway.turns.replies.stopped import stopped_outcome
from gateway.turns.stores import Stores
from gateway.turns.turn import Turn, TurnOutcome
from oauth import Identity
from toolkits import ToolError
from toolkits.text import storable

log = logging.getLogger(__name__)


class Ending:
    """Writes the ends of turns.

    Args:
        asking, deciding: ask people questions, and take their answers.
        private_answers: where a private answer to a message in a shared conversation goes.
        retries: how often a message is tried.
    """

    def __init__(
        self,
        stores: Stores,
        asking: Asking,
        deciding: Deciding,
        private_answers: PrivateAnswers,
        retries: RetryPolicy,
    ) -> None:
        self._stores = stores
        self._asking = asking
        self._deciding = deciding
        self._private_answers = private_answers
        self._retries = retries

    async def write(self, turn: Turn, outcome: TurnOutcome) -> list[PendingDelivery] | None:
        """Write the outcome of a turn. If it was stopped, it ends as stopped instead of being parked or retried.

        Returns:
            The deliveries to send now; `None` if they are not known.

        Raises:
            LeaseLostError: if another worker has taken the turn over. Then nothing is written.
        """
        try:
            return await self._write(turn, outcome)
        except TurnStoppedError as reason:
            return await self._write(turn, await stopped_outcome(turn, reason))

    async def _write(self, turn: Turn, outcome: TurnOutcome) -> list[PendingDelivery] | None:
        if outcome.retry:
            await self._retry(turn.row, turn.message.sender, outcome.error, unless_stopped=True)
            return None
        is_for_sender = outcome.only_to_sender or (outcome.private and self._private_answers is PrivateAnswers.ALONE)
        is_for_sender = is_for_sender and turn.message.conversation.shared
        if is_for_sender and turn.message.anonymous:
            parts = await _parts(turn, CANNOT_ANSWER_PRIVATELY)
        else:
            text, files = await self._stored(turn, outcome, turn.message.sender if is_for_sender else None)
            parts = await _parts(turn, text, files)

        async def work(connection: AsyncConnection) -> tuple[Callable[[], None], list[PendingDelivery]]:
            resumed = await self._end(connection, turn, outcome)
            await self._stores.sessions.add(
                connection,
                turn.row.conversation_id,
                turn.row.id,
                turn.message.sender,
                turn.message.sender_name,
                outcome.items,
                private=outcome.private,
            )
            previews = await take_previews(connection, turn.row.id) if turn.previews.may_exist else ()
            await self._add_answer(connection, turn, outcome, parts, previews, is_for_sender=is_for_sender)
            if outcome.answers is not None:
                resumed += await self._deciding.take(connection, *outcome.answers, turn.message.sender_name)
            if turn.row.is_stopped:  # the turn may have open questions
                resumed += await self._deciding.stop(connection, turn.row.id, turn.message.sender)
            if outcome.sign_in is not None:
                await self._add_sign_in(connection, turn, outcome.sign_in)
            resumed += await self._release(connection, turn)
            pending = await self._stores.deliverer.begin(connection, turn.row.conversation_id)
            return await self._stores.inbox.resume(connection, resumed), pending

        committed, pending = await self._stores.database.run_write(work)
        committed()
        if outcome.is_answered:
            _log_answered(turn, outcome)
        return pending

    async def ignore(self, row: ClaimedMessage) -> None:
        """End a message that needs no answer."""
        await self._end_unread(row, InboxStatus.DONE)

    async def put_off(self, row: ClaimedMessage, reason: str, error: Exception | None = None) -> None:
        """Have a message that cannot be read tried again later; after its last try, make it a dead letter."""
        if row.attempts < self._retries.tries:
            log.warning("the message is tried again: %s", reason)
            await self._retry(row, None, reason)
        else:
            log.error("given up after %s tries: %s", row.attempts, reason, exc_info=error)
            await self._end_unread(row, InboxStatus.DEAD, reason)

    def has_tries_left(self, row: ClaimedMessage) -> bool:
        """Return whether this claim of a message is one of its tries."""
        return row.attempts <= self._retries.tries

    async def give_up(self, row: ClaimedMessage, interface: Interface | None) -> list[PendingDelivery]:
        """End a message without reading it, because the process died or the end could not be written in each try.

        Only values that do not depend on the content of the message are written, because the content may be the cause.

        Args:
            interface: the channel, which tells the person that the message failed; `None` if it is not configured.

        Returns:
            The deliveries to send now.
        """
        log.error(
            "given up: in each of %s tries the process died, or the end could not be written", self._retries.tries
        )
        parts = interface.presenter.parts(FAILED.format(reference=row.reference)) if interface is not None else []
        reason = "It could not be ended in any of its tries."

        async def work(connection: AsyncConnection) -> list[PendingDelivery]:
            await self._stores.inbox.end(connection, row, None, InboxStatus.DEAD, reason)
            previews = await take_previews(connection, row.id)
            await self._stores.outbox.add_parts(connection, row, parts, "", previews)
            return await self._stores.deliverer.begin(connection, row.conversation_id)

        return await self._stores.database.run_write(work)

    async def _end(self, connection: AsyncConnection, turn: Turn, outcome: TurnOutcome) -> list[int]:
        """End or park the message's row, and return the ids of the conversations to resume."""
        inbox, sender = self._stores.inbox, turn.message.sender
        if isinstance(outcome.parked, AnswerRequiredError):
            await inbox.park_for_answer(connection, turn.row, sender)
            return await self._asking.add(connection, turn.row, turn.message, outcome.parked)
        if outcome.parked is not None:
            await inbox.park(connection, turn.row, sender, outcome.parked)
            return []
        await inbox.end(connection, turn.row, sender, outcome.status, outcome.error)
        if outcome.is_answered:
            await turn.journal.forget(connection)
        return []

    async def _stored(
        self, turn: Turn, outcome: TurnOutcome, owner: Identity | None
    ) -> tuple[str, Sequence[StoredFile]]:
        """Store the files of an answer, and return its text and the stored files.

        The text also says which files cannot be sent, and why.
        """
        text, kept = outcome.text, list[StoredFile]()
        for file in outcome.files:
            try:
                kept += await stored(self._stores.files, turn.presenter, [file], owner)
            except ToolError as refusal:
                text = f"{text}\n\n{refusal}"
        return text, kept

    async def _add_answer(
        self,
        connection: AsyncConnection,
        turn: Turn,
        outcome: TurnOutcome,
        parts: Sequence[Part],
        previews: Sequence[Preview],
        *,
        is_for_sender: bool,
    ) -> None:
        outbox, message = self._stores.outbox, turn.message
        if is_for_sender and not message.anonymous:
            may_be_posted = parts and not outcome.only_to_sender
            card = await self._asking.offer_to_post(connection, turn.row, message) if may_be_posted else None
            await outbox.add_private_parts(connection, turn.row, message.sender, parts, message.id, card)
            await outbox.add_removals(connection, turn.row, previews)
        else:
            await outbox.add_parts(connection, turn.row, parts, message.id, previews, by_agent=outcome.by_agent)

    async def _add_sign_in(self, connection: AsyncConnection, turn: Turn, provider: str) -> None:
        message = turn.message
        await self._stores.outbox.add_sign_in(
            connection, turn.row, message.sender, message.sender_name, provider, message.id
        )

    async def _release(self, connection: AsyncConnection, turn: Turn) -> list[int]:
        """Release the deliveries that were held until this person writes directly.

        Returns:
            The ids of the conversations to resume.
        """
        message = turn.message
        if message.conversation.shared:
            return []
        released = await self._stores.outbox.release(connection, message.sender)
        if message.argument == HELD_ANSWER and not released:
            parts = turn.presenter.parts(NOTHING_HELD)
            await self._stores.outbox.add_parts(connection, turn.row, parts, message.id)
        return released

    async def _end_unread(self, row: ClaimedMessage, status: InboxStatus, error: str = "") -> None:
        async with self._stores.database.write() as connection:
            await self._stores.inbox.end(connection, row, None, status, error)
            await self._stores.outbox.add_removals(connection, row, await take_previews(connection, row.id))

    async def _retry(
        self, row: ClaimedMessage, sender: Identity | None, error: str, *, unless_stopped: bool = False
    ) -> None:
        """Have a message tried again later, and remove the previews of its turn.

        Raises:
            TurnStoppedError: if `unless_stopped` is set, and the turn was stopped.
        """
        async with self._stores.database.write() as connection:
            if unless_stopped:
                await check_claimed(connection, row)
            await self._stores.inbox.retry(connection, row, sender, error, self._retries.next_try(row.attempts))
            await self._stores.outbox.add_removals(connection, row, await take_previews(connection, row.id))


def _log_answered(turn: Turn, outcome: TurnOutcome) -> None:
    seconds, usage = (datetime.now(UTC) - turn.row.accepted_at).total_seconds(), outcome.usage
    fields = {
        "channel": turn.row.conversation.channel,
        "person": turn.message.sender.user_id,
        "seconds": round(seconds, 3),
        "tools": list(usage.tools.elements()),
        "tokens": usage.tokens,
        "reference": turn.row.reference,
    }
    text = ": ".join(
        filter(None, (f"answered {turn.message.sender} {seconds:.1f} s after it was accepted", str(usage)))
    )
    log.info("%s", text, extra=fields)


async def _parts(turn: Turn, text: str, files: Sequence[StoredFile] = ()) -> Sequence[Part]:
    """Return the parts of an answer. If it has no visible characters, like an empty quote, they say `NO_ANSWER`."""
    if not text and not files:
        return []
    return await composed(turn.presenter, storable(text), files) or turn.presenter.parts(NO_ANSWER)
