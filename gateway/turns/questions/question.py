"""An open question, and what counts as an answer to it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from gateway.channels.question import Choice, ChoiceStyle
from gateway.storage.tables import QuestionKind
from oauth import Identity

_YES = re.compile(r"(yes|y|yes,? please)[.!]*", re.IGNORECASE)
_NO = re.compile(r"(no|n|no,? thanks|no,? thank you)[.!]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An answer to a question.

    Args:
        text: the label of the choice, or the text that the person wrote.
        choice: the index of the choice; `None` for a text.
    """

    text: str
    choice: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a person was asked and has not answered.

    Args:
        inbox_id: the id of the message whose turn waits for the answer.
        conversation_id: the id of that message's conversation.
        is_here: whether the conversation in which the person writes now is where the question was asked. Only there an
            answer counts.
        read_since: when the last part of the question was sent; `None` if some part is not sent.
        is_last: whether nothing else was sent to the person after the question, in the place where it was asked.
        is_lost: whether the question will never be sent, or is too old to be answered.
    """

    id: str
    kind: QuestionKind
    inbox_id: int
    conversation_id: int
    identity: Identity
    message_text: str
    choices: Sequence[Choice]
    free_text: bool
    is_here: bool
    read_since: datetime | None
    is_last: bool
    is_lost: bool

    def answer_in(self, text: str) -> GivenAnswer | None:
        """Read a text as an answer: the label or number of a choice, or any text if the question allows that.

        Returns:
            `None` if the text is not an answer.
        """
        text = text.strip()
        if self.kind is QuestionKind.APPROVAL and (_YES.fullmatch(text) or _NO.fullmatch(text)):
            return self._chosen(0 if _YES.fullmatch(text) else 1)
        said = " ".join(text.split()).casefold()
        labels = [choice.label.casefold() for choice in self.choices]
        if said in labels:
            return self._chosen(labels.index(said))
        named = said.rstrip(".!")  # people add a mark that the label does not have, or leave out the one that it has
        bare_labels = [label.rstrip(".!") for label in labels]
        numbers = [str(number) for number in range(1, len(labels) + 1)]
        for names in (bare_labels, numbers):
            if named and named in names:
                return self._chosen(names.index(named))
        return GivenAnswer(text) if self.free_text and text else None

    def _chosen(self, place: int) -> GivenAnswer:
        return GivenAnswer(self.choices[place].label, place)


def choices_of(row: Row[Any]) -> list[Choice]:
    """Return the choices of a stored question."""
    return [Choice(label, ChoiceStyle(style)) for label, style in json.loads(row.choices)]


def stored_choices(choices: Sequence[Choice]) -> str:
    """Return choices in the form in which they are stored."""
    return json.dumps([[choice.label, choice.style] for choice in choices], ensure_ascii=False)
