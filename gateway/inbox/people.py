"""People as a platform knows them: whose an address is, and who has opted out."""

import logging
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import delete, exists, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.host import Person
from gateway.inbox.inbox import Inbox
from gateway.storage.database import Database
from gateway.storage.tables import OutboxStatus, find_conversation, is_any, known_people, opt_outs, outbox
from oauth import Identity
from oauth.store.tables import is_of
from toolkits import Conversation

OPTED_OUT = "The person has opted out, so nothing is sent to them. They opt in again with the word START."

_GIVE_UP = (
    update(outbox)
    .where(is_any(outbox.c.status, OutboxStatus.WAITING, OutboxStatus.RETRYING, OutboxStatus.LATE))
    .values(status=OutboxStatus.DEAD, error=OPTED_OUT)
)

log = logging.getLogger(__name__)


class People:
    """Recognizes people by the ids that a platform gives them, and stores who has opted out."""

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database = database
        self._inbox = inbox

    async def recognize(self, identity: Identity, platform_id: str | None) -> Person:
        """Return the person who wrote from an address: see `Host.recognize`."""
        person = await self._database.run_read(lambda connection: _find(connection, identity, platform_id))
        if person is not None:
            return person
        assert platform_id is not None
        user_id = await self._database.run_write(lambda connection: self._add(connection, identity, platform_id))
        if user_id != identity.user_id:
            log.warning("%s belongs to another person by now, who is known as %s from here on", identity, user_id)
        added = await self._database.run_read(lambda connection: _find(connection, identity, platform_id))
        assert added is not None
        return added

    async def opt_out(self, identity: Identity, event_id: str) -> bool:
        """Send nothing to a person any more: see `Host.opt_out`."""
        row = self._database.upsert(opt_outs).values(
            channel=identity.channel,
            tenant=identity.tenant,
            user_id=identity.user_id,
            opted_out_at=datetime.now(UTC),
        )
        async with self._database.write() as connection:
            if not await self._is_new(connection, identity, event_id):
                return False
            await connection.execute(row.on_conflict_do_nothing())
            here = outbox.c.conversation_id == find_conversation(_direct(identity)).scalar_subquery()
            await connection.execute(_GIVE_UP.where(here))
        return True

    async def opt_in(self, identity: Identity, event_id: str) -> bool:
        """Send messages to a person again: see `Host.opt_in`."""
        async with self._database.write() as connection:
            if not await self._is_new(connection, identity, event_id):
                return False
            await connection.execute(delete(opt_outs).where(is_of(opt_outs, identity)))
        return True

    async def _is_new(self, connection: AsyncConnection, identity: Identity, event_id: str) -> bool:
        """Return whether an event was not handled before. Signatures of platforms do not expire."""
        return await self._inbox.take_key(connection, _direct(identity), event_id)

    async def _add(self, connection: AsyncConnection, identity: Identity, platform_id: str) -> str:
        """Store a person of whom the gateway did not know the platform's id, and return the user id.

        It is the address, because the person may have written before without such an id. If it is another person's
        already, it has changed hands: the user id is then the platform's id.
        """
        where = {"channel": identity.channel, "tenant": identity.tenant, "platform_id": platform_id}
        address = identity.user_id if identity.user_id != platform_id else None
        for user_id in (identity.user_id, platform_id):
            row = self._database.upsert(known_people).values(
                **where, user_id=user_id, address=address, first_seen_at=datetime.now(UTC)
            )
            added = await connection.execute(row.on_conflict_do_nothing().returning(known_people.c.user_id))
            known = added.scalar() or await _user_id(connection, identity, platform_id)
            if known is not None:
                return known
        raise AssertionError(f"two people have the id {platform_id!r}")


def _direct(identity: Identity) -> Conversation:
    return Conversation(identity.channel, identity.tenant, identity.user_id, shared=False)


async def _find(connection: AsyncConnection, identity: Identity, platform_id: str | None) -> Person | None:
    """Return the person who wrote from an address; `None` if the platform's id is not stored yet."""
    user_id = await _user_id(connection, identity, platform_id)
    if user_id is None and platform_id is not None:
        return None
    person = replace(identity, user_id=user_id or identity.user_id)
    has_opted_out = await connection.execute(select(exists().where(is_of(opt_outs, person))))
    return Person(person, bool(has_opted_out.scalar()))


async def _user_id(connection: AsyncConnection, identity: Identity, platform_id: str | None) -> str | None:
    """Return the user id of a known person. Without the platform's id, it is that of the last known at the address."""
    here = (known_people.c.channel == identity.channel, known_people.c.tenant == identity.tenant)
    column, value = known_people.c.platform_id, platform_id
    if platform_id is None:
        column, value = known_people.c.address, identity.user_id
    found = select(known_people.c.user_id).where(*here, column == literal(value))
    return (await connection.execute(found.order_by(known_people.c.first_seen_at.desc()).limit(1))).scalar()
