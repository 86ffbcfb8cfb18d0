"""The audit: one record per tool call, written when the call ends and never changed."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inbox.claims import TurnStoppedError
from gateway.runs.calls import with_outer
from gateway.runs.events import ToolEnded, ToolOutcome, ToolStarted, TurnEvent
from gateway.runs.journal import AnswerRequiredError
from gateway.storage.database import Database
from gateway.storage.tables import audit
from gateway.turns.credentials import TurnCredentials
from gateway.turns.journal import TurnJournal
from oauth import ConsentRequiredError
from toolkits import Message
from toolkits.text import storable_json

_COLUMNS = {"reference": "trace_id"}  # the columns that have another name than the field of a record

# Reasons for which a turn stops although none of its calls failed. Calls that were running were only cut off.
_CUTS_OFF = (ConsentRequiredError, AnswerRequiredError, TurnStoppedError)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One tool call.

    Args:
        started_at: when the call began; aware, in UTC.
        channel, tenant, user_id: the identity of the turn's person.
        account: the accounts that the call acted as: those whose credentials were given while it ran, or else the one
            whose credentials its toolkit has from an earlier call of the turn.
        duration_ms: how long the call took, in milliseconds.
        reference: the reference of the turn, which is also in the log.
        decided_by: who approved or declined the call, as CHANNEL/TENANT/USER_ID; `None` if nobody was asked.
        arguments, result: as JSON, if the operator wants them recorded.
    """

    started_at: datetime
    channel: str
    tenant: str
    user_id: str
    account: str | None
    tool: str
    conversation: str
    outcome: str
    duration_ms: int
    reference: str
    decided_by: str | None = None
    arguments: str | None = field(default=None, repr=False)
    result: str | None = field(default=None, repr=False)

    def as_row(self) -> Mapping[str, Any]:
        """Return the values of the columns."""
        return {_COLUMNS.get(name, name): value for name, value in asdict(self).items()}


class Audit:
    """The append-only record of tool calls.

    Args:
        content: whether the arguments and results of calls are recorded as well.
    """

    def __init__(self, database: Database, *, content: bool = False) -> None:
        self._database = database
        self.content = content

    async def add(
        self, record: AuditRecord, journal: TurnJournal | None = None, ended: ToolEnded | None = None
    ) -> None:
        """Record a call in the audit and, in the same transaction, its end in the journal, if the turn has one."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(audit).values(record.as_row()))
            if journal is not None and ended is not None:
                await journal.end(connection, ended, private=record.account is not None)

        await self._database.run_write(work)

    async def find(self, *, since: datetime | None, limit: int, **equal: str | None) -> Sequence[AuditRecord]:
        """Return the newest records, oldest first.

        Args:
            since: leave out calls that started earlier.
            equal: the value that a field must have, like `user_id="U1"`; `None` for any value.
        """
        wanted = [_column(name) == value for name, value in equal.items() if value is not None]
        if since is not None:
            wanted.append(audit.c.started_at >= since)
        newest = select(audit).where(*wanted).order_by(audit.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).mappings().all()
        return [AuditRecord(**{name: row[_column(name)] for name in AuditRecord.__slots__}) for row in reversed(rows)]


def _column(field_name: str) -> Column[Any]:
    return audit.c[_COLUMNS.get(field_name, field_name)]


@dataclass(frozen=True, slots=True)
class _Call:
    event: ToolStarted
    started_at: datetime
    began: float  # seconds, monotonic
    uses: int  # how many credentials the turn had been given before


class AuditTrail:
    """Records the tool calls of one turn in the audit and in the turn's journal."""

    def __init__(
        self,
        audit: Audit,
        message: Message,
        reference: str,
        credentials: TurnCredentials,
        journal: TurnJournal | None,
    ) -> None:
        self._audit = audit
        self._message = message
        self._reference = reference
        self._credentials = credentials
        self._journal = journal
        self._calls: dict[str, _Call] = {}
        self._begun: set[str] = set()
        self._writing: list[asyncio.Task[None]] = []

    async def note(self, event: TurnEvent) -> None:
        """Note an event. The beginning or end of a call is recorded by the time this returns."""
        if isinstance(event, ToolStarted):
            uses = len(self._credentials.uses)
            self._calls[event.call_id] = _Call(event, datetime.now(UTC), time.monotonic(), uses)
            self._credentials.open_calls.add(event.call_id)
            if event.read_only:
                self._credentials.reading_calls.add(event.call_id)
            try:
                if self._journal is not None:
                    await self._journal.begin(event)
            except Exception:  # the call will not be made
                self._credentials.open_calls.discard(event.call_id)
                del self._calls[event.call_id]
                raise
            self._begun.add(event.call_id)
        elif isinstance(event, ToolEnded) and event.call_id in self._calls:
            # A separate task writes the record, so that it is not lost if the turn is cancelled.
            await asyncio.shield(self._write(self._as_stopped(event)))

    async def close(self) -> None:
        """Record the calls whose end the engine did not report, and wait until all records are written."""
        stopped = self._credentials.stopped
        outcome = ToolOutcome.CANCELLED if stopped is None or isinstance(stopped, _CUTS_OFF) else ToolOutcome.ERROR
        for call_id, call in list(self._calls.items()):
            is_begun = call_id in self._begun
            ended = ToolEnded(call_id, call.event.tool, outcome if is_begun else ToolOutcome.NOT_BEGUN)
            self._write(self._as_stopped(ended))
        await asyncio.gather(*self._writing)

    def _as_stopped(self, ended: ToolEnded) -> ToolEnded:
        """Return the end of a call, with the right outcome if the call waits for a sign-in or an answer.

        The engine may have reported another outcome: a tool or the engine may have swallowed the exception, or the
        engine may have cancelled the call before the exception was raised.
        """
        call_id, outcome = ended.call_id, None
        if call_id in self._credentials.refused:
            outcome = ToolOutcome.SIGN_IN
        elif self._is_asking(call_id):
            outcome = ToolOutcome.ASKED
        return ToolEnded(call_id, ended.tool, outcome) if outcome is not None else ended

    def _is_asking(self, call_id: str) -> bool:
        """Return whether a call waits for an answer, and is made again when the turn runs again."""
        stopped = self._credentials.stopped
        if isinstance(stopped, AnswerRequiredError) and call_id in with_outer(stopped.key):
            return True
        is_waiting = isinstance(stopped, (AnswerRequiredError, ConsentRequiredError))
        return is_waiting and call_id in self._credentials.asking

    def _write(self, ended: ToolEnded) -> asyncio.Task[None]:
        self._credentials.open_calls.discard(ended.call_id)
        record = self._record(self._calls.pop(ended.call_id), ended.outcome, ended.result)
        task = asyncio.create_task(self._audit.add(record, self._journal, ended))
        self._writing.append(task)
        return task

    def _record(self, call: _Call, outcome: ToolOutcome, result: Any) -> AuditRecord:
        sender, content = self._message.sender, self._audit.content
        return AuditRecord(
            started_at=call.started_at,
            channel=sender.channel,
            tenant=sender.tenant,
            user_id=sender.user_id,
            account=self._account(call),
            tool=call.event.tool,
            conversation=self._message.conversation.id,
            outcome=outcome,
            duration_ms=round((time.monotonic() - call.began) * 1000),
            reference=self._reference,
            decided_by=self._journal.decided_by(call.event.call_id) if self._journal is not None else None,
            arguments=_json(call.event.arguments) if content else None,
            result=_json(result) if content else None,
        )

    def _account(self, call: _Call) -> str | None:
        own = call.event.call_id
        before, during = self._credentials.uses[: call.uses], self._credentials.uses[call.uses :]
        # Uses by a framework's own tools may have no call id. The calls of a member belong to the call that asks it.
        accounts = [use.account for use in during if use.call_id in (None, own) or use.call_id.startswith(f"{own}/")]
        if not accounts:  # the toolkit has kept the credentials from an earlier call of this turn
            accounts = [use.account for use in before if use.provider == call.event.provider][-1:]
        return ", ".join(dict.fromkeys(accounts)) or None


def _json(value: Mapping[str, Any] | Any) -> str:
    return storable_json(value)
