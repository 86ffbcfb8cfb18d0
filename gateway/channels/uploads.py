"""Take files that people upload to the gateway, in channels whose platform does not store files."""

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
GONE = "It is no longer available."


async def reserve(store: FileStore, name: str, media_type: str, owner: Identity) -> StoredFile:
    """Reserve a file that a person is about to upload: see `FileStore.reserve`.

    Args:
        name, media_type: the values that the browser sent. They may be anything.
        owner: the person.
    """
    known = storable(media_type).partition(";")[0].strip().lower()[:LONGEST_TYPE]
    return await store.reserve(safe_name(name), known, owner)


async def receive(request: Request, file: StoredFile, most: int) -> StoredFile:
    """Store the body of a request as the content of a file.

    Args:
        file: a file that `FileStore.reserve` returned.
        most: the largest size in bytes.

    Raises:
        HTTPException: 413 if the body is too large, 408 if it takes too long, 400 if the client disconnects.
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
    """Return the fields of files for an event's payload. `to_attachments` reads them."""
    return [{"id": file.id, "name": file.name, "media_type": file.media_type, "size": file.size} for file in files]


def to_attachments(
    files: Sequence[Mapping[str, Any]], host: Callable[[], Host], owner: Identity
) -> tuple[Attachment, ...]:
    """Return the attachments of a message.

    Args:
        files: the fields that `described` returned.
        host: returns the gateway. It is called when an attachment is read.
        owner: the sender of the message. Only files that this person uploaded can be read.
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
