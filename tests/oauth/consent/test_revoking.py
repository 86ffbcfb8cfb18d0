"""Tokens that nobody uses any more are revoked at their provider, with retries."""

from pathlib import Path

import pytest
from support.consent.pages import code_on
from support.consent.sign_ins import link_for, sign_in, tokens
from support.stage import FakeProvider, Stage, Vault, stage, stage_timings

from oauth import Keyring, OAuthTimings

UNUSED = "0000 0000"  # not the code, except once in a hundred million runs


async def test_a_sign_in_that_is_not_confirmed_in_time_is_revoked(tmp_path: Path, vault: Vault) -> None:
    scene = stage(tmp_path, [vault], timings=stage_timings(oauth=OAuthTimings(code=0.2)))
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-mallory"])
        assert await scene.ask("alice", code) == f"heard: {code}"
    assert tokens(scene) == []


async def test_an_account_that_somebody_else_has_connected_is_not_revoked(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        await scene.connect(await link_for(scene, "bob"), "bob")
        await scene.wait_for(2)
        await sign_in(scene, await link_for(scene, "alice"), "bob")
        for _ in range(5):
            await scene.ask("alice", UNUSED)
        await scene.wait_until_rows("SELECT count(*) FROM oauth_revocations", 0)
    assert vault.auth.revocations == []
    assert tokens(scene) == [("bob", "bob")]


async def test_a_revocation_is_tried_again_while_the_provider_is_unavailable(tmp_path: Path, vault: Vault) -> None:
    failures = 2

    class Away(FakeProvider):
        async def revoke(self, token):  # type: ignore[no-untyped-def]
            nonlocal failures
            if failures:
                failures -= 1
                raise ConnectionError("it is away")
            await super().revoke(token)

    vault.auth = Away()
    vault.auth.granted = frozenset()
    scene = stage(tmp_path, [vault], timings=stage_timings(oauth=OAuthTimings(revocation_retry=0)))
    async with scene.open():
        await sign_in(scene, await link_for(scene, "alice"), "alice")
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])
    assert failures == 0


async def test_tokens_of_an_older_version_do_not_prevent_a_revocation(tmp_path: Path, vault: Vault) -> None:
    key = Keyring.generate()
    first = stage(tmp_path, [vault], key=key)
    async with first.open():
        for person in ("alice", "bob"):
            before = len(first.sent)
            await first.connect(await link_for(first, person), person)
            await first.wait_for(before + 2)
    await first.change("UPDATE oauth_tokens SET account = NULL, connected_at = NULL")
    second = stage(tmp_path, [vault], key=key, written=10)
    async with second.open():
        await second.ask("alice", "", command="disconnect")
        await second.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])
    assert tokens(second) == [("bob", "bob")]


async def test_a_revocation_that_never_succeeds_is_given_up_with_a_line_in_the_log(
    tmp_path: Path, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    timings = OAuthTimings(revocation_retry=0, revocation_attempts=2)
    scene = stage(tmp_path, [vault], timings=stage_timings(oauth=timings))
    vault.auth.granted, vault.auth.is_down = frozenset(), True
    async with scene.open():
        await sign_in(scene, await link_for(scene, "alice"), "alice")
        await scene.wait_until(lambda: caplog.text.count("did not revoke a token") == 2)
        await scene.wait_until_rows("SELECT count(*) FROM oauth_revocations", 0)
    assert vault.auth.revocations == []
    assert "SECRET-" not in caplog.text
