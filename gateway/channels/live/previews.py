"""Previews, which are the messages that show a running turn, and the record of previews."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class PreviewKind(StrEnum):
    #: Steps or a status. The message is removed at the end of the turn.
    STATUS = "status"
    #: The beginning of the answer, or a placeholder. The answer replaces the message.
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Preview:
    """A message that shows a running turn.

    Args:
        id: the id of the preview in the record.
        platform_id: the platform's id of the message; `None` if the process died before the id was known.
        began_at: the time just before the message was posted; aware, in UTC.
    """

    id: int
    kind: PreviewKind
    platform_id: str | None
    began_at: datetime


class PreviewLog(Protocol):
    """The record of a turn's previews. The process that ends the turn uses it to complete or remove them.

    Attributes:
        is_resumed: whether an earlier run of the turn was interrupted, which this run continues.
    """

    is_resumed: bool

    async def load(self) -> list[Preview]:
        """Return the previews that an earlier run of the turn has left, in order."""
        ...

    async def begin(self, kind: PreviewKind) -> int:
        """Record that a message is about to be posted, and return its id in the record.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
            RetryLaterError: if the message has to wait because an earlier answer is not sent yet.
        """
        ...

    async def posted(self, preview_id: int, platform_id: str) -> None:
        """Record the platform's id of the message."""
        ...

    async def forget(self, preview_id: int) -> None:
        """Remove a preview from the record, because its message was not posted or was deleted."""
        ...


class NoPreviewLog:
    """A record that stores nothing, for turns that no other process can take over."""

    is_resumed = False

    async def load(self) -> list[Preview]:
        return []

    async def begin(self, kind: PreviewKind) -> int:
        return 0

    async def posted(self, preview_id: int, platform_id: str) -> None:
        return

    async def forget(self, preview_id: int) -> None:
        return
