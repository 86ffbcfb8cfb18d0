"""Questions with choices: the cards that a channel shows, and the button presses that it reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from oauth import Identity


class ChoiceStyle(StrEnum):
    #: An ordinary choice.
    PLAIN = "plain"
    #: The choice that continues what was begun, like an approval.
    PRIMARY = "primary"
    #: The choice that a person should not make by mistake.
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a question. A channel shows it as a button."""

    label: str
    style: ChoiceStyle = ChoiceStyle.PLAIN


@dataclass(frozen=True, slots=True)
class QuestionCard:
    """A message with a question and its choices.

    Args:
        id: 22 characters that nobody can guess. Each button carries them, with the index of its choice.
        text: the question, as one of the presenter's `parts`.
        choices: the choices in the order in which they are shown; empty if any text is an answer.
        until: when the question closes; aware, in UTC.
    """

    id: str
    text: str
    choices: Sequence[Choice]
    until: datetime


@dataclass(frozen=True, slots=True)
class Press:
    """The press of a question's button.

    Args:
        question_id: the id of the card.
        choice: the index of the choice in the card, from 0.
        identity: the person who pressed the button, from the signed payload.
        name: the name that the channel shows for this person.
    """

    question_id: str
    choice: int
    identity: Identity
    name: str


class PressOutcome(StrEnum):
    #: The press is the answer to the question.
    TAKEN = "taken"
    #: The question was answered before, by another press or by a message.
    DECIDED = "decided"
    #: The question is for another person.
    NOT_YOURS = "not_yours"
    #: The question is unknown, has expired or was withdrawn.
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PressResult:
    """The result of a press.

    Args:
        outcome: whether the press is the answer, or why it is not.
        text: a plain sentence for the person who pressed.
    """

    outcome: PressOutcome
    text: str


def in_words(choices: Sequence[Choice]) -> str:
    """Return a sentence that says how to answer a question without buttons, in markdown; empty if it has no choices."""
    labels = [f"**{choice.label}**" for choice in choices]
    if not labels:
        return ""
    return f"Answer {' or '.join((', '.join(labels[:-1]), labels[-1])) if labels[1:] else labels[0]}."
