"""A token is refreshed once, however many turns and processes ask for it at the same time."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.postgres import PostgresServer
from sqlalchemy import text
from support.consent.pages import authorization_code
from support.consent.sign_ins import link_for
from support.stage import FakeProvider, Vault, stage

from gateway.storage.connect import connect
from gateway.storage.database import Database
from oauth import (
    ConsentHooks,
    ConsentRequiredError,
    Identity,
    Keyring,
    OAuthCoordinator,
    OAuthTimings,
    Token,
)
from oauth.google import GoogleAuth
from oauth.store.tokens import TokenStore
from oauth.timings import DEFAULT_OAUTH_TIMINGS

ASK = Path(__file__).with_name("ask_for_credentials.py")


ALICE = Identity("stage", "T1", "alice")


KEY = Keyring.generate()


AT_ONCE = 50  # in each process


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = connect(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def store(database: Database, provider: str, token: Token) -> None:
    async with database.write() as connection:
        await TokenStore(database, Keyring.parse(KEY)).save(connection, ALICE, provider, token)


def coordinator(
    database: Database, provider: FakeProvider, timings: OAuthTimings = DEFAULT_OAUTH_TIMINGS
) -> OAuthCoordinator:
    async def nothing(*_: object) -> None:
        raise AssertionError("nothing is granted here")

    hooks = ConsentHooks(nothing)  # type: ignore[arg-type]
    made = OAuthCoordinator(database, Keyring.parse(KEY), "https://bot.test", hooks, timings)
    made.register(provider, {"read"})
    return made


def stale(account: str = "alice") -> Token:
    return Token(f"OLD-{account}", f"REFRESH-{account}", datetime.now(UTC), frozenset({"read"}), account)


async def test_two_processes_with_a_hundred_turns_refresh_a_token_once(
    postgres: PostgresServer, emulate: Emulate
) -> None:
    url = postgres.make()
    emulate.connect(["https://bot.test/callback"])
    google = GoogleAuth(emulate.client_id, emulate.client_secret, emulate.google_url)
    link = google.authorization_url(
        state="s", verifier="v" * 64, redirect_uri="https://bot.test/callback", scopes=frozenset()
    )
    code = await asyncio.to_thread(authorization_code, emulate, link, seed.ALICE.email)
    token = await google.exchange(code=code, verifier="v" * 64, redirect_uri="https://bot.test/callback")
    async with opened(url) as database:
        await store(database, "google", replace(token, expires_at=datetime.now(UTC)))
    asked = len(emulate.google.calls("/oauth2/token"))
    command = [sys.executable, str(ASK), url, KEY, emulate.google_url, str(AT_ONCE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for child in children:
        assert await asyncio.to_thread(child.stdout.readline) == "ready\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    given = [(await asyncio.to_thread(child.communicate, timeout=60))[0].split() for child in children]
    assert [len(tokens) for tokens in given] == [1, 1]
    assert given[0] == given[1] != [token.access_token]
    assert len(emulate.google.calls("/oauth2/token")) == asked + 1


class SlowProvider(FakeProvider):
    """A provider whose refresh ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def refresh(self, token: Token) -> Token:
        self.begun.set()
        await self.go_on.wait()
        return await super().refresh(token)


async def test_a_process_that_died_during_a_refresh_blocks_nobody(database_url: str) -> None:
    timings = OAuthTimings(refresh_lease=0.3)
    async with opened(database_url) as database:
        await store(database, "fake", stale())
        dead, provider = SlowProvider(), FakeProvider()
        dying = asyncio.create_task(coordinator(database, dead, timings).credentials(ALICE, "fake", {"read"}))
        await dead.begun.wait()
        dying.cancel()
        granted = await coordinator(database, provider, timings).credentials(ALICE, "fake", {"read"})
        assert (granted.credentials, provider.refreshed) == ("OLD-alice+", 1)


async def test_a_refresh_that_fails_can_be_tried_again_at_once(database_url: str) -> None:
    class Away(FakeProvider):
        async def refresh(self, token: Token) -> Token:
            raise ConnectionError("it is away")

    async with opened(database_url) as database:
        await store(database, "fake", stale())
        with pytest.raises(ConnectionError):
            await coordinator(database, Away()).credentials(ALICE, "fake", {"read"})
        async with asyncio.timeout(5):
            again = await coordinator(database, FakeProvider()).credentials(ALICE, "fake", {"read"})
        assert again.credentials == "OLD-alice+"


async def test_an_account_that_is_disconnected_while_it_is_refreshed_stays_so(database_url: str) -> None:
    async with opened(database_url) as database:
        await store(database, "fake", stale())
        provider = SlowProvider()
        oauth = coordinator(database, provider)
        asking = asyncio.create_task(oauth.credentials(ALICE, "fake", {"read"}))
        await provider.begun.wait()
        assert await oauth.disconnect(ALICE, "fake") == "alice"
        provider.go_on.set()
        with pytest.raises(ConsentRequiredError):
            await asking
        async with database.read() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM oauth_tokens"))).scalar_one() == 0


async def test_a_token_that_does_not_expire_is_not_refreshed(database_url: str) -> None:
    async with opened(database_url) as database:
        await store(database, "fake", replace(stale(), expires_at=None))
        provider = FakeProvider()
        granted = await coordinator(database, provider).credentials(ALICE, "fake", {"read"})
        assert (granted.credentials, provider.refreshed) == ("OLD-alice", 0)


@pytest.mark.long
async def test_ten_tools_that_ask_at_once_refresh_a_token_once(tmp_path: Path, vault: Vault) -> None:
    class Slow(FakeProvider):  # all ten tools have asked before the first refresh ends
        async def refresh(self, token: Token) -> Token:
            await asyncio.sleep(0.5)
            return await super().refresh(token)

    vault.auth = Slow(lifetime=timedelta(minutes=1))
    scene = stage(tmp_path, [vault])
    async with scene.open():
        oauth = scene.gateway.parts.oauth
        assert oauth is not None
        await scene.connect(await link_for(scene), "alice")
        await scene.wait_for(2)
        assert vault.auth.refreshed == 1
        await asyncio.gather(*(oauth.credentials(ALICE, "fake", {"read"}) for _ in range(10)))
        assert vault.auth.refreshed == 1
        await asyncio.gather(*(oauth.credentials(ALICE, "fake", {"read"}, renew=True) for _ in range(10)))
        assert vault.auth.refreshed == 2
