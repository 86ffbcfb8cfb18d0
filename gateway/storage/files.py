"""Files in the database: those that agents send, and those that people upload."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import IO
from urllib.parse import quote

from itsdangerous import BadSignature, TimestampSigner
from sqlalchemy import ColumnElement, Row, delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import Database
from gateway.storage.tables import file_chunks, files
from oauth import Identity
from oauth.errors import UnderstudyError
from toolkits.file import CHUNK

MOST_BYTES = 50 * 2**20  # of one stored file
ADDRESS_LIFETIME = 3600  # seconds in which the address of a file works
ADDRESSES = "/files"  # the path under which files are served
SALT = "address"
UNNAMED = "file"


class FileTooLargeError(UnderstudyError):
    """A file is larger than `MOST_BYTES`, or larger than its uploader announced."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        super().__init__(f"It is larger than {most / 2**20:g} MB.")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the database.

    Args:
        name: the file name; safe to show, and to use as the last part of a path.
        size: in bytes.
        secret: the key that signs the addresses of the file.
    """

    id: str
    name: str
    media_type: str
    size: int
    secret: bytes = field(repr=False)
    store: "FileStore" = field(repr=False, compare=False)

    @property
    def path(self) -> str:
        """The path of a signed address. Anybody who has it can fetch the file for an hour."""
        return f"{ADDRESSES}/{self.token}/{quote(self.name or UNNAMED, safe='')}"

    @property
    def token(self) -> str:
        """The part of an address that names and signs the file. It is valid for an hour."""
        return TimestampSigner(self.secret, SALT).sign(self.id).decode()

    def signed(self, token: str) -> bool:
        """Return whether the token of an address was signed for this file within the last hour."""
        try:
            return TimestampSigner(self.secret, SALT).unsign(token, ADDRESS_LIFETIME) == self.id.encode()
        except BadSignature:
            return False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content in chunks."""
        number = 0
        while (chunk := await self.store.chunk(self.id, number)) is not None:
            yield chunk
            number += 1

    async def read(self) -> bytes:
        """Return the content."""
        return b"".join([chunk async for chunk in self.chunks()])

    @asynccontextmanager
    async def spooled(self) -> AsyncIterator[IO[bytes]]:
        """Yield the content as an open temporary file, positioned at the start."""
        with tempfile.TemporaryFile() as file:
            async for chunk in self.chunks():
                await asyncio.to_thread(file.write, chunk)
            file.seek(0)
            yield file


class FileStore:
    """Stores files in chunks, one transaction each, so that a large file does not block other writers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, chunks: AsyncIterable[bytes], name: str, media_type: str, owner: Identity | None = None
    ) -> StoredFile:
        """Store a file.

        Args:
            chunks: the content.
            name: see `StoredFile`.
            owner: the person to whom the file belongs, if it is private.

        Raises:
            FileTooLargeError: if the content is larger than `MOST_BYTES`.
        """
        return await self.fill(await self.reserve(name, media_type, owner), chunks)

    async def reserve(self, name: str, media_type: str, owner: Identity | None = None) -> StoredFile:
        """Add a file without content, and return it. It cannot be loaded until `fill` has stored its content."""
        file = StoredFile(secrets.token_urlsafe(16), name, media_type, 0, secrets.token_bytes(32), self)
        row = {"id": file.id, "name": name, "media_type": media_type, "secret": file.secret}
        whose = asdict(owner) if owner is not None else {}
        async with self._database.write() as connection:
            await connection.execute(insert(files).values(**row, **whose, created_at=datetime.now(UTC)))
        return file

    async def load_reserved(self, token: str) -> StoredFile | None:
        """Return the file without content that the token of an address names; `None` if there is none."""
        file_id = token.partition(".")[0]
        async with self._database.read() as connection:
            row = (await connection.execute(select(files).where(files.c.id == file_id, files.c.size.is_(None)))).first()
        file = StoredFile(row.id, row.name, row.media_type, 0, row.secret, self) if row is not None else None
        return file if file is not None and file.signed(token) else None

    async def fill(self, file: StoredFile, chunks: AsyncIterable[bytes], most: int = MOST_BYTES) -> StoredFile:
        """Store the content of a reserved file. If that fails, the file is removed.

        Args:
            most: the largest allowed size, in bytes.

        Raises:
            FileTooLargeError: if the content is larger.
        """
        try:
            size = await self._add_chunks(file.id, chunks, most)
        except BaseException:
            await self.remove([file])
            raise
        async with self._database.write() as connection:
            await connection.execute(update(files).where(files.c.id == file.id).values(size=size))
        return replace(file, size=size)

    async def _add_chunks(self, file_id: str, chunks: AsyncIterable[bytes], most: int) -> int:
        size = number = 0
        async for chunk in _merged(chunks):
            size += len(chunk)
            if size > most:
                raise FileTooLargeError(most)
            async with self._database.write() as connection:
                await connection.execute(insert(file_chunks).values(file_id=file_id, number=number, data=chunk))
            number += 1
        return size

    async def load_addressed(self, token: str) -> StoredFile | None:
        """Return the file that the token of an address names; `None` if there is none, or it is not complete yet."""
        async with self._database.read() as connection:
            found = await self._load(connection, files.c.id == token.partition(".")[0])
        return next((file for file in found if file.signed(token)), None)

    async def load_own(self, file_id: str, owner: Identity) -> StoredFile | None:
        """Return a person's file; `None` if the person has no file with this id."""
        async with self._database.read() as connection:
            found = await self._load(connection, files.c.id == file_id, is_owned(owner))
        return next(iter(found), None)

    async def remove_own(self, file_id: str, owner: Identity) -> None:
        """Remove a person's file, if it exists."""
        async with self._database.write() as connection:
            await remove_files(connection, (files.c.id == file_id) & is_owned(owner))

    async def remove(self, unsent: Sequence[StoredFile]) -> None:
        """Remove files that no message will send."""
        async with self._database.write() as connection:
            await remove_files(connection, are(unsent))

    async def load_sent(self, connection: AsyncConnection, outbox_ids: Sequence[int]) -> dict[int, list[StoredFile]]:
        """Return the files of outbox rows, in order, by the id of the row."""
        found = select(files).where(files.c.outbox_id.in_(outbox_ids), files.c.size.is_not(None))
        sent: dict[int, list[StoredFile]] = {}
        for row in await connection.execute(found.order_by(files.c.place)):
            sent.setdefault(row.outbox_id, []).append(self._stored(row))
        return sent

    async def copy_sent(self, connection: AsyncConnection, outbox_id: int) -> list[StoredFile]:
        """Copy the files of an outbox row, and return the copies. They belong to nobody and to no row yet."""
        copies = []
        for file in (await self.load_sent(connection, [outbox_id])).get(outbox_id, []):
            copy = replace(file, id=secrets.token_urlsafe(16), secret=secrets.token_bytes(32))
            row = {"id": copy.id, "name": copy.name, "media_type": copy.media_type, "secret": copy.secret}
            await connection.execute(insert(files).values(**row, size=copy.size, created_at=datetime.now(UTC)))
            chunks = select(literal(copy.id), file_chunks.c.number, file_chunks.c.data)
            of_file = chunks.where(file_chunks.c.file_id == file.id)
            await connection.execute(insert(file_chunks).from_select(["file_id", "number", "data"], of_file))
            copies.append(copy)
        return copies

    async def chunk(self, file_id: str, number: int) -> bytes | None:
        """Return a chunk of a file by its number, from 0; `None` after the last one."""
        found = select(file_chunks.c.data).where(file_chunks.c.file_id == file_id, file_chunks.c.number == number)
        async with self._database.read() as connection:
            data: bytes | None = (await connection.execute(found)).scalar()
        return data

    async def _load(self, connection: AsyncConnection, *conditions: ColumnElement[bool]) -> list[StoredFile]:
        found = select(files).where(files.c.size.is_not(None), *conditions)
        return [self._stored(row) for row in await connection.execute(found)]

    def _stored(self, row: Row[tuple[object, ...]]) -> StoredFile:
        return StoredFile(row.id, row.name, row.media_type, row.size, row.secret, self)


async def _merged(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Merge chunks to at least `CHUNK` bytes: HTTP bodies arrive in small pieces, and each stored chunk is a row."""
    merged = bytearray()
    async for chunk in chunks:
        merged += chunk
        if len(merged) >= CHUNK:
            yield bytes(merged)
            merged.clear()
    if merged:
        yield bytes(merged)


def are(kept: Sequence[StoredFile]) -> ColumnElement[bool]:
    """Return the condition that a file is one of these."""
    return files.c.id.in_([file.id for file in kept])


def is_owned(owner: Identity) -> ColumnElement[bool]:
    """Return the condition that a file belongs to a person."""
    return (files.c.channel == owner.channel) & (files.c.tenant == owner.tenant) & (files.c.user_id == owner.user_id)


async def attach_files(connection: AsyncConnection, outbox_id: int, sent: Sequence[StoredFile]) -> None:
    """Attach files to the outbox row that sends them, in order."""
    for place, file in enumerate(sent):
        await connection.execute(update(files).where(files.c.id == file.id).values(outbox_id=outbox_id, place=place))


async def remove_files(connection: AsyncConnection, condition: ColumnElement[bool]) -> int:
    """Remove the files that meet a condition, and return how many were removed."""
    ids = list((await connection.execute(select(files.c.id).where(condition))).scalars())
    await connection.execute(delete(file_chunks).where(file_chunks.c.file_id.in_(ids)))
    await connection.execute(delete(files).where(files.c.id.in_(ids)))
    return len(ids)
