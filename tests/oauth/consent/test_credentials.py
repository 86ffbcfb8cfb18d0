"""A tool gets credentials with the scopes that it needs, or an error with the reason."""

from datetime import timedelta
from pathlib import Path

import pytest
from support.consent.sign_ins import Files, Pens, asked_for, link_for, tokens
from support.stage import FakeProvider, Stage, Vault, stage


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


async def test_a_revoked_grant_is_forgotten_and_asked_for_again(scene: Stage, vault: Vault) -> None:
    vault.auth.lifetime = timedelta(minutes=1)
    async with scene.open():
        link = await link_for(scene)
        vault.auth.revoked = True
        await scene.connect(link, "alice")
        again = (await scene.wait_for(2))[1]
        assert again.sign_in is not None
        assert tokens(scene) == []


async def test_a_person_who_grants_less_can_use_the_rest_and_is_told_what_is_missing(
    tmp_path: Path, provider: FakeProvider
) -> None:
    scene = stage(tmp_path, [Files(provider), Pens(provider)])
    async with scene.open():
        await scene.connect(await link_for(scene, call="write_file"), "alice")  # of which `write` is not granted
        refusal = (await scene.wait_for(2))[1].text
        assert all(words in refusal for words in ("without this permission: write things", "/disconnect fake"))
        assert await scene.ask("alice", "call read_file") == "SECRET-alice"
        both = await scene.ask("alice", "call read_file write_file")
        assert "SECRET-alice" in both
        assert "without this permission" in both
        assert "I may read things." in await scene.ask("alice", "", command="accounts")
        await scene.ask("alice", "", command="disconnect")
        assert await asked_for(scene, await link_for(scene, call="write_file")) == {"read", "write"}
