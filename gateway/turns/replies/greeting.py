"""Answer a message that has no text, which the agent is not asked about."""

from gateway.turns.replies.sentences import ATTACHMENTS_UNREAD, greeting
from gateway.turns.turn import Turn, TurnOutcome


class GreetingReply:
    """Greets whoever mentions the bot without a word."""

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        if turn.message.text:
            return None
        return TurnOutcome(ATTACHMENTS_UNREAD if turn.message.attachments else greeting(turn.agent))
