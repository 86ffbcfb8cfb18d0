"""The items of a conversation's history."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from toolkits import Attachment

SUMMARY = "What was said before, in short: {text}"  # the model reads this


class Role(StrEnum):
    USER = "user"
    #: The text that a message referred to, as the model was given it. Everybody in the conversation can see it there.
    QUOTED = "quoted"
    ASSISTANT = "assistant"
    #: A tool call or its result.
    TOOL = "tool"
    #: The start of a new session: turns do not read the items before it.
    NEW = "new"
    #: A summary of earlier items. Only the turns of its owner read it.
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One item of a conversation's history: its text, and the form in which an engine wrote it.

    Args:
        speaker: the name of the person who said it; `None` if that is the reader.
        engine: the engine that wrote `data`; empty if the item has only its text.
        data: the item in a form that only this engine reads. For a quoted thread: the id of its last message.
        private: whether only its owner may read it. An answer that is based on a private item is private, too.
        has_files: whether the model was given files with it.
        attachments: the attachments of the message, to be fetched again; empty if they are not stored any more, and
            `None` if the model is not to be given them again.
        id: the id of the stored item; 0 if it is not stored.
        turn_id: the id of the message whose turn added it; 0 if it is not stored.
    """

    role: Role
    text: str
    engine: str = ""
    data: str = ""
    speaker: str | None = None
    private: bool = False
    has_files: bool = False
    attachments: Sequence[Attachment] | None = field(default=None, repr=False, compare=False)
    id: int = 0
    turn_id: int = 0

    @property
    def attributed_text(self) -> str:
        """The text as the model reads it: after the name of the speaker, if there is one."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


def read_summary(text: str, *, private: bool) -> SessionItem:
    """Return the item in which the model reads a summary."""
    return SessionItem(Role.ASSISTANT, SUMMARY.format(text=text), private=private)
