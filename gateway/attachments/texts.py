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
from oauth.errors import UnderstudyError
from toolkits import Attachment, AttachmentError
from toolkits.text import storable

MOST_CHARACTERS = 60_000  # of one attachment in a prompt
CHUNK = 2**16  # bytes that are decoded at once
EXTRACT_TIMEOUT = 30.0  # seconds
EXTRACT = Path(extract.__file__)
OFFICE_LIBRARIES = ("docx", "openpyxl", "pptx")

log = logging.getLogger(__name__)


class NotTextError(UnderstudyError):
    """A file is not text."""


async def text_of(data: bytes, attachment: Attachment, media_type: str | None) -> str:
    """Return the text of a file, cut to `MOST_CHARACTERS`.

    Args:
        media_type: the type that the file's first bytes show, from `media_type_of`.

    Raises:
        NotTextError: if the file is neither text nor a document that can be read as text.
        AttachmentError: if it is such a document but cannot be read.
    """
    if media_type == PDF:
        text = await _extracted(data, "pdf")
        if not text:
            raise AttachmentError("It has only pictures of pages, and no text.")
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
    """Return a text that can be stored, cut to `MOST_CHARACTERS`."""
    return _with_note(text[:MOST_CHARACTERS], len(text))


def _with_note(beginning: str, length: int) -> str:
    """Return the beginning of a text in a form that can be stored, with a note about what is left out.

    Args:
        length: the length of the whole text, in characters.
    """
    beginning, left_out = storable(beginning), length - len(beginning)
    return f"{beginning}\n[{left_out} more characters are left out]" if left_out else beginning


def _decoded(data: bytes) -> str:
    """Decode a text in UTF-8, or in UTF-16 with a byte order mark, and cut it to `MOST_CHARACTERS`.

    It is decoded in chunks, because the whole string may take four times as much memory as its bytes.

    Raises:
        NotTextError: if the data is in neither encoding.
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
    """Return about the first `MOST_CHARACTERS` of a document's text, as `gateway.attachments.extract` prints it.

    Args:
        kind: "pdf" or "office".

    Raises:
        NotTextError: if it is not a document of that kind.
        AttachmentError: if the document is broken, needs a password, or takes too long.
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
        # Log only the name of the exception: its message may quote the file.
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        log.info("a document could not be read: %s", last.partition(":")[0])
        raise AttachmentError("It is broken, too large, or needs a password.")
    return printed.decode().strip()


def _reads_office() -> bool:
    """Return whether the libraries for office documents are installed. If they are not, log how to install them."""
    if all(find_spec(name) for name in OFFICE_LIBRARIES):
        return True
    log.warning("an office document was not read, because that needs libraries: pip install 'understudy[documents]'")
    return False
