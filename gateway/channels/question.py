"""A question with choices: what a channel shows of it, and what it reports when somebody presses a button."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from oauth import Identity


class ChoiceStyle(StrEnum):
    #: One choice among equals.
    PLAIN = "plain"
    #: The choice that goes on with what was begun.
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
        id: 22 characters that nobody can guess. A button carries it, with the place of its choice.
        text: the question, as one of the presenter's `parts`.
        choices: in the order in which they are shown; empty if any text is an answer.
        until: when the question closes. Aware, in UTC.
    """

    id: str
    text: str
    choices: Sequence[Choice]
    until: datetime


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody pressed a button of a question.

    Args:
        question_id: the id of the card.
        choice: the place of the choice in the card, from 0.
        identity: who pressed, from the signed payload.
        name: what the channel shows for them.
    """

    question_id: str
    choice: int
    identity: Identity
    name: str


class PressOutcome(StrEnum):
    #: It is the answer.
    TAKEN = "taken"
    #: The question was answered before, by another press or by a message.
    DECIDED = "decided"
    #: Somebody else is asked.
    NOT_YOURS = "not_yours"
    #: The question is unknown, has expired or was withdrawn.
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PressResult:
    """What became of a press.

    Args:
        text: a plain sentence for whoever pressed.
    """

    outcome: PressOutcome
    text: str


def in_words(choices: Sequence[Choice]) -> str:
    """Return how to answer a question without buttons, in markdown; empty if there are no choices to name."""
    labels = [f"**{choice.label}**" for choice in choices]
    if not labels:
        return ""
    return f"Answer {' or '.join((', '.join(labels[:-1]), labels[-1])) if labels[1:] else labels[0]}."
