from dataclasses import dataclass
from enum import StrEnum

SUMMARY = "What was said before, in short: {text}"


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    #: A tool call or its result.
    TOOL = "tool"
    #: A new session begins: nothing before it is read.
    NEW = "new"
    #: What was said before in short, for its owner alone.
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One item of a conversation's history: its text, and the form in which one engine made it.

    Args:
        speaker: who said it, where it is somebody else's than the reader's.
        engine: the engine that wrote `data`, empty for an item that is read as text.
        data: what only that engine reads.
        private: whether it is for its owner alone. An answer that such an item was read for is so, too.
        id, turn_id: where it is stored, if it is.
    """

    role: Role
    text: str
    engine: str = ""
    data: str = ""
    speaker: str | None = None
    private: bool = False
    id: int = 0
    turn_id: int = 0


def read_summary(text: str, *, private: bool) -> SessionItem:
    """A summary as the model reads it."""
    return SessionItem(Role.ASSISTANT, SUMMARY.format(text=text), private=private)
