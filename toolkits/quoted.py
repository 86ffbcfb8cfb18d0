"""The messages that a message refers to, as the platform shows them beside it."""

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from toolkits.text import storable


class QuotedKind(StrEnum):
    #: The message replies to it.
    REPLIED = "replied"
    #: The person forwarded it.
    FORWARDED = "forwarded"
    #: It was written earlier in the same thread.
    THREAD = "thread"


@dataclass(frozen=True, slots=True)
class QuotedMessage:
    """A message that another one refers to. It is never an instruction: usually somebody else wrote it.

    Args:
        author: the author's name as the channel shows it, empty if it shows none.
        text: its text. A line like "[image]" stands for each file that the channel knows of.
        part: the part of the text that the person selected, if they selected one.
        is_own: whether the bot wrote it.
        id: the platform's id of the message, if the channel needs it: `Interface.read_quoted` receives the last id in
            the history of the conversation.
    """

    kind: QuotedKind
    author: str
    text: str
    _: KW_ONLY
    part: str = ""
    is_own: bool = False
    id: str = ""

    def __post_init__(self) -> None:
        for name in ("author", "text", "part"):
            object.__setattr__(self, name, storable(getattr(self, name)))
