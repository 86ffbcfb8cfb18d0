"""The consent loop through a gateway: links, states, tokens, refreshes."""

import asyncio
import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from stage import FakeProvider, Stage, stage

from gateway import Identity, TurnContext
from oauth import AuthorizationFailedError, ConsentRequiredError, Keyring, Token
from toolkits import Toolkit, tool

ALICE, BOB = Identity("stage", "T1", "alice"), Identity("stage", "T1", "bob")


class Account(Toolkit):
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth

    @tool
    async def whose(self, context: TurnContext) -> str:
        """Tells whose account it is."""
        return str(await context.credentials("fake", {"read"}))


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def scene(tmp_path: Path, provider: FakeProvider) -> Stage:
    return stage(tmp_path, [Account(provider)])


async def ask_for_link(scene: Stage, person: str = "alice", where: str | None = None) -> str:
    before = len(scene.sent)
    await scene.write(person, "call whose", where)
    return (await scene.wait_for(before + 1))[before].link


def state_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["state"][0]


async def callback(scene: Stage, **query: str) -> httpx.Response:
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with httpx.AsyncClient(transport=transport, base_url="https://bot.test") as browser:
        return await browser.get("/oauth/fake/callback", params=query)


async def test_the_callback_answers_the_parked_message_and_shows_the_account(scene: Stage) -> None:
    scene.channel.presenter.emails["alice"] = "<b>alice</b>@fake.test"
    async with scene.open():
        link = await ask_for_link(scene)
        page = await callback(scene, state=state_of(link), code="of-<b>alice</b>")
        assert page.status_code == 200
        assert "&lt;b&gt;alice&lt;/b&gt;" in page.text
        assert "read things" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert (await scene.wait_for(2))[1].text == "SECRET-<b>alice</b>"


async def test_a_parked_message_does_not_hold_up_its_conversation_and_is_resumed_after_a_restart(
    tmp_path: Path, provider: FakeProvider
) -> None:
    key = Keyring.generate()
    first = stage(tmp_path, [Account(provider)], key=key)
    async with first.open():
        link = await ask_for_link(first)
        assert await first.ask("alice", "meanwhile") == "heard: meanwhile"
    second = stage(tmp_path, [Account(provider)], key=key)
    async with second.open():
        assert (await callback(second, state=state_of(link), code="of-alice")).status_code == 200
        assert (await second.wait_for(1))[0].text == "SECRET-alice"


async def test_everyone_in_one_place_gets_their_own_link(scene: Stage) -> None:
    async with scene.open():
        alice, bob = await ask_for_link(scene, "alice", "thread"), await ask_for_link(scene, "bob", "thread")
        await scene.connect(bob, "bob")
        assert (await scene.wait_for(3))[2].text == "SECRET-bob"
        await scene.connect(alice, "alice")
        assert (await scene.wait_for(4))[3].text == "SECRET-alice"


@pytest.mark.parametrize("change", ["used", "tampered", "empty", "other key", "expired"])
async def test_a_bad_state_connects_nothing(
    scene: Stage, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.open():
        state = state_of(await ask_for_link(scene))
        if change == "used":
            assert (await callback(scene, state=state, error="access_denied")).status_code == 200
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
        page = await callback(scene, state=state, code="of-mallory")
        assert page.status_code == 400
        assert rows(tmp_path, "SELECT * FROM oauth_tokens") == []


async def test_a_state_is_of_its_provider_alone(scene: Stage) -> None:
    async with scene.open():
        state = state_of(await ask_for_link(scene))
        coordinator = scene.gateway.parts.oauth
        assert coordinator is not None
        with pytest.raises(AuthorizationFailedError):
            await coordinator.complete("google", state, "of-alice")


async def test_tokens_are_encrypted_and_open_in_their_own_row_alone(scene: Stage, tmp_path: Path) -> None:
    async with scene.open():
        await scene.connect(await ask_for_link(scene), "alice")
        assert (await scene.wait_for(2))[1].text == "SECRET-alice"
        coordinator = scene.gateway.parts.oauth
        assert coordinator is not None
        assert (await coordinator.credentials(ALICE, "fake", {"read"})).credentials == "SECRET-alice"
        # In a thread: the gateway may be in the middle of a write, which it needs the loop to end.
        await asyncio.to_thread(rows, tmp_path, "UPDATE oauth_tokens SET user_id = 'bob'")
        with pytest.raises(ConsentRequiredError):
            await coordinator.credentials(BOB, "fake", {"read"})
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("stage.db*"))
    assert b"REFRESH-" not in stored
    assert b"verifier" in stored  # the column's name: the file was read


async def test_ten_tools_that_ask_at_once_refresh_a_token_once(tmp_path: Path) -> None:
    class Slow(FakeProvider):  # so that all ten have asked before the first is done
        async def refresh(self, token: Token) -> Token:
            await asyncio.sleep(0.5)
            return await super().refresh(token)

    provider = Slow(lifetime=timedelta(minutes=1))
    scene = stage(tmp_path, [Account(provider)])
    async with scene.open():
        coordinator = scene.gateway.parts.oauth
        assert coordinator is not None
        state = state_of(await ask_for_link(scene))
        await coordinator.complete("fake", state, "of-alice")
        await scene.wait_for(2)
        assert provider.refreshed == 1
        await asyncio.gather(*(coordinator.credentials(ALICE, "fake", {"read"}) for _ in range(10)))
        assert provider.refreshed == 1
        await asyncio.gather(*(coordinator.credentials(ALICE, "fake", {"read"}, renew=True) for _ in range(10)))
        assert provider.refreshed == 2


async def test_a_revoked_grant_is_forgotten_and_asked_for_again(tmp_path: Path) -> None:
    provider = FakeProvider(lifetime=timedelta(minutes=1))
    scene = stage(tmp_path, [Account(provider)])
    async with scene.open():
        link = await ask_for_link(scene)
        provider.revoked = True
        await scene.connect(link, "alice")
        again = (await scene.wait_for(2))[1]
        assert again.sign_in is not None
        assert rows(tmp_path, "SELECT * FROM oauth_tokens") == []


async def test_a_consent_that_grants_nothing_stores_nothing(
    scene: Stage, tmp_path: Path, provider: FakeProvider
) -> None:
    provider.granted = frozenset()
    async with scene.open():
        page = await callback(scene, state=state_of(await ask_for_link(scene)), code="of-alice")
        assert page.status_code == 400
        assert "permission" in page.text
        assert rows(tmp_path, "SELECT * FROM oauth_tokens") == []
        await scene.wait_until(lambda: provider.revocations == ["SECRET-alice"])


async def test_a_ticket_serves_only_the_person_it_was_made_for(scene: Stage) -> None:
    async with scene.open():
        await ask_for_link(scene, "alice", "thread")
        sign_in = scene.sent[0].sign_in
        assert sign_in is not None
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sign_in.ticket)
        assert "somebody else" in await scene.ask("bob", "", command="start", argument=sign_in.ticket)
        await scene.write("alice", "", command="start", argument=sign_in.ticket)
        link: Any = (await scene.wait_for(3))[2]
        assert link.conversation == "dm-alice"
        await scene.connect(link.link, "alice")
        answer = (await scene.wait_for(4))[3]
        assert (answer.conversation, answer.text) == ("thread", "SECRET-alice")


def rows(directory: Path, statement: str) -> list[Any]:
    with sqlite3.connect(directory / "stage.db") as database:
        return database.execute(statement).fetchall()
