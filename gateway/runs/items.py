"""The items of a conversation's history."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from toolkits import Attachment

SUMMARY = "What was said before, in short: {text}"  # for the model


class Role(StrEnum):
    USER = "user"
    #: What a message referred to, as the model was told. Everybody in the conversation has seen it there.
    QUOTED = "quoted"
    ASSISTANT = "assistant"
    #: A tool call or its result.
    TOOL = "tool"
    #: The start of a new session: items before it are not read.
    NEW = "new"
    #: A summary of earlier items, which only its owner reads.
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One item of a conversation's history: its text, and the form in which an engine wrote it.

    Args:
        speaker: the name of the person who said it, if that is not the reader.
        engine: the engine that wrote `data`; empty if the item has only its text.
        data: the item in a form that only this engine reads. Of a thread that was quoted, the id of its last message.
        private: whether only its owner may read it. An answer that is based on a private item is private, too.
        has_files: whether the model was given files with it.
        attachments: what was sent with it, to be fetched again; empty if that is not stored any more, and `None` if it
            is not to be given again.
        id, turn_id: where the item is stored; 0 if it is not.
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
        """The text as the model reads it: with the name of the speaker, if that is not the reader."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


def read_summary(text: str, *, private: bool) -> SessionItem:
    """Return a summary as the item that the model reads."""
    return SessionItem(Role.ASSISTANT, SUMMARY.format(text=text), private=private)
