"""Measure whether accepting and claiming a message takes longer when the inbox has many rows."""

import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from bench.harness.channel import BenchChannel
from bench.harness.measure import Row
from bench.harness.servers import another_database, postgres
from gateway.inbox.embedded import EmbeddedDispatcher
from gateway.inbox.inbox import Inbox
from gateway.storage.connect import connect
from gateway.storage.database import Database

FEW, MANY = 1_000, 1_000_000  # rows of messages that are done
CALLS = 300
OFFSET = 10_000_000  # the number of the first new message, which keeps them out of the conversations of old ones

# Fill a thousand conversations with messages that are done, and with their deduplication keys.
_FILL = (
    "INSERT INTO conversations (channel, tenant, key, shared, last_place) "
    "SELECT 'bench', 'T', 'old ' || n, {false}, {rows} / 1000 FROM {series} WHERE n <= 1000",
    "INSERT INTO inbox (conversation_id, place, payload, status, attempts, lease, reference, accepted_at) "
    "SELECT 1 + n % 1000, 1 + n / 1000, '{{}}', 'done', 1, 1, 'r', {now} FROM {series}",
    "INSERT INTO dedupe_keys (channel, tenant, key, accepted_at) "
    "SELECT 'bench', 'T', 'event:old ' || n, {now} FROM {series}",
)


def measure_growth() -> list[Row]:
    """Measure an inbox with few rows and one with many, side by side."""
    with tempfile.TemporaryDirectory() as directory, postgres() as url:
        other = another_database(url, "many")
        rows = asyncio.run(_measure("SQLite", f"sqlite:///{directory}/few.db", f"sqlite:///{directory}/many.db"))
        return rows + asyncio.run(_measure("PostgreSQL", url, other))


async def _measure(name: str, few_url: str, many_url: str) -> list[Row]:
    few, many = connect(few_url), connect(many_url)
    await few.open()
    await many.open()
    try:
        await _fill(few, FEW)
        await _fill(many, MANY)
        inboxes = {FEW: _inbox(few), MANY: _inbox(many)}
        times: dict[tuple[str, int], list[float]] = {}
        channel = BenchChannel()
        for number in range(CALLS):
            for rows, inbox in inboxes.items():
                began = time.perf_counter()
                await inbox.accept([channel.event(OFFSET + number)])
                accepted = time.perf_counter()
                row = await inbox.claim(await _last(few if rows == FEW else many))
                claimed = time.perf_counter()
                assert row is not None
                times.setdefault(("accept", rows), []).append(accepted - began)
                times.setdefault(("claim", rows), []).append(claimed - accepted)
    finally:
        await few.close()
        await many.close()
    return [
        Row(
            f"{name}: {what} one message, {MANY:,} rows in the inbox",
            statistics.median(times[what, MANY]) * 1e6,
            "µs",
            f"{FEW:,} rows",
            statistics.median(times[what, MANY]) / statistics.median(times[what, FEW]),
        )
        for what in ("accept", "claim")
    ]


def _inbox(database: Database) -> Inbox:
    return Inbox(database, EmbeddedDispatcher(1), timedelta(hours=1))


async def _last(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(text("SELECT max(id) FROM conversations"))).scalar_one())


async def _fill(database: Database, rows: int) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.000000")
    values = {"rows": rows, "now": f"'{now}'", "false": "FALSE"}
    if database.shared:
        values["series"] = f"generate_series(1, {rows}) AS n"
    else:
        values["series"] = (
            f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) SELECT n FROM c)"
        )
    async with database.write() as connection:
        for statement in _FILL:
            await connection.execute(text(statement.format(**values)))
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))
