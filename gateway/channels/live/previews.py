"""The messages that show a running turn, and the record of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class PreviewKind(StrEnum):
    #: Steps or a status, which is removed at the end of the turn.
    STATUS = "status"
    #: The beginning of the answer, or what stands in its place, which the answer replaces.
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Preview:
    """A message that shows a running turn.

    Args:
        platform_id: the platform's id of the message; `None` if the process died before it was known.
        began_at: when it was about to be posted; aware, in UTC.
    """

    id: int
    kind: PreviewKind
    platform_id: str | None
    began_at: datetime


class PreviewLog(Protocol):
    """The record of the messages that show a turn: whoever ends the turn completes or removes them.

    Attributes:
        is_resumed: whether the turn goes on that another run of it began.
    """

    is_resumed: bool

    async def load(self) -> list[Preview]:
        """Return those that an earlier run of the turn has left, in order."""
        ...

    async def begin(self, kind: PreviewKind) -> int:
        """Record that a message is about to be posted, and return its id in the record.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
            RetryLaterError: if the message has to wait, as an earlier answer is not sent yet.
        """
        ...

    async def posted(self, preview_id: int, platform_id: str) -> None:
        """Record the platform's id of the message."""
        ...

    async def forget(self, preview_id: int) -> None:
        """Record that there is no such message: it was not posted, or is deleted."""
        ...


class NoPreviewLog:
    """The record of a turn that nobody takes over."""

    is_resumed = False

    async def load(self) -> list[Preview]:
        return []

    async def begin(self, kind: PreviewKind) -> int:
        return 0

    async def posted(self, preview_id: int, platform_id: str) -> None:
        return

    async def forget(self, preview_id: int) -> None:
        return
