"""Let the tools of a turn ask the turn's person questions."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from gateway.runs.calls import with_outer
from gateway.runs.journal import Ask, AskRequiredError, ask_key
from gateway.storage.tables import QuestionStatus
from gateway.turns.credentials import TurnCredentials
from gateway.turns.journal import TurnJournal
from oauth.visible import visible
from toolkits import Message, NoAnswerError, ToolError
from toolkits.context import NOBODY_TO_ASK
from toolkits.text import storable

MOST_CHARACTERS = 20_000  # in a question
MOST_CHOICES = 10
LONGEST_CHOICE = 75  # characters: https://docs.slack.dev/reference/block-kit/block-elements/button-element

# The model reads these sentences.
NOT_ANSWERED = "The user did not answer in time."
EMPTY = "The question has no visible text."
TOO_LONG = f"The question is too long for the user to read: the limit is {MOST_CHARACTERS} characters."
BAD_CHOICES = (
    f"The choices cannot be shown: give at most {MOST_CHOICES} different ones, of 1 to {LONGEST_CHOICE} characters "
    "each. Without choices, free text has to be allowed."
)
BAD_TIME = "There is no time to answer the question."

log = logging.getLogger(__name__)


class TurnQuestions:
    """Asks the person of one turn questions, and returns the answers when the turn runs again.

    Args:
        journal: has the answers so far.
        source: ends the run of the turn.
        is_private: returns whether the turn is private, so that its questions are private as well: see `TurnSender`.
    """

    def __init__(
        self, journal: TurnJournal, source: TurnCredentials, message: Message, is_private: Callable[[], bool]
    ) -> None:
        self._journal = journal
        self._source = source
        self._message = message
        self._is_private = is_private
        self._asked: Counter[str] = Counter()  # how many questions each call has asked in this run

    async def ask(self, question: str, choices: Sequence[str], *, free_text: bool, within: timedelta) -> str:
        """Return the answer, or stop the turn until there is one: see `TurnContext.ask`."""
        if self._message.anonymous:
            raise ToolError(NOBODY_TO_ASK)
        ask = _checked(question, choices, free_text, within)
        call = self._source.current_call()
        key = call or ""
        self._asked[key] += 1
        number = self._asked[key]
        answered = self._journal.answer(ask_key(key, number), ask)
        if answered is None:
            required = AskRequiredError(key, ask, number=number, private=self._is_private())
            if call is not None:
                self._source.asking.update(with_outer(key))
                await self._journal.others_ended(key)
            self._source.stop(required)
            raise required
        if answered.status is not QuestionStatus.ANSWERED or answered.answer is None:
            raise NoAnswerError(NOT_ANSWERED)
        return answered.answer

    def ask_sync(
        self, question: str, choices: Sequence[str], *, free_text: bool, within: timedelta, timeout: float
    ) -> str:
        """Do the same as `ask` for a tool in a thread: see `TurnContext.ask_sync`."""
        return self._source.wait_in_thread(self.ask(question, choices, free_text=free_text, within=within), timeout)


def _checked(question: str, choices: Sequence[str], free_text: bool, within: timedelta) -> Ask:
    """Return a question with the text and choices as people see them.

    Raises:
        ToolError: if the question cannot be asked.
    """
    text = visible(storable(question)).strip()
    labels = tuple(" ".join(visible(storable(choice)).split()) for choice in choices)
    if not text:
        raise ToolError(EMPTY)
    if len(text) > MOST_CHARACTERS:
        raise ToolError(TOO_LONG)
    are_different = len({label.casefold() for label in labels}) == len(labels)
    are_short = all(1 <= len(label) <= LONGEST_CHOICE for label in labels)
    if len(labels) > MOST_CHOICES or not are_different or not are_short or not (labels or free_text):
        raise ToolError(BAD_CHOICES)
    if within <= timedelta():
        raise ToolError(BAD_TIME)
    return Ask(text, labels, free_text, within)
