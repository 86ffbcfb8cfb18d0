"""Take a message as the answer to a question."""

from gateway.storage.tables import QuestionKind
from gateway.turns.questions.deciding import Deciding
from gateway.turns.questions.question import Question
from gateway.turns.questions.reading import OpenQuestions
from gateway.turns.replies.sentences import ANSWER_IN_PRIVATE
from gateway.turns.turn import Turn, TurnOutcome
from oauth.store.pending import code_in


class QuestionReply:
    """Takes a message as the answer to an open question, or withdraws an approval if the message is something else."""

    def __init__(self, questions: OpenQuestions, deciding: Deciding) -> None:
        self._questions = questions
        self._deciding = deciding

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        message, row = turn.message, turn.row
        if message.anonymous or not row.may_be_asked:
            return None
        for question in await self._questions.of(message, row.conversation_id):
            was_read = question.read_since is not None and row.accepted_at > question.read_since
            if question.is_lost:
                await self._deciding.withdraw(question)
            elif was_read and (outcome := await self._decide(turn, question)) is not None:
                return outcome
        return None

    async def _decide(self, turn: Turn, question: Question) -> TurnOutcome | None:
        """Return the outcome if a message answers a question that its sender could read; otherwise `None`."""
        message, is_code = turn.message, code_in(turn.message.text) is not None
        answer = question.answer_in(message.text) if message.command is None and not is_code else None
        if not question.is_here:
            asked_for_here = message.conversation.shared and question.conversation_id == turn.row.conversation_id
            is_choice = answer is not None and answer.choice is not None
            return TurnOutcome(ANSWER_IN_PRIVATE) if asked_for_here and is_choice else None
        if answer is not None:
            return TurnOutcome(answers=(question, answer if question.is_last else None))
        if question.kind is QuestionKind.APPROVAL and message.command in (None, "new") and not is_code:
            await self._deciding.withdraw(question)
        return None
