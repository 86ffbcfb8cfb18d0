"""Suspend the connected accounts of people who left, and resume them when an operator decides so."""

import logging
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.runs.events import ToolOutcome
from gateway.storage.database import Database
from gateway.storage.tables import audit
from gateway.turns.audit import AuditRecord
from oauth import Identity
from oauth.store.suspensions import SuspensionStore

OPERATOR = "the operator"  # in the audit; the platform's name is the channel's
SUSPENDED, RESUMED = "accounts suspend", "accounts resume"

log = logging.getLogger(__name__)


class AccountSuspension:
    """Suspends and resumes all accounts of a person. The audit records both, in the same transaction.

    Nothing is revoked or deleted, so that a mistake of the platform's, or of an admin there, loses nothing. Only an
    operator resumes: somebody who is activated again may have another job, or be somebody else.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._suspensions = SuspensionStore(database)

    async def suspend(self, identity: Identity, decided_by: str) -> bool:
        """Suspend a person's accounts; return whether they have some that were not suspended before.

        Args:
            decided_by: the channel whose platform reports that the person left, or `OPERATOR`.
        """
        async with self._database.write() as connection:
            accounts = await self._suspensions.add(connection, identity)
            if accounts:
                await _record(connection, identity, SUSPENDED, decided_by, ", ".join(accounts))
        if accounts:
            of = f"{identity.channel} {identity.tenant} {identity.user_id}"
            log.warning(
                "the accounts of %s are suspended (by %s): %s. Decide with `understudy accounts resume %s` or "
                "`understudy accounts revoke %s PROVIDER`",
                identity,
                decided_by,
                ", ".join(accounts),
                of,
                of,
            )
        return bool(accounts)

    async def resume(self, identity: Identity) -> bool:
        """Let a person's accounts be used again; return whether they were suspended."""
        async with self._database.write() as connection:
            was_suspended = await self._suspensions.remove(connection, identity)
            if was_suspended:
                await _record(connection, identity, RESUMED, OPERATOR, None)
        return was_suspended


async def _record(
    connection: AsyncConnection, identity: Identity, what: str, decided_by: str, account: str | None
) -> None:
    record = AuditRecord(
        datetime.now(UTC),
        **asdict(identity),
        account=account,
        tool=what,
        conversation="",
        outcome=ToolOutcome.OK,
        duration_ms=0,
        reference="",
        decided_by=decided_by,
    )
    await connection.execute(insert(audit).values(record.as_row()))
