"""`understudy accounts`, as an operator uses it while the gateway runs."""

import json
from functools import partial
from pathlib import Path

import pytest
from commands.in_process import invoke
from support.stage import Stage, Vault, connect_vault, stage

from oauth import Keyring, SettingError

KEY = Keyring.generate()


@pytest.fixture
def scene(tmp_path: Path, database_url: str, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", KEY)
    return stage(tmp_path, [vault], key=KEY, database=database_url)


understudy = partial(invoke, "accounts")


async def test_an_operator_lists_and_disconnects_accounts(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        assert "No connected account matches" in await understudy("list")
        await connect_vault(scene, "alice")
        await connect_vault(scene, "bob")
        listed = await understudy("list")
        assert all(words in listed for words in ("stage T1 alice", "stage T1 bob", "fake"))
        assert "SECRET" not in listed
        found = json.loads(await understudy("list", "--user", "bob", "--json"))
        assert (found["account"], found["provider"]) == ("bob", "fake")
        assert "alice is disconnected" in await understudy("revoke", "stage", "T1", "alice", "fake")
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])
        assert "alice" not in await understudy("list")
        with pytest.raises(SettingError, match="has no fake account connected"):
            await understudy("revoke", "stage", "T1", "alice", "fake")
        before = len(scene.sent)
        await scene.write("alice", "call open_vault")
        assert (await scene.wait_for(before + 1))[before].link
