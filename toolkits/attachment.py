"""Attachments: what people send with a message, and how to read it."""

import asyncio
import io
import os
import tempfile
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from toolkits.errors import ToolError
from toolkits.text import storable

LONGEST_NAME = 120  # characters
LONGEST_ENDING = 10  # characters of an ending that is kept when a name is cut

Fetch = Callable[[], AsyncGenerator[bytes, None]]
"""Fetches the content of an attachment, in chunks."""


class AttachmentKind(StrEnum):
    IMAGE = "image"
    #: A voice note.
    VOICE = "voice"
    AUDIO = "audio"
    VIDEO = "video"
    #: A file of any type.
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    #: Anything else, like a poll.
    OTHER = "other"


class AttachmentError(ToolError):
    """An attachment cannot be read. The message says why, in a sentence for the model and the person."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something that a person sent with a message.

    The gateway fetches the content from the platform when the turn reads it, and again if the turn is played again.
    Name, type and size come from the sender's device and the platform, and may be wrong.

    Args:
        name: the name of the file, empty if it has none. It is made safe to show and to use as the last part of a path.
        media_type: like "image/png", empty if it is not known.
        size: in bytes, `None` if it is not known.
        text: the content of an attachment that is not a file, such as a location or a contact.
        fetch: fetches the content; `None` if there is no file.
    """

    kind: AttachmentKind
    _: KW_ONLY
    name: str = ""
    media_type: str = ""
    size: int | None = None
    text: str = ""
    fetch: Fetch | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", safe_name(self.name))
        object.__setattr__(self, "text", storable(self.text))
        object.__setattr__(self, "media_type", storable(self.media_type).partition(";")[0].strip().lower())

    @property
    def title(self) -> str:
        """The attachment's title for people and the model: its kind, and its name if it has one."""
        if self.kind is AttachmentKind.OTHER:
            return self.name or "attachment"
        return f"{self.kind} {self.name!r}" if self.name else str(self.kind)

    async def read(self) -> bytes:
        """Return the content of the file.

        Raises:
            AttachmentError: if it is not a file, is larger than UNDERSTUDY_MAX_ATTACHMENT_MB, or cannot be fetched.
        """
        content = io.BytesIO()
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                content.write(chunk)
        return content.getvalue()

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Save the file, without holding all of it in memory. An existing file is replaced once all content is there.

        Args:
            path: the path of the new file. Do not build it only from `name`: two attachments may have the same name.

        Raises:
            AttachmentError: as `read`.
            OSError: if the file cannot be written.
        """
        target = Path(path)
        part = await asyncio.to_thread(_make_part, target)
        try:
            with part.open("wb") as file:
                async with aclosing(self._chunks()) as chunks:
                    async for chunk in chunks:
                        await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(part.replace, target)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    def _chunks(self) -> AsyncGenerator[bytes, None]:
        if self.fetch is None:
            raise AttachmentError(f"The {self.title} is not a file.")
        return self.fetch()


class Transcriber(Protocol):
    """Transcribes recordings: an async function, or an object that can be called like one."""

    def __call__(self, data: bytes, name: str, media_type: str, /) -> Awaitable[str]:
        """Return what is said in a recording.

        Args:
            data: the file, as it was sent. It may be a video.
            name: the name of the file, empty if it has none.
            media_type: what the first bytes of the file show, or else what the platform says, which may be empty.

        Raises:
            AttachmentError: with a sentence for the person that says why it cannot be transcribed.
        """
        ...


def kind_of(media_type: str) -> AttachmentKind:
    """Return the kind of a file with a media type: image, audio or video, and otherwise document."""
    kinds = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.AUDIO, "video": AttachmentKind.VIDEO}
    return kinds.get(media_type.partition("/")[0].lower(), AttachmentKind.DOCUMENT)


def safe_name(name: str) -> str:
    """Return a file name that is safe to show: without folders, control characters and direction marks, and short."""
    last = storable(name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(each for each in last if unicodedata.category(each) not in ("Cc", "Cf", "Zl", "Zp")).strip()
    if len(shown) > LONGEST_NAME:
        stem, dot, ending = shown.rpartition(".")
        kept = f"{dot}{ending}" if stem and len(ending) <= LONGEST_ENDING else ""
        shown = shown[: LONGEST_NAME - len(kept)] + kept
    return shown if shown.strip(".") else ""


def _make_part(target: Path) -> Path:
    descriptor, path = tempfile.mkstemp(prefix=f".{target.name[:LONGEST_NAME]}.", dir=target.parent)
    os.close(descriptor)
    return Path(path)
