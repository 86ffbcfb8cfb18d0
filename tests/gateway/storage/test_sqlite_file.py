"""The files of a SQLite database: one process at a time, and no other user, can use them."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.stage import stage

from gateway.storage.connect import connect
from oauth import SettingError


async def test_a_second_gateway_on_the_same_file_is_refused(tmp_path: Path) -> None:
    first, second = stage(tmp_path), stage(tmp_path)
    async with first.open():
        with pytest.raises(SettingError, match=r"Gateway\(database=…\).*stage\.db, which another"):
            async with second.open():
                pytest.fail("it was opened twice")


async def test_only_their_owner_can_read_the_files_of_a_database(tmp_path: Path) -> None:
    path = tmp_path / "stage.db"
    old = os.umask(0)
    try:
        with closing(sqlite3.connect(path)) as connection:  # with files that everybody can read, as in older versions
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE another (id)")
            for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                each.chmod(0o644)
            Path(f"{path}.lock").touch(0o666)
            assert {mode(each) for each in tmp_path.iterdir()} == {0o644, 0o666}
            scene = stage(tmp_path)
            async with scene.open():
                assert await scene.ask("alice", "hello") == "heard: hello"
                assert {each.name for each in tmp_path.iterdir()} >= {"stage.db", "stage.db-wal", "stage.db.lock"}
                assert {mode(each) for each in tmp_path.iterdir()} == {0o600}
        (tmp_path / "new").mkdir()
        other = stage(tmp_path / "new")
        (tmp_path / "new" / "stage.db").unlink()  # so that the gateway creates it
        async with other.open():
            await other.ask("alice", "hello")
            assert {mode(each) for each in (tmp_path / "new").iterdir()} == {0o600}
    finally:
        os.umask(old)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
async def test_the_lock_file_may_not_be_a_link_and_an_existing_one_keeps_its_content(tmp_path: Path, kind: str) -> None:
    precious, lock = tmp_path / "precious", tmp_path / "stage.db.lock"
    database = connect(f"sqlite:///{tmp_path}/stage.db")
    if kind == "file":
        lock.write_text("kept")
        await database.open()
        await database.close()
        assert lock.read_text() == "kept"
        return
    if kind == "link":
        precious.write_text("kept")
    lock.symlink_to(precious)
    with pytest.raises(SettingError, match=r"stage\.db\.lock is a symbolic link"):
        await database.open()
    assert precious.exists() == (kind == "link")
    assert kind == "dangling" or precious.read_text() == "kept"


async def test_a_link_to_a_database_shares_its_lock(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "there" / "real.db")
    first, second = (connect(f"sqlite:///{tmp_path}/{name}") for name in ("link.db", "there/real.db"))
    await first.open()
    try:
        with pytest.raises(SettingError, match="another understudy process has open"):
            await second.open()
    finally:
        await first.close()
