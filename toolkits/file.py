"""A file that an agent sends."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from toolkits.attachment import safe_name

CHUNK = 2**20  # bytes
UNKNOWN_TYPE = "application/octet-stream"
UNNAMED = "file"


@dataclass(frozen=True, slots=True)
class File:
    """A file to be sent to people.

    Args:
        data: the content, or the path of a file with it. The file is read when it is sent; it may be deleted
            afterwards.
        name: the name that people see. Default: the last part of the path, or `file` with the ending of the media type.
        media_type: like "image/png". Default: guessed from the ending of the name.
    """

    data: bytes | Path = field(repr=False)
    _: KW_ONLY
    name: str = ""
    media_type: str = ""

    def __post_init__(self) -> None:
        name = safe_name(self.name or (self.data.name if isinstance(self.data, Path) else ""))
        media_type = self.media_type or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
        object.__setattr__(self, "name", name or f"{UNNAMED}{mimetypes.guess_extension(media_type) or ''}")
        object.__setattr__(self, "media_type", media_type.partition(";")[0].strip().lower())

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content in chunks of at most a mebibyte, none of them empty.

        Raises:
            OSError: if the file cannot be read.
        """
        if isinstance(self.data, bytes):
            for start in range(0, len(self.data), CHUNK):
                yield self.data[start : start + CHUNK]
            return
        file = await asyncio.to_thread(self.data.open, "rb")
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk
        finally:
            await asyncio.to_thread(file.close)
