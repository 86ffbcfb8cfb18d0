"""The rotation of keys while the gateway runs."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers.wait import wait_until
from sqlalchemy import create_engine, text
from support.stage import Stage, StageChannel, Vault, stage
from typer.testing import CliRunner

from gateway import Agent, Gateway, SettingError
from gateway.cli.main import app
from gateway.storage.connect import connect
from oauth import Identity, Keyring, Token
from oauth.store.installations import Installation
from oauth.store.keyring import DecryptionError
from oauth.store.tables import SEALED
from oauth.store.tokens import TokenStore

COMMAND = Path(sys.executable).with_name("understudy")
OLD, NEW = Keyring.generate(), Keyring.generate()
MANY = 3000
INSTALLATION = Installation("stage", "T1", "SECRET-bot", "UBOT")


async def fill(url: str, key: str, count: int) -> None:
    database = connect(url)
    await database.open()
    store = TokenStore(database, Keyring.parse(key))
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    async with database.write() as connection:
        for number in range(count):
            token = Token(f"SECRET-{number}", None, expires_at, frozenset({"read"}), f"account {number}")
            await store.save(connection, Identity("stage", "T1", f"p{number:05}"), "fake", token)
    await database.close()


async def opened_by(url: str, key: str) -> int:
    """Return the number of tokens that a key opens."""
    database = connect(url)
    await database.open_alongside()
    store, opened = TokenStore(database, Keyring.parse(key)), 0
    async with database.read() as connection:
        people = (await connection.execute(text("SELECT user_id FROM oauth_tokens"))).scalars().all()
        for person in people:
            try:
                stored = await store.find(connection, Identity("stage", "T1", person), "fake")
            except DecryptionError:
                continue
            assert stored is not None
            assert stored.token.access_token == f"SECRET-{int(person[1:])}"
            opened += 1
    await database.close()
    return opened


@pytest.mark.processes
async def test_a_rotation_that_is_killed_half_way_loses_nothing_and_the_next_one_completes_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/keys.db"
    await fill(url, OLD, MANY)
    env = {**os.environ, "UNDERSTUDY_DATABASE_URL": url, "UNDERSTUDY_SECRET_KEY": f"{NEW},{OLD}"}
    before = _ciphertexts(url)
    child = subprocess.Popen([COMMAND, "keys", "rotate"], env=env, stderr=subprocess.DEVNULL)
    await asyncio.to_thread(wait_until, lambda: _ciphertexts(url) != before, 20, "some rows are encrypted anew")
    child.kill()
    child.wait()
    rotated = await opened_by(url, NEW)
    assert 0 < rotated < MANY
    assert await opened_by(url, f"{NEW},{OLD}") == MANY
    ended = await asyncio.to_thread(
        subprocess.run, [COMMAND, "keys", "rotate"], env=env, capture_output=True, text=True
    )
    assert ended.returncode == 0
    assert f"{MANY - rotated} rows were re-encrypted" in ended.stderr
    assert await opened_by(url, NEW) == MANY
    assert "SECRET-" not in ended.stdout + ended.stderr


def _ciphertexts(url: str) -> set[bytes]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return set(connection.execute(text("SELECT ciphertext FROM oauth_tokens")).scalars())
    finally:
        engine.dispose()


async def test_all_encrypted_rows_are_rotated_while_the_gateway_runs(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, keys = Vault(), f"{NEW},{OLD}"
    vault.auth.is_down = True  # so that a revocation is left
    first = stage(tmp_path, [vault], key=OLD, database=database_url)
    async with first.open():
        await one_of_each(first)
    scene = stage(tmp_path, [vault], key=keys, database=database_url, written=100)
    async with scene.open():
        for name, value in (("UNDERSTUDY_DATABASE_URL", database_url), ("UNDERSTUDY_SECRET_KEY", keys)):
            monkeypatch.setenv(name, value)
        result = await asyncio.to_thread(CliRunner().invoke, app, ["keys", "rotate"])
        assert result.exception is None
        assert f"{len(SEALED)} rows were re-encrypted" in result.output
        assert await scene.ask("alice", "call open_vault") == "SECRET-alice"
    last = stage(tmp_path, [vault], key=NEW, database=database_url, written=200)
    async with last.open():
        assert await last.ask("alice", "call open_vault") == "SECRET-alice"
        assert await last.gateway.host.installations.load("stage", "T1") == INSTALLATION


async def one_of_each(scene: Stage) -> None:
    """Fill a row of each table that has something encrypted."""
    for number, person in enumerate(("alice", "bob", "carol", "dave")):
        await scene.write(person, "call open_vault")
        await scene.wait_for(number + 1)
    links = {sent.conversation: sent.link for sent in scene.sent}
    scene.channel.presenter.emails["bob"] = None
    for person in ("alice", "bob", "carol"):
        await scene.connect(links[f"dm-{person}"], person)
    await scene.wait_for(6)
    await scene.write("carol", "", command="disconnect")
    await scene.wait_for(7)
    await scene.gateway.host.installations.save(INSTALLATION)


async def test_rows_that_no_key_opens_are_counted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/keys.db"
    await fill(url, OLD, 3)
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", url)
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", NEW)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["keys", "rotate"])
    assert result.exit_code == 1
    assert "no key in UNDERSTUDY_SECRET_KEY decrypts 3 others" in " ".join(result.output.split())
    assert await opened_by(url, OLD) == 3


async def test_a_start_whose_key_opens_none_of_the_tokens_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await fill(url, OLD, 3)
    with pytest.raises(SettingError, match=r"UNDERSTUDY_SECRET_KEY decrypts none of the 3 tokens in the database"):
        await _start(tmp_path, url, NEW)
    await _start(tmp_path, url, f"{NEW},{OLD}")
    await _start(tmp_path, url, OLD)


async def test_a_start_whose_key_opens_a_token_or_finds_none_is_not_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await _start(tmp_path, url, NEW)
    await fill(url, OLD, 150)
    database = connect(url)
    await database.open()
    async with database.write() as connection:
        token = Token("SECRET-last", None, None, frozenset({"read"}), "last")
        await TokenStore(database, Keyring.parse(NEW)).save(connection, Identity("stage", "T1", "q"), "fake", token)
    await database.close()
    await _start(tmp_path, url, NEW)


async def _start(directory: Path, url: str, key: str) -> None:
    gateway = Gateway(Agent(model="test"), [StageChannel()], url, secret_key=key)
    async with gateway.lifespan():
        pass
