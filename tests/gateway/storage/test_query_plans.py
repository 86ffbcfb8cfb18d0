"""No statement of a turn reads a whole table: a database that grows does not slow turns down."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import event
from support.files import PNG
from support.stage import place, stage, stage_timings

from gateway.channels import Change, DeliveryReport, DeliveryStatus, Feedback, Piece, Rating
from oauth import Identity
from toolkits import Attachment, AttachmentKind

ALICE = Identity("stage", "T1", "alice")


async def test_no_statement_of_a_turn_reads_a_whole_table(tmp_path: Path) -> None:
    """Ask SQLite's planner about each statement that accepts, plays or sends a message."""
    scene = stage(tmp_path, timings=stage_timings(sent_report=0.01), settings={"turns_per_minute": 100})
    scene.channel.presenter.reports_delivery = True  # type: ignore[misc]
    scene.channel.attachments["photo"] = Attachment(AttachmentKind.IMAGE, fetch=_picture)
    seen: dict[str, object] = {}

    def note(_: object, __: object, statement: str, parameters: Any, ___: object, many: bool) -> None:
        seen.setdefault(statement, parameters[0] if many else parameters)

    async with scene.open():
        for engine in (scene.gateway.parts.backend.database._writer, scene.gateway.parts.backend.database._readers):
            assert engine is not None
            event.listen(engine.sync_engine, "before_cursor_execute", note)
        await scene.ask("alice", "one", attachments=["photo"])
        await scene.ask("alice", "two")  # this turn reads the picture again
        await scene.gateway.send(place("dm-alice"), "three")
        (reference,) = scene.rows("SELECT reference FROM outbox ORDER BY id LIMIT 1")[0]
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE delivery_status = 'queued'", 3)
        (key,) = scene.rows("SELECT delivery_key FROM outbox ORDER BY id LIMIT 1")[0]
        await scene.gateway.host.report_delivery(DeliveryReport("stage", "T1", key, DeliveryStatus.READ))
        for names in ({"platform_id": "p1"}, {"reference": reference}):
            await scene.gateway.host.rate(Feedback(ALICE, place("dm-alice"), Rating.UP, **names))
            await scene.gateway.host.rate(Feedback(ALICE, place("dm-alice"), Rating.UP, **names, taken_back=True))
        await scene.gateway.host.ratings(ALICE, place("dm-alice"))
        for number in (1, 2):
            await scene.write("alice", "three", piece=Piece("album", number))
            await scene.write("alice", "of nobody", piece=Piece("other", number), addressed=False)
            await scene.write("alice", "four", message_key="M", change=Change.EDITED, revision=number)
            await scene.write("alice", "", message_key="M", change=Change.DELETED)
        await scene.write("alice", "/stop", command="stop", stops=True)
        await scene.gateway.host.stop(place("dm-alice"), "alice")
        await scene.gateway.host.played_for("stage", "T1", "alice")
        with scene.gateway.parts.inbox.stops.told(0, lambda: None):
            await scene.gateway.parts.inbox.stops.look()
        await scene.wait_for(3)
        await scene.gateway.parts.inbox.resume_due()
        await scene.gateway.parts.outbox.resume_due()
        plans = await asyncio.to_thread(_plans, tmp_path / "stage.db", seen)
    assert len(plans) > 10
    assert any("inbox.turn_id IN" in statement for statement in plans)
    assert {statement: plan for statement, plan in plans.items() if any(_is_scan(line) for line in plan)} == {}


async def _picture() -> AsyncGenerator[bytes, None]:
    yield PNG


def _plans(path: Path, statements: dict[str, object]) -> dict[str, list[str]]:
    with closing(sqlite3.connect(path)) as database:
        return {
            statement: [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]  # type: ignore[arg-type]
            for statement, parameters in statements.items()
            if statement.split()[0] in ("SELECT", "UPDATE", "DELETE", "INSERT")
        }


def _is_scan(line: str) -> bool:
    # A partial index stays small when its table grows. The values of a statement (`json_each`), the table of
    # previews, which has only those of running turns, and that of processes are small, too.
    small = ("USING INDEX", "CONSTANT", "json_each", "SCAN previews", "SCAN processes")
    return line.startswith("SCAN") and not any(word in line for word in small)
