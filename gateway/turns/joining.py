"""Decide what becomes of messages that come while a conversation is busy."""

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
"""Answers the message of a turn."""

log = logging.getLogger(__name__)


class MessageJoiner:
    """Joins messages to a turn, as its agent's `when_busy` says: those of its sender that wait next.

    A command, the answer to a question, and a message of somebody else are always turns of their own: a turn acts for
    one person. So is a message that was claimed before: its own journal has what its turn did, and another turn would
    do it again.

    """

    def __init__(self, inbox: Inbox, reader: MessageReader, questions: OpenQuestions, timings: Timings) -> None:
        self._inbox = inbox
        self._reader = reader
        self._questions = questions
        self._timings = timings

    async def answer(self, turn: Turn, answer: Answer) -> tuple[Turn, TurnOutcome]:
        """Answer the message of a turn, and with it what its sender writes meanwhile, if the agent wants that.

        Returns:
            The turn, about all the messages that were joined, and what it comes to.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
        """
        when_busy = turn.agent.when_busy
        is_alone = when_busy is WhenBusy.QUEUE or turn.row.is_stopped
        if is_alone or not await self._may_be_joined(turn, turn.message):
            return turn, await answer(turn)
        lead = turn.message
        while True:
            try:
                turn = turn.about(await self._collect(turn, lead))
            except TurnStoppedError:  # what was written since is a turn of its own
                turn = replace(turn, row=replace(turn.row, is_stopped=True))
                return turn, await answer(turn)
            if when_busy is WhenBusy.COLLECT or not _is_open(turn):
                return turn, await answer(turn)
            if (outcome := await unless(answer(turn), self._interruption(turn))) is not None:
                return turn, outcome
            log.info("%s wrote more, and is answered together", turn.message.sender)
            turn = replace(turn, journal=turn.journal.rerun())

    async def _collect(self, turn: Turn, lead: Message) -> Message:
        """Join what waits to a turn; return the message that the turn is about now."""
        messages = [lead]
        if _is_open(turn) and (following := await self._following(turn)):
            await self._inbox.join(turn.row, following)
        for waiting in await self._inbox.joined(turn.row):  # read once more: one may have been edited or deleted
            message = await self._read(turn, waiting)
            if message is not None and message.command is None:  # a command that is joined has stopped the turn
                messages.append(message)
        return combined(messages, messages[-1])

    async def _interruption(self, turn: Turn) -> None:
        """Return when a message waits that belongs to a turn which runs."""
        while _is_stopping(turn) or not await self._following(turn):  # noqa: ASYNC110 - another process may accept it
            await asyncio.sleep(self._timings.interruption_interval)

    async def _following(self, turn: Turn) -> list[WaitingMessage]:
        """Return the next messages in the conversation that may be joined to a turn."""
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
        """Return a message that waits; `None` if another agent answers it or it cannot be read."""
        try:
            read = await self._reader.read(turn.interface, waiting.payloads)
        except Exception:  # noqa: BLE001 - whatever a channel's parser raises
            log.warning("message %s cannot be read, and is a turn of its own", waiting.id)
            return None
        return read[1] if read is not None and read[0] is turn.agent else None


def _is_open(turn: Turn) -> bool:
    """Return whether messages may join a turn: an earlier claim that played it without them excludes that."""
    return turn.row.lease == 1


def _is_stopping(turn: Turn) -> bool:
    return isinstance(turn.journal.stopped(), TurnStoppedError)
