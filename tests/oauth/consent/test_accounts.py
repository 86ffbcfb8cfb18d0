"""People list and disconnect the accounts that they have connected."""

from pathlib import Path

import pytest
from support.stage import FakeProvider, Stage, Vault, stage

from gateway import TurnContext
from gateway.channels import PressOutcome
from toolkits import Toolkit, tool

DELETED = "I have deleted my access to it."


class OtherProvider(FakeProvider):
    name = "other"
    label = "Other"


class OtherVault(Toolkit):
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = OtherProvider()

    @tool
    async def open_other(self, context: TurnContext) -> str:
        """Open another vault."""
        return str(await context.credentials("other", {"read"}))


async def connect(scene: Stage, person: str, account: str | None = None, call: str = "open_vault") -> None:
    before = len(scene.sent)
    scene.channel.presenter.emails[person] = f"{account or person}@fake.test"
    await scene.write(person, f"call {call}")
    link = (await scene.wait_for(before + 1))[before].link
    await scene.connect(link, account or person, call.removeprefix("open_").replace("vault", "fake"))
    await scene.wait_for(before + 2)


async def command(scene: Stage, person: str, name: str, argument: str = "", where: str | None = None) -> str:
    return await scene.ask(person, "", where, command=name, argument=argument)


async def test_a_person_sees_only_their_own_accounts(scene: Stage) -> None:
    async with scene.open():
        assert "no account" in await command(scene, "alice", "accounts")
        await connect(scene, "alice")
        listed = await command(scene, "alice", "accounts")
        assert all(words in listed for words in ("**Fake**: alice, since ", "I may read things", "/disconnect fake"))
        assert "no account" in await command(scene, "bob", "accounts")
        assert "SECRET" not in listed


@pytest.mark.parametrize("name", ["", "fake", "Fake"])
async def test_disconnecting_deletes_and_revokes(scene: Stage, vault: Vault, name: str) -> None:
    async with scene.open():
        await connect(scene, "alice")
        assert "alice is disconnected" in await command(scene, "alice", "disconnect", name)
        assert "no account" in await command(scene, "alice", "accounts")
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])
        before = len(scene.sent)
        await scene.write("alice", "call open_vault")
        assert (await scene.wait_for(before + 1))[before].link
        assert "no account" in await command(scene, "bob", "disconnect", name)


async def test_an_account_that_another_identity_uses_is_not_revoked_before_the_last(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        await connect(scene, "alice")
        await connect(scene, "alice-on-her-phone", "alice")
        await command(scene, "alice", "disconnect")
        await scene.wait_until_rows("SELECT count(*) FROM oauth_revocations", 0)
        assert vault.auth.revocations == []
        assert await scene.ask("alice-on-her-phone", "call open_vault") == "SECRET-alice"
        await command(scene, "alice-on-her-phone", "disconnect")
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])


async def test_a_person_with_several_accounts_says_which_to_disconnect(tmp_path: Path, vault: Vault) -> None:
    scene = stage(tmp_path, [vault, OtherVault()])
    async with scene.open():
        await connect(scene, "alice")
        await connect(scene, "alice", call="open_other")
        assert "Which one?" in await command(scene, "alice", "disconnect", "third")
        assert "Other account alice is disconnected" in await command(scene, "alice", "disconnect", "other")
        assert "**Fake**" in await command(scene, "alice", "accounts")


async def test_a_person_with_several_accounts_chooses_one_by_button(
    tmp_path: Path, database_url: str, vault: Vault
) -> None:
    scene = stage(tmp_path, [vault, OtherVault()], database=database_url)
    async with scene.open():
        await connect(scene, "alice")
        await connect(scene, "alice", call="open_other")
        before = len(scene.sent)
        assert await command(scene, "alice", "disconnect", where="room") == "Which account shall I disconnect?"
        asked = scene.sent[before]
        assert asked.card is not None
        assert asked.alone == "alice"
        assert [choice.label for choice in asked.card.choices] == ["Fake: alice", "Other: alice"]
        assert (await scene.press("alice", asked.card, "Other: alice")).outcome is PressOutcome.TAKEN
        assert "Other account alice is disconnected" in (await scene.wait_for(before + 2))[before + 1].text
        assert await command(scene, "alice", "disconnect") == "Your Fake account alice is disconnected: " + DELETED


async def test_a_person_with_several_accounts_can_type_the_choice(tmp_path: Path, vault: Vault) -> None:
    scene = stage(tmp_path, [vault, OtherVault()])
    async with scene.open():
        await connect(scene, "alice")
        await connect(scene, "alice", call="open_other")
        await command(scene, "alice", "disconnect")
        assert "Fake account alice is disconnected" in await scene.ask("alice", "1")


async def test_in_a_shared_conversation_only_the_person_gets_the_list(tmp_path: Path, vault: Vault) -> None:
    scene = stage(tmp_path, [vault], private_answers="open")
    async with scene.open():
        await connect(scene, "alice")
        before = len(scene.sent)
        await scene.write("alice", "", "thread", command="accounts")
        sent = (await scene.wait_for(before + 1))[before]
        assert sent.alone == "alice"
        assert "Fake" in sent.text
        said = await scene.ask("channel", "", "thread", command="accounts", anonymous=True)
        assert "who you are" in said
