"""Codes with which an operator admits people who wrote to a channel that does not answer them."""

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.access.entries import AccessList, Entry
from gateway.channels.presenter import Presenter
from gateway.inbox.inbox import add_conversation
from gateway.outbox.notices import add_notice
from gateway.storage.database import Database
from gateway.storage.tables import access_requests
from oauth import Identity, SettingError
from oauth.store.tables import is_of
from toolkits import Conversation

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without 0, 1, I and O, which look alike
CODE_LENGTH = 6
VALID_FOR = timedelta(hours=1)
MOST_OPEN = 20  # codes of a channel, so that strangers do not fill the list of an operator

NOT_ADMITTED = "Sorry, I answer only people whom my operator has admitted."
PAIRING = (
    "Hello! I answer only people whom my operator has admitted. To be admitted, give my operator this code: {code}. "
    "It works once, within an hour."
)
ADMITTED = "My operator has admitted you. What can I do for you?"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A person who was told a code that nobody has approved yet."""

    code: str
    channel: str
    tenant: str
    user_id: str
    asked_at: datetime
    expires_at: datetime


class AccessRequests:
    """Answers people who may not use a channel once, and admits those whose code an operator approves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refuse(
        self, identity: Identity, conversation: Conversation, presenter: Presenter, *, pairing: bool
    ) -> None:
        """Tell a person in their direct conversation that they may not use the channel, unless they know already.

        Args:
            pairing: whether to tell them a code. They get another one when they write after it has expired.
        """
        has_been_told = select(access_requests.c.user_id).where(is_of(access_requests, identity), ~_may_ask(pairing))
        async with self._database.read() as connection:
            if (await connection.execute(has_been_told)).first() is not None:
                return
            if pairing and await self._count_open(connection, identity.channel) >= MOST_OPEN:
                log.warning("%s got no code: %s codes of the channel are open already", identity, MOST_OPEN)
                return
        async with self._database.write() as connection:
            await self._database.lock(connection, access_requests)
            await self._ask(connection, identity, conversation, presenter, pairing=pairing)

    async def approve(self, code: str) -> Identity:
        """Admit the person who was told a code, and tell them so. The code is used up.

        Raises:
            SettingError: if there is no such code, or it has expired.
        """
        is_open = (access_requests.c.code == code.strip().upper()) & (access_requests.c.expires_at > datetime.now(UTC))
        async with self._database.write() as connection:
            found = await connection.execute(delete(access_requests).where(is_open).returning(access_requests))
            row = found.first()
            if row is None:
                raise SettingError(
                    f"There is no open code {code}. A code works once, within an hour: `understudy access pending` "
                    "lists those that are open."
                )
            identity = Identity(row.channel, row.tenant, row.user_id)
            await AccessList(self._database).add(connection, Entry.of(identity))
            await add_notice(connection, row.conversation_id, json.loads(row.welcome))
        return identity

    async def pending(self, channel: str | None = None) -> list[PendingRequest]:
        """Return the people whose codes are open, or those of one channel, oldest first."""
        found = select(access_requests).where(_is_open()).order_by(access_requests.c.asked_at)
        if channel is not None:
            found = found.where(access_requests.c.channel == channel)
        async with self._database.read() as connection:
            rows = (await connection.execute(found)).all()
        return [
            PendingRequest(row.code, row.channel, row.tenant, row.user_id, row.asked_at, row.expires_at) for row in rows
        ]

    async def _ask(
        self,
        connection: AsyncConnection,
        identity: Identity,
        conversation: Conversation,
        presenter: Presenter,
        *,
        pairing: bool,
    ) -> None:
        """Store a request and tell the person, unless another process was first. The table is locked."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)) if pairing else None
        if pairing:
            expired = access_requests.c.expires_at <= datetime.now(UTC)
            await connection.execute(delete(access_requests).where(expired))
            if await self._count_open(connection, identity.channel) >= MOST_OPEN:
                return
        now = datetime.now(UTC)
        conversation_id = await add_conversation(self._database, connection, conversation, heard_at=now)
        values = {
            "code": code,
            "expires_at": now + VALID_FOR if pairing else None,
            "welcome": json.dumps(presenter.parts(ADMITTED), ensure_ascii=False),
            "conversation_id": conversation_id,
            "asked_at": now,
        }
        row = self._database.upsert(access_requests).values(
            channel=identity.channel, tenant=identity.tenant, user_id=identity.user_id, **values
        )
        upsert = row.on_conflict_do_update(
            index_elements=["channel", "tenant", "user_id"], set_=values, where=_may_ask(pairing)
        )
        asked = await connection.execute(upsert.returning(access_requests.c.user_id))
        if asked.first() is not None:
            text = PAIRING.format(code=code) if pairing else NOT_ADMITTED
            await add_notice(connection, conversation_id, presenter.parts(text))

    async def _count_open(self, connection: AsyncConnection, channel: str) -> int:
        counted = select(func.count()).select_from(access_requests)
        found = await connection.execute(counted.where(access_requests.c.channel == channel, _is_open()))
        return int(found.scalar_one())


def _is_open() -> ColumnElement[bool]:
    return access_requests.c.expires_at > datetime.now(UTC)


def _may_ask(pairing: bool) -> ColumnElement[bool]:
    """Return the condition that a person who was told before is told again: because there is a new code to tell."""
    if not pairing:
        return access_requests.c.expires_at <= datetime.now(UTC)
    return or_(access_requests.c.code.is_(None), access_requests.c.expires_at <= datetime.now(UTC))
