"""Old messages are removed, and their dedupe keys stay."""

from datetime import timedelta
from pathlib import Path

from support.stage import CANCEL, Orders, stage

from gateway.operations.retention import Retention
from gateway.storage.connect import connect

OLD = "'2020-01-01 00:00:00.000000'"


async def test_old_finished_messages_are_removed_and_their_keys_are_kept(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for number in range(10):
            await scene.ask("alice", str(number), id=f"e{number}")
        await scene.change(f"UPDATE inbox SET accepted_at = {OLD} WHERE id <= (SELECT min(id) + 7 FROM inbox)")
        await scene.change("UPDATE inbox SET status = 'dead' WHERE id = (SELECT min(id) FROM inbox)")
        database = connect(database_url)
        await database.open_alongside()
        assert await Retention(database, timedelta(days=30), batch=3).remove() == 7
        assert await Retention(database, timedelta(days=30), batch=3).remove() == 0
        await database.close()
        assert not await scene.write("alice", "again", id="e1")
        assert await scene.ask("alice", "ten", id="e10") == "heard: ten"
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("dead",), ("done",), ("done",), ("done",)]
    assert scene.rows("SELECT count(*) FROM outbox") == [(4,)]
    assert scene.rows("SELECT count(*) FROM session_items") == [(22,)]


async def test_questions_are_removed_with_their_messages(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Orders()], database=database_url)
    async with scene.open():
        for _ in range(2):
            await scene.ask("alice", CANCEL)
            assert await scene.ask("alice", "yes") == "cancelled 4711"
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)
        await scene.change(f"UPDATE inbox SET accepted_at = {OLD} WHERE id = (SELECT min(id) FROM inbox)")
        database = connect(database_url)
        await database.open_alongside()
        assert await Retention(database, timedelta(days=30)).remove() == 1
        await database.close()
    assert scene.rows("SELECT count(*) FROM questions") == [(1,)]


async def test_counts_of_turns_are_removed_once_their_windows_ended_long_ago(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url, settings={"turns_per_minute": 5, "turns_per_day": 9})
    async with scene.open():
        for person in ("alice", "bob", "carol"):
            await scene.ask(person, "hello")
        await scene.change(f"UPDATE turn_counts SET day_until = {OLD}, minute_until = {OLD} WHERE user_id = 'alice'")
        await scene.change(f"UPDATE turn_counts SET day_until = {OLD} WHERE user_id = 'bob'")
        database = connect(database_url)
        await database.open_alongside()
        await Retention(database, timedelta(days=30)).remove()
        await database.close()
    assert scene.rows("SELECT user_id FROM turn_counts ORDER BY user_id") == [("bob",), ("carol",)]
