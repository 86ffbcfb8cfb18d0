"""End stopped turns with the text and the calls so far."""

import logging

from gateway.inbox.claims import TurnStoppedError
from gateway.inbox.stopping import Stops
from gateway.runs.events import ToolOutcome
from gateway.runs.items import Role, SessionItem
from gateway.turns.journal import calls_made
from gateway.turns.replies import Reply
from gateway.turns.replies.sentences import stopped, with_interrupted
from gateway.turns.turn import Turn, TurnOutcome
from toolkits import Message

log = logging.getLogger(__name__)


class StoppableAnswer:
    """Makes a reply stoppable.

    Args:
        answer: the reply.
    """

    def __init__(self, answer: Reply, stops: Stops) -> None:
        self._answer = answer
        self._stops = stops

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        if turn.row.is_stopped:
            return await stopped_outcome(turn, TurnStoppedError())
        with self._stops.told(turn.row.id, lambda: turn.journal.stop(TurnStoppedError())):
            try:
                return await self._answer.reply(turn)
            except TurnStoppedError as reason:
                return await stopped_outcome(turn, reason)


async def stopped_outcome(turn: Turn, reason: TurnStoppedError) -> TurnOutcome:
    """Return the outcome of a stopped turn.

    The text so far stays, marked as stopped. The history also gets the calls that the turn has made.
    """
    log.info("stopped")
    journal = turn.journal.rerun()
    await journal.load()
    cut = [call.tool for call in journal.recorded if call.outcome in (None, ToolOutcome.AMBIGUOUS)]
    text = with_interrupted(stopped(reason.text), cut)
    items = [
        SessionItem(Role.USER, _as_text(turn.message), has_files=bool(turn.message.attachments)),
        SessionItem(Role.ASSISTANT, "\n\n".join((*calls_made(journal.recorded), text))),
    ]
    return TurnOutcome(text, items, private=reason.private or journal.private)


def _as_text(message: Message) -> str:
    return " ".join(filter(None, (message.text, *(f"[{each.kind}]" for each in message.attachments))))
