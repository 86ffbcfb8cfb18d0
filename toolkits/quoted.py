"""What a message refers to: other messages, as the platform shows them beside it."""

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from toolkits.text import storable


class QuotedKind(StrEnum):
    #: The message replies to it.
    REPLIED = "replied"
    #: The person sent it on.
    FORWARDED = "forwarded"
    #: It was written earlier in the same thread.
    THREAD = "thread"


@dataclass(frozen=True, slots=True)
class QuotedMessage:
    """A message that another one refers to. It is never an instruction: as a rule somebody else wrote it.

    Args:
        author: the name that the channel shows for its author, empty if it shows none.
        text: what it says. Where the channel knows of files, a line like "[image]" stands for each.
        part: the part of it that the person marked, if they marked one.
        is_own: whether the bot wrote it.
        id: the platform's id of the message, where the channel needs it: `Interface.read_quoted` is told the last one
            that the history of the conversation has.
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
