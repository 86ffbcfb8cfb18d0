"""`understudy audit`: who acted as whom."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from gateway.cli.options import AsJson, Limit, OfChannel, OfTenant, OfUser, WithContent, in_utc
from gateway.cli.terminal import open_database, print_json, print_table
from gateway.operations.reading import record_reading
from gateway.runs.events import ToolOutcome
from gateway.turns.audit import Audit, AuditRecord
from oauth import Identity

SHOWN = "audit --content"  # in the audit, as the tool


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
    content: WithContent = False,
    as_json: AsJson = False,
) -> None:
    """List the tool calls, oldest first: who asked, and as which account the tool acted."""
    wanted = {"channel": channel, "tenant": tenant, "user_id": user, "account": account, "tool": tool}
    wanted |= {"conversation": conversation, "outcome": outcome, "reference": reference}
    asyncio.run(_print_records(wanted, in_utc(since), limit, content=content, as_json=as_json))


async def _print_records(
    wanted: Mapping[str, str | None], since: datetime | None, limit: int, *, content: bool, as_json: bool
) -> None:
    async with open_database() as database:
        trail = Audit(database)
        records = await trail.find(since=since, limit=limit, **wanted)
        if content:
            have_content = [record for record in records if record.arguments is not None or record.result is not None]
            read = [(Identity(each.channel, each.tenant, each.user_id), each.conversation) for each in have_content]
            await record_reading(trail, SHOWN, read)
        else:
            records = [replace(record, arguments=None, result=None) for record in records]
    if as_json:
        print_json(records)
    else:
        print_table([_row(record, content=content) for record in records], "No tool call matches.")


def _row(record: AuditRecord, *, content: bool) -> dict[str, str]:
    row = {
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
    return row | ({"arguments": record.arguments or "-", "result": record.result or "-"} if content else {})
