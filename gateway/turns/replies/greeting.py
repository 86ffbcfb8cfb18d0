"""Answer a message without a word and without an attachment, which the agent is not asked about."""

from gateway.turns.replies.sentences import greeting
from gateway.turns.turn import Turn, TurnOutcome


class GreetingReply:
    """Greets whoever mentions the bot without a word."""

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        if turn.message.text or turn.message.attachments:
            return None
        return TurnOutcome(greeting(turn.agent))
