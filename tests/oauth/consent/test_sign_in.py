"""Sign-in links are bound to one person, valid once, and ask for the scopes that are needed."""

import re
from pathlib import Path

import httpx
import pytest
from support.consent.sign_ins import Files, Pens, asked_for, browser, link_for, sign_in, state_of, tokens
from support.stage import FakeProvider, Stage, Vault, stage

from oauth import AuthorizationFailedError, Keyring


@pytest.fixture
def vault() -> Vault:
    """A toolkit whose answers everybody may read."""
    made = Vault()
    made.private = False
    return made


async def call_back(scene: Stage, **query: str) -> httpx.Response:
    async with browser(scene) as client:
        return await client.get("/oauth/fake/callback", params=query)


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


async def test_the_callback_answers_the_parked_message_and_shows_the_account(scene: Stage) -> None:
    scene.channel.presenter.emails["alice"] = "<b>alice</b>@fake.test"
    async with scene.open():
        link = await link_for(scene)
        page = await call_back(scene, state=await state_of(scene.gateway, link), code="of-<b>alice</b>")
        assert page.status_code == 200
        assert "&lt;b&gt;alice&lt;/b&gt;" in page.text
        assert "read things" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert (await scene.wait_for(2))[1].text == "SECRET-<b>alice</b>"


async def test_a_link_is_short_and_survives_the_preview_of_a_chat_platform(scene: Stage) -> None:
    async with scene.open(), browser(scene) as previewer:
        link = await link_for(scene)
        assert re.fullmatch(r"https://bot\.test/sign-in/[\w-]{22}", link)
        for method in ("HEAD", "GET", "GET"):
            preview = await previewer.request(method, link)
            assert preview.status_code == 303
            assert preview.headers["location"].startswith("https://fake.test/authorize?")
            assert (preview.headers["referrer-policy"], preview.headers["cache-control"]) == ("no-referrer", "no-store")
        assert scene.rows(f"SELECT count(*) FROM oauth_authorizations WHERE id = '{link[-22:]}'") == [(0,)]
        await sign_in(scene, link, "alice")
        assert tokens(scene) == [("alice", "alice")]


@pytest.mark.parametrize("ended", ["used", "expired", "unknown"])
async def test_an_expired_or_used_link_leads_nowhere_and_says_so(scene: Stage, ended: str) -> None:
    async with scene.open(), browser(scene) as client:
        link = await link_for(scene)
        if ended == "used":
            await sign_in(scene, link, "alice")
        elif ended == "expired":
            await scene.change("UPDATE oauth_authorizations SET expires_at = '2020-01-01 00:00:00.000000'")
        else:
            link = link[:-1] + ("A" if link[-1] != "A" else "B")
        page = await client.get(link)
        assert page.status_code == 400
        assert "has expired or was used before" in page.text


async def test_a_parked_message_does_not_block_its_conversation_and_is_resumed_after_a_restart(
    tmp_path: Path, vault: Vault
) -> None:
    key = Keyring.generate()
    first = stage(tmp_path, [vault], key=key)
    async with first.open():
        link = await link_for(first)
        assert await first.ask("alice", "meanwhile") == "heard: meanwhile"
    second = stage(tmp_path, [vault], key=key)
    async with second.open():
        assert (await call_back(second, state=await state_of(second.gateway, link), code="of-alice")).status_code == 200
        assert (await second.wait_for(1))[0].text == "SECRET-alice"


async def test_everyone_in_one_place_gets_their_own_link(scene: Stage) -> None:
    async with scene.open():
        alice, bob = await link_for(scene, "alice", "thread"), await link_for(scene, "bob", "thread")
        await scene.connect(bob, "bob")
        assert (await scene.wait_for(3))[2].text == "SECRET-bob"
        await scene.connect(alice, "alice")
        assert (await scene.wait_for(4))[3].text == "SECRET-alice"


@pytest.mark.parametrize("change", ["used", "tampered", "empty", "other key", "expired"])
async def test_a_bad_state_connects_nothing(
    scene: Stage, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.open():
        state = await state_of(scene.gateway, await link_for(scene))
        if change == "used":
            assert (await call_back(scene, state=state, error="access_denied")).status_code == 200
        elif change == "tampered":
            state = ("B" if state[0] == "A" else "A") + state[1:]
        elif change == "empty":
            state = ""
        elif change == "other key":
            state = state.rpartition(".")[0] + ".AAAAAAAAAAAAAAAAAAAAAAAAAAA"
        else:
            import time

            later = time.time() + 601
            monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
        page = await call_back(scene, state=state, code="of-mallory")
        assert page.status_code == 400
        assert tokens(scene) == []


async def test_a_state_is_valid_only_for_its_provider(scene: Stage) -> None:
    async with scene.open():
        state = await state_of(scene.gateway, await link_for(scene))
        coordinator = scene.gateway.parts.oauth
        assert coordinator is not None
        with pytest.raises(AuthorizationFailedError):
            await coordinator.complete("google", state, "of-alice")


async def test_a_consent_that_grants_nothing_stores_nothing(scene: Stage, tmp_path: Path, vault: Vault) -> None:
    vault.auth.granted = frozenset()
    async with scene.open():
        page = await call_back(scene, state=await state_of(scene.gateway, await link_for(scene)), code="of-alice")
        assert page.status_code == 400
        assert "permission" in page.text
        assert tokens(scene) == []
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])


async def test_one_consent_asks_for_what_all_toolkits_need(tmp_path: Path, provider: FakeProvider) -> None:
    provider.granted = frozenset({"read", "write"})
    scene = stage(tmp_path, [Files(provider), Pens(provider)])
    async with scene.open():
        link = await link_for(scene, call="read_file")
        assert await asked_for(scene, link) == {"read", "write"}
        await scene.connect(link, "alice")
        await scene.wait_for(2)
        assert await scene.ask("alice", "call write_file") == "SECRET-alice"


async def test_a_toolkit_that_is_added_later_asks_only_for_the_missing_scopes(
    tmp_path: Path, provider: FakeProvider
) -> None:
    key = Keyring.generate()
    first = stage(tmp_path, [Files(provider)], key=key)
    async with first.open():
        await first.connect(await link_for(first, call="read_file"), "alice")
        await first.wait_for(2)
    second = stage(tmp_path, [Files(provider), Pens(provider)], key=key, written=10)
    async with second.open():
        assert await second.ask("alice", "call read_file") == "SECRET-alice"
        link = await link_for(second, call="write_file")
        assert await asked_for(second, link) == {"write"}
        provider.granted = frozenset({"write"})
        await second.connect(link, "alice")
        await second.wait_for(3)
        assert await second.ask("alice", "call read_file write_file") == "SECRET-alice | SECRET-alice"


async def test_a_provider_without_incremental_consent_is_asked_for_all_scopes_again(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.incremental = False
    key = Keyring.generate()
    first = stage(tmp_path, [Files(provider)], key=key)
    async with first.open():
        await first.connect(await link_for(first, call="read_file"), "alice")
        await first.wait_for(2)
    second = stage(tmp_path, [Files(provider), Pens(provider)], key=key, written=10)
    async with second.open():
        assert await asked_for(second, await link_for(second, call="write_file")) == {"read", "write"}
