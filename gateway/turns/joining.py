"""Join messages that arrive while a conversation is busy to its turn."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from gateway.cancellation import unless
from gateway.inbox.claims import TurnStoppedError
from gateway.inbox.inbox import Inbox, WaitingMessage
from gateway.settings import WhenBusy
from gateway.timings import Timings
from gateway.turns.questions.reading import OpenQuestions
from gateway.turns.reading import MessageReader, combined
from gateway.turns.turn import Turn, TurnOutcome
from oauth.store.pending import code_in
from toolkits import Message

Answer = Callable[[Turn], Coroutine[Any, Any, TurnOutcome]]
"""A function that answers the message of a turn."""

log = logging.getLogger(__name__)


class MessageJoiner:
    """Joins the next waiting messages of the same sender to a turn, if the agent's `when_busy` wants that.

    A command, an answer to a question and a message of somebody else always get their own turn, because a turn acts for
    one person. So does a message that was claimed before: its calls are in its own journal, and another turn would
    repeat them.
    """

    def __init__(self, inbox: Inbox, reader: MessageReader, questions: OpenQuestions, timings: Timings) -> None:
        self._inbox = inbox
        self._reader = reader
        self._questions = questions
        self._timings = timings

    async def answer(self, turn: Turn, answer: Answer) -> tuple[Turn, TurnOutcome]:
        """Answer the message of a turn, together with the messages that are joined to it.

        Returns:
            The turn with the combined message, and its outcome.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
        """
        when_busy = turn.agent.when_busy
        joins_none = when_busy is WhenBusy.QUEUE or turn.row.is_stopped
        if joins_none or not await self._may_be_joined(turn, turn.message):
            return turn, await answer(turn)
        lead = turn.message
        while True:
            try:
                turn = turn.about(await self._collect(turn, lead))
            except TurnStoppedError:  # messages that were written since get their own turn
                turn = replace(turn, row=replace(turn.row, is_stopped=True))
                return turn, await answer(turn)
            if when_busy is WhenBusy.COLLECT or not _is_open(turn):
                return turn, await answer(turn)
            if (outcome := await unless(answer(turn), self._interruption(turn))) is not None:
                return turn, outcome
            log.info("%s wrote another message: the turn starts again and answers both", turn.message.sender)
            turn = replace(turn, journal=turn.journal.rerun())

    async def _collect(self, turn: Turn, lead: Message) -> Message:
        """Join the waiting messages to a turn, and return the combined message."""
        messages = [lead]
        if _is_open(turn) and (following := await self._following(turn)):
            await self._inbox.join(turn.row, following)
        for waiting in await self._inbox.joined(turn.row):  # read again: they may have been edited or deleted
            message = await self._read(turn, waiting)
            if message is not None and message.command is None:  # a command that is joined has stopped the turn
                messages.append(message)
        return combined(messages, messages[-1])

    async def _interruption(self, turn: Turn) -> None:
        """Wait until there is a message that may be joined to the running turn."""
        while _is_stopping(turn) or not await self._following(turn):  # noqa: ASYNC110 - another process may accept it
            await asyncio.sleep(self._timings.interruption_interval)

    async def _following(self, turn: Turn) -> list[WaitingMessage]:
        """Return the next waiting messages of the conversation that may be joined to a turn."""
        following = []
        for waiting in await self._inbox.waiting_next(turn.row):
            message = None if waiting.was_claimed else await self._read(turn, waiting)
            if message is None or message.sender != turn.message.sender:
                break
            if not await self._may_be_joined(turn, message):
                break
            following.append(waiting)
        return following

    async def _may_be_joined(self, turn: Turn, message: Message) -> bool:
        if message.command is not None or message.anonymous or code_in(message.text) is not None:
            return False
        return not await self._questions.is_answer(message, turn.row.conversation_id)

    async def _read(self, turn: Turn, waiting: WaitingMessage) -> Message | None:
        """Read a waiting message. Return `None` if another agent answers it, or it cannot be read."""
        try:
            read = await self._reader.read(turn.interface, turn.row.conversation, waiting.payloads)
        except Exception:  # noqa: BLE001 - whatever a channel's parser raises
            log.warning("message %s cannot be read, so it is not joined and gets its own turn", waiting.id)
            return None
        return read[1] if read is not None and read[0] is turn.agent else None


def _is_open(turn: Turn) -> bool:
    """Return whether messages may join a turn: not if an earlier claim has already played it without them."""
    return turn.row.lease == 1


def _is_stopping(turn: Turn) -> bool:
    return isinstance(turn.journal.stopped(), TurnStoppedError)
