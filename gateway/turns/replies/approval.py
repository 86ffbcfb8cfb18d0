"""Take a yes or a no to a question that the sender of a message was asked."""

from gateway.turns.approvals import Approvals, Question, answer_in
from gateway.turns.replies.sentences import ANSWER_IN_PRIVATE
from gateway.turns.turn import Turn, TurnOutcome
from oauth.store.pending import code_in


class ApprovalReply:
    """Takes the answer to a question, and withdraws a question that is answered with something else."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        message, row = turn.message, turn.row
        if message.anonymous:
            return None
        for question in await self._approvals.open(message, row.conversation_id):
            was_read = question.read_since is not None and row.accepted_at > question.read_since
            if question.is_lost:
                await self._approvals.withdraw(question, message.sender_name)
            elif was_read and (outcome := await self._decide(turn, question)) is not None:
                return outcome
        return None

    async def _decide(self, turn: Turn, question: Question) -> TurnOutcome | None:
        """Return what a message means for a question that its sender had read; `None` if nothing."""
        message, answer = turn.message, answer_in(turn.message.text)
        if message.conversation.shared:
            was_asked_here = question.conversation_id == turn.row.conversation_id
            return TurnOutcome(ANSWER_IN_PRIVATE) if was_asked_here and answer is not None else None
        if not question.is_here:
            return None
        if answer is not None:
            return TurnOutcome(answers=(question, answer if question.is_last else None))
        if message.command in (None, "new") and code_in(message.text) is None:
            await self._approvals.withdraw(question, message.sender_name)
        return None
