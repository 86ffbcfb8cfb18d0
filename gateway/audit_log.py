"""The audit on an operator's terminal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.audit import Audit, AuditRecord
from gateway.config import GatewaySettings
from gateway.database import make_database

WIDEST = 1000  # characters of a line, so that none is cut in a pipe
NONE_FOUND = "No tool call is recorded that fits."


async def print_records(wanted: Mapping[str, str | None], since: datetime | None, limit: int, *, as_json: bool) -> None:
    """Prints the records that fit, from the database that UNDERSTUDY_DATABASE_URL names.

    Raises:
        SettingError: if there is no such database.
    """
    database = make_database(GatewaySettings().database_url)
    await database.open_alongside()
    try:
        records = await Audit(database).find(since=since, limit=limit, **wanted)
    finally:
        await database.close()
    if as_json:
        for record in records:
            print(json.dumps(asdict(record), default=datetime.isoformat, ensure_ascii=False))  # noqa: T201
    elif records:
        Console(width=WIDEST).print(_table(records))
    else:
        Console(stderr=True).print(NONE_FOUND)


def _table(records: Sequence[AuditRecord]) -> Table:
    table = Table("started (UTC)", "person", "acted as", "tool", "outcome", "ms", "conversation", "trace", box=None)
    for record in records:
        cells = (
            f"{record.started_at:%Y-%m-%d %H:%M:%S}",
            f"{record.channel} {record.tenant} {record.user_id}",
            record.account or "-",
            record.tool,
            record.outcome,
            str(record.duration_ms),
            record.conversation,
            record.trace_id,
        )
        table.add_row(*map(Text, cells))
    return table
