"""`understudy audit`: who acted as whom."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer

from gateway.cli.options import AsJson, Limit, OfChannel, OfTenant, OfUser, in_utc
from gateway.cli.terminal import open_database, print_json, print_table
from gateway.runs.events import ToolOutcome
from gateway.turns.audit import Audit, AuditRecord


def audit(
    channel: OfChannel = None,
    tenant: OfTenant = None,
    user: OfUser = None,
    account: Annotated[str | None, typer.Option(help="Only calls that acted as this account.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only calls of this tool.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Only calls in the conversation with this id.")] = None,
    outcome: Annotated[ToolOutcome | None, typer.Option(help="Only calls with this outcome.")] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", "--trace", help="Only calls of the turn with this reference.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only calls that started at this time or later, in UTC.")
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the tool calls, oldest first: who asked, and as which account the tool acted."""
    wanted = {"channel": channel, "tenant": tenant, "user_id": user, "account": account, "tool": tool}
    wanted |= {"conversation": conversation, "outcome": outcome, "reference": reference}
    asyncio.run(_print_records(wanted, in_utc(since), limit, as_json=as_json))


async def _print_records(
    wanted: Mapping[str, str | None], since: datetime | None, limit: int, *, as_json: bool
) -> None:
    async with open_database() as database:
        records = await Audit(database).find(since=since, limit=limit, **wanted)
    if as_json:
        print_json(records)
    else:
        print_table([_row(record) for record in records], "No tool call matches.")


def _row(record: AuditRecord) -> dict[str, str]:
    return {
        "started (UTC)": f"{record.started_at:%Y-%m-%d %H:%M:%S}",
        "person": f"{record.channel} {record.tenant} {record.user_id}",
        "acted as": record.account or "-",
        "tool": record.tool,
        "outcome": record.outcome,
        "decided by": record.decided_by or "-",
        "ms": str(record.duration_ms),
        "conversation": record.conversation,
        "reference": record.reference,
    }
