"""Read files as text."""

import asyncio
import codecs
import logging
import sys
from importlib.util import find_spec
from pathlib import Path

from gateway.attachments import extract
from gateway.attachments.extract import ANOTHER_TYPE
from gateway.attachments.media import PDF, ZIP
from toolkits import Attachment, AttachmentError
from toolkits.text import storable

MOST_CHARACTERS = 60_000  # of one attachment that a model is given
CHUNK = 2**16  # bytes that are decoded at once
EXTRACT_TIMEOUT = 30.0  # seconds
EXTRACT = Path(extract.__file__)
OFFICE_LIBRARIES = ("docx", "openpyxl", "pptx")

log = logging.getLogger(__name__)


class NotTextError(Exception):
    """A file is not text."""


async def text_of(data: bytes, attachment: Attachment, media_type: str | None) -> str:
    """Return the text of a file.

    Args:
        media_type: what its first bytes say it is.

    Raises:
        NotTextError: if it is not text.
        AttachmentError: if it should be readable, and is not.
    """
    if media_type == PDF:
        text = await _extracted(data, "pdf")
        if not text:
            raise AttachmentError("It has pictures of pages, and no text.")
    elif media_type == ZIP and _reads_office():
        text = await _extracted(data, "office")
        if not text:
            raise AttachmentError("It has no text.")
    elif media_type is None:
        return _decoded(data)
    else:
        raise NotTextError
    return shortened(text)


def shortened(text: str) -> str:
    """Return a text as it can be stored, up to what a model is given."""
    return _with_note(text[:MOST_CHARACTERS], len(text))


def _with_note(beginning: str, length: int) -> str:
    """Return the beginning of a text as it can be stored, with a note of what is left out of it.

    Args:
        length: of the whole text, in characters.
    """
    beginning, left_out = storable(beginning), length - len(beginning)
    return f"{beginning}\n[{left_out} more characters are left out]" if left_out else beginning


def _decoded(data: bytes) -> str:
    """Return a text in UTF-8, or in UTF-16 with a byte order mark, up to what a model is given.

    It is decoded piece by piece: the whole of it may take four times as much memory as its bytes.

    Raises:
        NotTextError: if it is neither.
    """
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(encoding)()
    beginning, length = "", 0
    for start in range(0, len(data), CHUNK):
        try:
            piece = decoder.decode(data[start : start + CHUNK], final=start + CHUNK >= len(data))
        except UnicodeDecodeError:
            raise NotTextError from None
        if "\0" in piece:
            raise NotTextError
        length += len(piece)
        beginning += piece[: MOST_CHARACTERS - len(beginning)]
    return _with_note(beginning, length)


async def _extracted(data: bytes, kind: str) -> str:
    """Return the text of a document, up to what a model is given.

    Args:
        kind: see `gateway.attachments.extract`.

    Raises:
        NotTextError: if it is no such document.
        AttachmentError: if it is broken, needs a password, or takes too long.
    """
    arguments = [sys.executable, "-I", str(EXTRACT), kind, str(MOST_CHARACTERS)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(EXTRACT_TIMEOUT):
            printed, errors = await process.communicate(data)
    except TimeoutError:
        raise AttachmentError("It takes too long to read.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == ANOTHER_TYPE:
        raise NotTextError
    if process.returncode != 0:
        # The name of the exception alone: its message may quote the file.
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        log.info("a document could not be read: %s", last.partition(":")[0])
        raise AttachmentError("It is broken, too large, or needs a password.")
    return printed.decode().strip()


def _reads_office() -> bool:
    """Return whether the libraries for office documents are installed; the log names them if they are not."""
    if all(find_spec(name) for name in OFFICE_LIBRARIES):
        return True
    log.warning("an office document is not read, as that needs an extra: pip install 'understudy[documents]'")
    return False
