"""All data of one person is exported and erased, and nothing of anybody else."""

import json
import sqlite3
from functools import partial
from pathlib import Path

import psycopg
import pytest
from commands.in_process import invoke
from support.stage import Stage, Vault, connect_vault, place, stage

from gateway import Rating
from gateway.channels import Feedback
from gateway.operations.copying import TABLES
from oauth import Identity, Keyring

KEY = Keyring.generate()


@pytest.fixture
def scene(tmp_path: Path, database_url: str, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", KEY)
    return stage(tmp_path, [vault], key=KEY, database=database_url, audit_content=True)


understudy = partial(invoke, "person")


async def live(scene: Stage, person: str) -> None:
    """Have a person connect an account, and write in a direct and in a shared conversation."""
    before = len(scene.sent)
    await connect_vault(scene, person)
    assert f"SECRET-{person}" in await scene.ask(person, "call open_vault", "thread")
    assert await scene.ask(person, f"this is {person}", "thread") == f"heard: this is {person}"
    await scene.ask(person, "", command="accounts")
    await scene.gateway.host.threads.create(Identity("stage", "T1", person), f"a thread of {person}", "holidays")
    await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status <> 'sent'", 0)
    rated = Feedback(Identity("stage", "T1", person), place(f"dm-{person}"), Rating.UP, platform_id=f"p{before + 2}")
    assert await scene.gateway.host.rate(rated)
    await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status <> 'done'", 0)


def stored(scene: Stage) -> str:
    return "\n".join(str(scene.rows(f"SELECT * FROM {table.name}")) for table in TABLES)


async def test_an_export_has_all_data_of_one_person_and_nothing_of_another(scene: Stage) -> None:
    async with scene.open():
        await live(scene, "alice")
        await live(scene, "bob")
        exported = await understudy("export", "stage", "T1", "alice")
    found = json.loads(exported)
    assert found["identity"] == {"channel": "stage", "tenant": "T1", "user_id": "alice"}
    assert [account["account"] for account in found["accounts"]] == ["alice"]
    assert {
        len(found[name]) > 0
        for name in ("conversations", "messages", "answers", "history", "feedback", "threads", "audit")
    } == {True}
    assert len(found["messages"]) == 4
    assert "this is alice" in exported
    assert "bob" not in exported
    assert "REFRESH-" not in exported


async def test_erasing_a_person_removes_their_data_and_keeps_that_of_others(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        await live(scene, "alice")
        await live(scene, "bob")
        assert "alice" in stored(scene)
        bobs = json.loads(await understudy("export", "stage", "T1", "bob"))
        said = await understudy("erase", "stage", "T1", "alice", answer="y\n")
        assert "1 accounts" in said
        assert "4 messages" in said
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])
        await scene.wait_until_rows("SELECT count(*) FROM oauth_revocations", 0)
        assert "alice" not in stored(scene).casefold()
        again = json.loads(await understudy("export", "stage", "T1", "bob"))
        assert again["audit"].pop()["tool"] == "person export"  # the first export is recorded
        assert again == bobs
        assert "Nothing was stored" in await understudy("erase", "stage", "T1", "alice", "--yes")
        assert await scene.ask("alice", "hello again") == "heard: hello again"
        with pytest.raises((sqlite3.Error, psycopg.Error), match="only ever added to"):
            await scene.change("DELETE FROM audit WHERE user_id = 'bob'")


async def test_nothing_is_erased_without_a_yes(scene: Stage) -> None:
    async with scene.open():
        await live(scene, "alice")
        before = stored(scene)
        with pytest.raises(SystemExit):
            await understudy("erase", "stage", "T1", "alice", answer="n\n")
        assert stored(scene) == before


async def test_a_person_with_the_same_id_in_another_tenant_is_another_person(scene: Stage) -> None:
    async with scene.open():
        await scene.ask("alice", "of the first", tenant="T1")
        await scene.ask("alice", "of the second", tenant="T2")
        await understudy("erase", "stage", "T1", "alice", "--yes")
        assert "of the first" not in stored(scene)
        assert "of the second" in await understudy("export", "stage", "T2", "alice")


async def test_an_erased_person_who_opted_out_stays_opted_out(scene: Stage) -> None:
    alice = Identity("stage", "T1", "alice")
    async with scene.open():
        await scene.ask("alice", "hello")
        await scene.gateway.host.recognize(alice, "US.1")
        await scene.gateway.host.opt_out(alice, "e1")
        exported = json.loads(await understudy("export", "stage", "T1", "alice"))
        assert [row["platform_id"] for row in exported["known_as"]] == ["US.1"]
        assert len(exported["opt_outs"]) == 1
        await understudy("erase", "stage", "T1", "alice", "--yes")
        assert "US.1" not in stored(scene)
        assert (await scene.gateway.host.recognize(alice, None)).opted_out
