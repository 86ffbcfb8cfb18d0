"""Record who acted as whom: one record per tool call, written when the call ends and never changed."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
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

# Reasons for which a turn stops though no call of it failed. A call that was under way has then only been cut off.
_CUTS_OFF = (ConsentRequiredError, AnswerRequiredError, TurnStoppedError)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One tool call.

    Args:
        started_at: with a time zone, in UTC.
        channel, tenant, user_id: the identity whose turn it was.
        account: the accounts that the call acted as: those whose credentials were given while it ran, else the one that
            its toolkit has from an earlier call of the turn.
        duration_ms: milliseconds.
        trace_id: the reference of the turn, which the log has, too.
        decided_by: who approved or declined the call, as CHANNEL/TENANT/USER_ID; `None` if nobody was asked.
        arguments, result: JSON, if the operator wants them recorded.
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
    trace_id: str
    decided_by: str | None = None
    arguments: str | None = field(default=None, repr=False)
    result: str | None = field(default=None, repr=False)


class Audit:
    """The append-only record of what tools did for whom.

    Args:
        content: whether the arguments and results of calls are recorded, too.
    """

    def __init__(self, database: Database, *, content: bool = False) -> None:
        self._database = database
        self.content = content

    async def add(
        self, record: AuditRecord, journal: TurnJournal | None = None, ended: ToolEnded | None = None
    ) -> None:
        """Record a call, in one transaction with its end in the journal of its turn, if the turn has one."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(audit).values(asdict(record)))
            if journal is not None and ended is not None:
                await journal.end(connection, ended, private=record.account is not None)

        await self._database.run_write(work)

    async def find(self, *, since: datetime | None, limit: int, **equal: str | None) -> Sequence[AuditRecord]:
        """Return the newest records, oldest first.

        Args:
            since: leaves out calls that started before.
            equal: the value that a column must have, like `user_id="U1"`; `None` for any.
        """
        wanted = [audit.c[name] == value for name, value in equal.items() if value is not None]
        if since is not None:
            wanted.append(audit.c.started_at >= since)
        newest = select(audit).where(*wanted).order_by(audit.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).mappings().all()
        return [AuditRecord(**{name: row[name] for name in AuditRecord.__slots__}) for row in reversed(rows)]


@dataclass(frozen=True, slots=True)
class _Call:
    event: ToolStarted
    started_at: datetime
    began: float  # seconds, monotonic
    uses: int  # how many credentials the turn had been given before


class AuditTrail:
    """Records the tool calls of one turn, in the audit and in its journal."""

    def __init__(
        self,
        audit: Audit,
        message: Message,
        trace_id: str,
        credentials: TurnCredentials,
        journal: TurnJournal | None,
    ) -> None:
        self._audit = audit
        self._message = message
        self._trace_id = trace_id
        self._credentials = credentials
        self._journal = journal
        self._calls: dict[str, _Call] = {}
        self._begun: set[str] = set()
        self._writing: list[asyncio.Task[None]] = []

    async def note(self, event: TurnEvent) -> None:
        """Note an event. When this returns, a call that begins or has ended is recorded."""
        if isinstance(event, ToolStarted):
            uses = len(self._credentials.uses)
            self._calls[event.call_id] = _Call(event, datetime.now(UTC), time.monotonic(), uses)
            self._credentials.open_calls.add(event.call_id)
            if event.read_only:
                self._credentials.reading_calls.add(event.call_id)
            try:
                if self._journal is not None:
                    await self._journal.begin(event)
            except Exception:  # the call is not made
                self._credentials.open_calls.discard(event.call_id)
                del self._calls[event.call_id]
                raise
            self._begun.add(event.call_id)
        elif isinstance(event, ToolEnded) and event.call_id in self._calls:
            # It is written by a task of its own, so that a cancellation of the turn does not lose the record.
            await asyncio.shield(self._write(self._as_stopped(event)))

    async def close(self) -> None:
        """Record the calls whose end the engine did not tell, and wait until all records are written."""
        stopped = self._credentials.stopped
        outcome = ToolOutcome.CANCELLED if stopped is None or isinstance(stopped, _CUTS_OFF) else ToolOutcome.ERROR
        for call_id, call in list(self._calls.items()):
            is_begun = call_id in self._begun
            ended = ToolEnded(call_id, call.event.tool, outcome if is_begun else ToolOutcome.NOT_BEGUN)
            self._write(self._as_stopped(ended))
        await asyncio.gather(*self._writing)

    def _as_stopped(self, ended: ToolEnded) -> ToolEnded:
        """Return the end of a call as it is recorded: a call for which the turn stopped waits for its person.

        So does one that asks beside it. A tool or an engine may have made something else of the exception, or have
        cancelled the call before it was raised.
        """
        call_id, outcome = ended.call_id, None
        if call_id in self._credentials.refused:
            outcome = ToolOutcome.SIGN_IN
        elif self._is_asking(call_id):
            outcome = ToolOutcome.ASKED
        return ToolEnded(call_id, ended.tool, outcome) if outcome is not None else ended

    def _is_asking(self, call_id: str) -> bool:
        """Return whether a call waits for an answer, and is made again when the turn is played again."""
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
            trace_id=self._trace_id,
            decided_by=self._journal.decided_by(call.event.call_id) if self._journal is not None else None,
            arguments=_json(call.event.arguments) if content else None,
            result=_json(result) if content else None,
        )

    def _account(self, call: _Call) -> str | None:
        own = call.event.call_id
        before, during = self._credentials.uses[: call.uses], self._credentials.uses[call.uses :]
        # The call of a framework's own tool is not known. A member's call belongs to the call that asks the member.
        accounts = [use.account for use in during if use.call_id in (None, own) or use.call_id.startswith(f"{own}/")]
        if not accounts:  # its toolkit has the credentials from an earlier call of this turn
            accounts = [use.account for use in before if use.provider == call.event.provider][-1:]
        return ", ".join(dict.fromkeys(accounts)) or None


def _json(value: Mapping[str, Any] | Any) -> str:
    return storable_json(value)
