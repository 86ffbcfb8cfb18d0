"""Answer a message that has no word and no attachment and refers to nothing, which the agent is not asked about."""

from gateway.turns.replies.sentences import greeting
from gateway.turns.turn import Turn, TurnOutcome


class GreetingReply:
    """Greets whoever mentions the bot without a word."""

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        if turn.message.text or turn.message.attachments or turn.message.quoted:
            return None
        return TurnOutcome(greeting(turn.agent))
