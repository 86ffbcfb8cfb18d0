"""What people read of a question besides what is asked."""

import re
from datetime import datetime

from sqlalchemy import Row

from gateway.channels.question import Choice, ChoiceStyle
from gateway.storage.tables import QuestionKind
from toolkits import preview

APPROVE, DECLINE = Choice("Approve", ChoiceStyle.PRIMARY), Choice("Decline", ChoiceStyle.DANGER)
POST_HERE = Choice("Post it here")

CARD_OF_LONG_TEXT = "Please answer:"
REST_IS_ELSEWHERE = "There is more to it: please answer in our conversation."
NOT_YOURS = "Somebody else is asked this."
EXPIRED = "Nobody answered in time."
STOPPED = "The message that this is about was stopped."
WITHDRAWN = "This was not done, because something else was written instead."
TAKEN = {
    QuestionKind.APPROVAL: ("Thank you, I do it.", "I do not do it."),
    QuestionKind.ASK: ("Thank you.",),
    QuestionKind.POST_HERE: ("I post it here.",),
}

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+|~!-])")


def asked(row: Row[object], *, of_other: bool = False) -> str:
    """Return a question in markdown.

    Args:
        of_other: whether somebody else reads it than the person of the turn.
    """
    if row.kind != QuestionKind.APPROVAL:
        return str(row.prompt)
    account = f" as {preview.line(row.accounts)}" if row.accounts else ""
    person = f" for {preview.line(row.name or row.user_id)}" if of_other else ""
    return f"May I do this{person}{account}?\n\n{row.prompt}"


def decision(kind: str, choice: Choice | None, name: str, at: datetime) -> str:
    """Return what was decided, by whom and when, as plain text.

    Args:
        choice: `None` for an answer of one's own, which is not repeated.
        name: what the channel shows for whoever decided.
    """
    if kind == QuestionKind.APPROVAL:
        done = "Approved" if choice == APPROVE else "Declined"
    elif kind == QuestionKind.POST_HERE:
        done = "Posted here"
    else:
        done = f"{choice.label}: chosen" if choice is not None else "Answered"
    return f"{done} by {' '.join(name.split()) or 'somebody'} on {at:%-d %B %Y at %H:%M} UTC."


def escaped(text: str) -> str:
    """Return plain text as markdown."""
    return _MARKDOWN.sub(r"\\\1", text)


def taken(kind: str, choice: int) -> str:
    """Return the answer to whoever pressed."""
    sentences = TAKEN[QuestionKind(kind)]
    return sentences[min(choice, len(sentences) - 1)]
