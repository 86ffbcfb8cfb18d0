"""Greet people who send an empty message, without asking the agent."""

from gateway.turns.replies.sentences import greeting
from gateway.turns.turn import Turn, TurnOutcome


class GreetingReply:
    """Answers messages without text, attachments and quoted messages, like a bare mention of the bot."""

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        if turn.message.text or turn.message.attachments or turn.message.quoted:
            return None
        return TurnOutcome(greeting(turn.agent))
