"""Files that people upload to the gateway itself, in channels without a platform that keeps them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gateway.channels.host import Host
from gateway.storage.files import FileStore, FileTooLargeError, StoredFile
from oauth import Identity
from toolkits import Attachment, AttachmentError, kind_of, safe_name
from toolkits.text import storable

UPLOAD_TIMEOUT = 300.0  # seconds
LONGEST_TYPE = 127  # characters: https://www.rfc-editor.org/rfc/rfc6838#section-4.2
GONE = "It is not there any more."


async def reserve(store: FileStore, name: str, media_type: str, owner: Identity) -> StoredFile:
    """Reserve a file that a person is to upload: see `FileStore.reserve`.

    Args:
        name, media_type: as the person's browser says, which may be anything.
    """
    known = storable(media_type).partition(";")[0].strip().lower()[:LONGEST_TYPE]
    return await store.reserve(safe_name(name), known, owner)


async def receive(request: Request, file: StoredFile, most: int) -> StoredFile:
    """Take the body of a request as the content of a file.

    Args:
        file: one that `FileStore.reserve` returned.
        most: how many bytes it may have.

    Raises:
        HTTPException: 413 if it is larger, 408 if it takes too long, 400 if the upload was broken off.
    """
    try:
        async with asyncio.timeout(UPLOAD_TIMEOUT):
            return await file.store.fill(file, request.stream(), most)
    except TimeoutError:
        raise HTTPException(408) from None
    except FileTooLargeError as error:
        raise HTTPException(413, str(error)) from None
    except ClientDisconnect:
        raise HTTPException(400) from None


def described(files: Sequence[StoredFile]) -> list[dict[str, Any]]:
    """Return files as a payload holds them: what `to_attachments` reads."""
    return [{"id": file.id, "name": file.name, "media_type": file.media_type, "size": file.size} for file in files]


def to_attachments(
    files: Sequence[Mapping[str, Any]], host: Callable[[], Host], owner: Identity
) -> tuple[Attachment, ...]:
    """Return the attachments of a message.

    Args:
        files: as `described` returned them.
        host: returns the gateway, when an attachment is read.
        owner: who sent the message, and has to have uploaded them.
    """
    return tuple(_attachment(fields, host, owner) for fields in files)


def _attachment(fields: Mapping[str, Any], host: Callable[[], Host], owner: Identity) -> Attachment:
    async def fetch() -> AsyncGenerator[bytes, None]:
        file = await host().stored_files.load_own(fields["id"], owner)
        if file is None:
            raise AttachmentError(GONE)
        async for chunk in file.chunks():
            yield chunk

    kind, media_type = kind_of(fields["media_type"]), fields["media_type"]
    return Attachment(kind, name=fields["name"], media_type=media_type, size=fields["size"], fetch=fetch)
