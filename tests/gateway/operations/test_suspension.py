"""Suspended accounts are not used until an operator resumes them, and nothing of them is lost."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from commands.in_process import invoke
from support.stage import Stage, Vault, connect_vault, stage

from oauth import Identity, Keyring, SettingError
from oauth.consent.credentials import SUSPENDED
from toolkits import Toolkit, tool

KEY = Keyring.generate()
ALICE, BOB = Identity("stage", "T1", "alice"), Identity("stage", "T1", "bob")


class Gate(Toolkit):
    """A toolkit with a tool that waits until the test lets it go on."""

    _clone_shared_attrs = ("reached", "go_on")

    def __init__(self) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    @tool
    async def wait(self) -> str:
        """Wait."""
        self.reached.set()
        await self.go_on.wait()
        return "waited"


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def scene(tmp_path: Path, database_url: str, vault: Vault, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", database_url)
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", KEY)
    return stage(tmp_path, [vault, gate], key=KEY, database=database_url)


understudy = partial(invoke, "accounts")


async def test_a_person_who_left_acts_with_no_account_and_everybody_else_does(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        await connect_vault(scene, "alice")
        await connect_vault(scene, "bob")
        await scene.gateway.host.suspend(ALICE)
        assert await scene.ask("alice", "call open_vault") == SUSPENDED
        assert "SECRET-bob" in await scene.ask("bob", "call open_vault")
        oauth = scene.gateway.parts.oauth
        assert oauth is not None
        assert not await oauth.is_connected(ALICE, "fake", {"read"})
        assert await oauth.is_connected(BOB, "fake", {"read"})
        assert [account.account for account in await oauth.accounts(ALICE)] == ["alice"]
        await oauth.clean_up()
        assert vault.auth.revocations == []


async def test_a_turn_that_waits_does_not_run_with_the_accounts_of_a_person_who_left(scene: Stage, gate: Gate) -> None:
    async with scene.open():
        await connect_vault(scene, "alice")
        before = len(scene.sent)
        await scene.write("alice", "call wait")
        await gate.reached.wait()
        await scene.write("alice", "call open_vault")
        await scene.gateway.host.suspend(ALICE)
        gate.go_on.set()
        assert (await scene.wait_for(before + 2))[-1].text == SUSPENDED


async def test_only_an_operator_resumes_and_the_audit_has_who_decided(scene: Stage) -> None:
    async with scene.open():
        await connect_vault(scene, "alice")
        for _ in range(2):  # the platform delivers it again
            await scene.gateway.host.suspend(ALICE)
        await connect_again(scene)
        assert "used again" in await understudy("resume", "stage", "T1", "alice")
        assert "SECRET-alice" in await scene.ask("alice", "call open_vault")
        recorded = scene.rows("SELECT tool, account, decided_by FROM audit WHERE tool LIKE 'accounts%' ORDER BY id")
        assert [tuple(row) for row in recorded] == [
            ("accounts suspend", "fake alice", "stage"),
            ("accounts resume", None, "the operator"),
        ]


async def connect_again(scene: Stage) -> None:
    """Have the person sign in anew, which resumes nothing."""
    link = await scene.gateway.sign_in_link(ALICE, "alice", "fake")
    await scene.connect(link, "alice")
    assert await scene.ask("alice", "call open_vault") == SUSPENDED


async def test_an_operator_sees_who_is_suspended_and_decides(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        with pytest.raises(SettingError, match="has no account that could be suspended"):
            await understudy("suspend", "stage", "T1", "alice")
        await connect_vault(scene, "alice")
        await connect_vault(scene, "bob")
        assert "was not suspended" in await understudy("resume", "stage", "T1", "alice")
        assert "are suspended" in await understudy("suspend", "stage", "T1", "alice")
        lines = {line.split()[2]: line.split()[-1] for line in (await understudy("list")).splitlines()[1:]}
        assert lines["bob"] == "-"
        assert lines["alice"] != "-"
        assert "is disconnected" in await understudy("revoke", "stage", "T1", "alice", "fake")
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])


async def test_a_person_without_accounts_leaves_no_trace(scene: Stage) -> None:
    async with scene.open():
        await scene.gateway.host.suspend(ALICE)
        assert scene.rows("SELECT * FROM oauth_suspensions") == []
        assert scene.rows("SELECT * FROM audit") == []
