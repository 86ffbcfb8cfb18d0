"""`understudy audit`, on an operator's terminal."""

from collections.abc import Mapping
from datetime import datetime

from gateway.cli.terminal import print_json, print_table, stored
from gateway.turns.audit import Audit, AuditRecord


async def print_records(wanted: Mapping[str, str | None], since: datetime | None, limit: int, *, as_json: bool) -> None:
    """Prints the records that fit, from the database that UNDERSTUDY_DATABASE_URL names.

    Raises:
        SettingError: if there is no such database.
    """
    async with stored() as database:
        records = await Audit(database).find(since=since, limit=limit, **wanted)
    if as_json:
        print_json(records)
    else:
        print_table([_row(record) for record in records], "No tool call is recorded that fits.")


def _row(record: AuditRecord) -> dict[str, str]:
    return {
        "started (UTC)": f"{record.started_at:%Y-%m-%d %H:%M:%S}",
        "person": f"{record.channel} {record.tenant} {record.user_id}",
        "acted as": record.account or "-",
        "tool": record.tool,
        "outcome": record.outcome,
        "ms": str(record.duration_ms),
        "conversation": record.conversation,
        "trace": record.trace_id,
    }
