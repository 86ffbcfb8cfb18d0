"""Tokens are stored encrypted, each bound to its row."""

from pathlib import Path

import pytest
from support.consent.sign_ins import link_for
from support.stage import Stage

from gateway import Identity
from oauth import ConsentRequiredError

ALICE, BOB = Identity("stage", "T1", "alice"), Identity("stage", "T1", "bob")


async def test_tokens_are_encrypted_and_open_only_in_their_own_row(scene: Stage, tmp_path: Path) -> None:
    async with scene.open():
        await scene.connect(await link_for(scene), "alice")
        assert (await scene.wait_for(2))[1].text == "SECRET-alice"
        coordinator = scene.gateway.parts.oauth
        assert coordinator is not None
        assert (await coordinator.credentials(ALICE, "fake", {"read"})).credentials == "SECRET-alice"
        await scene.change("UPDATE oauth_tokens SET user_id = 'bob'")
        with pytest.raises(ConsentRequiredError):
            await coordinator.credentials(BOB, "fake", {"read"})
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("stage.db*"))
    assert b"REFRESH-" not in stored
    assert b"verifier" in stored  # a column's name, which shows that the file was read
