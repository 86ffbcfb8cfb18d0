"""What people read around a question: buttons, decisions and notices."""

import re
from datetime import datetime

from sqlalchemy import Row

from gateway.channels.question import Choice, ChoiceStyle
from gateway.storage.tables import QuestionKind
from toolkits import preview

APPROVE, DECLINE = Choice("Approve", ChoiceStyle.PRIMARY), Choice("Decline", ChoiceStyle.DANGER)
POST_HERE = Choice("Post it here")

CARD_OF_LONG_TEXT = "Please answer:"
REST_IS_ELSEWHERE = "The question is longer than this: please answer in our conversation, where you can read all of it."
NOT_YOURS = "This question is for somebody else."
EXPIRED = "Nobody answered in time."
STOPPED = "The request behind this question was stopped."
WITHDRAWN = "This was not done, because another message came instead of an answer."
TAKEN = {
    QuestionKind.APPROVAL: ("Thank you, I will do it.", "All right, I will not do it."),
    QuestionKind.ASK: ("Thank you.",),
    QuestionKind.POST_HERE: ("I will post it here.",),
}

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+|~!-])")


def asked(row: Row[object], *, of_other: bool = False) -> str:
    """Return a question in markdown.

    Args:
        of_other: whether the reader is somebody else than the person of the turn.
    """
    if row.kind != QuestionKind.APPROVAL:
        return str(row.prompt)
    account = f" as {preview.line(row.accounts)}" if row.accounts else ""
    person = f" for {preview.line(row.name or row.user_id)}" if of_other else ""
    return f"May I do this{person}{account}?\n\n{row.prompt}"


def decision(kind: str, choice: Choice | None, name: str, at: datetime) -> str:
    """Return a sentence that says what was decided, by whom and when, as plain text.

    Args:
        choice: the choice; `None` for a text, which is not repeated here.
        name: the name that the channel shows for the person who decided.
    """
    if kind == QuestionKind.APPROVAL:
        done = "Approved" if choice == APPROVE else "Declined"
    elif kind == QuestionKind.POST_HERE:
        done = "Posted here"
    else:
        done = f"{choice.label}: chosen" if choice is not None else "Answered"
    return f"{done} by {' '.join(name.split()) or 'somebody'} on {at:%-d %B %Y at %H:%M} UTC."


def escaped(text: str) -> str:
    """Escape plain text for markdown."""
    return _MARKDOWN.sub(r"\\\1", text)


def taken(kind: str, choice: int) -> str:
    """Return the reply to the person who pressed a button.

    Args:
        choice: the index of the choice.
    """
    sentences = TAKEN[QuestionKind(kind)]
    return sentences[min(choice, len(sentences) - 1)]
