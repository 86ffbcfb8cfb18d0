"""Google as a provider, against a third-party stand-in."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from peers import seed
from peers.emulate.server import Emulate
from peers.serving import Receiver

from oauth import AuthorizationFailedError, GrantRevokedError, SettingError, Token
from oauth.google import GoogleAuth

READ = "https://www.googleapis.com/auth/gmail.readonly"
VERIFIER = secrets.token_urlsafe(64)


@pytest.fixture
def redirect_uri(emulate: Emulate, receiver: Receiver) -> str:
    uri = f"{receiver.url}/callback"
    emulate.connect([uri])
    return uri


@pytest.fixture
def google(emulate: Emulate) -> GoogleAuth:
    return GoogleAuth(emulate.client_id, emulate.client_secret, emulate.google_url)


def link(google: GoogleAuth, redirect_uri: str) -> str:
    scopes = frozenset({READ})
    return google.authorization_url(state="state", verifier=VERIFIER, redirect_uri=redirect_uri, scopes=scopes)


async def consent(google: GoogleAuth, redirect_uri: str, emulate: Emulate) -> str:
    """Return the authorization code of a consent of Alice."""
    page = await asyncio.to_thread(emulate.consent, link(google, redirect_uri), seed.ALICE.email)
    return parse_qs(urlsplit(str(page.url)).query)["code"][0]


async def token(google: GoogleAuth, redirect_uri: str, emulate: Emulate) -> Token:
    code = await consent(google, redirect_uri, emulate)
    return await google.exchange(code=code, verifier=VERIFIER, redirect_uri=redirect_uri)


def test_the_authorization_asks_for_offline_access_with_a_challenge(google: GoogleAuth, redirect_uri: str) -> None:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(link(google, redirect_uri)).query).items()}
    assert asked["access_type"] == "offline"
    assert "consent" in asked["prompt"]
    assert asked["code_challenge_method"] == "S256"
    assert asked["state"] == "state"
    assert set(asked["scope"].split()) == {READ, "openid", "https://www.googleapis.com/auth/userinfo.email"}
    assert VERIFIER not in link(google, redirect_uri)


async def test_a_code_is_exchanged_for_a_token_which_is_refreshed(
    google: GoogleAuth, redirect_uri: str, emulate: Emulate
) -> None:
    first = await token(google, redirect_uri, emulate)
    assert first.account == seed.ALICE.email
    assert READ in first.scopes
    second = await google.refresh(first)
    assert second.access_token != first.access_token
    assert second.refresh_token == first.refresh_token
    assert second.expires_at.tzinfo is not None
    assert (second.account, second.scopes) == (first.account, first.scopes)
    assert first.access_token not in repr(first)
    assert google.credentials(second).refresh_token is None


async def test_a_token_is_refreshed_although_every_thread_waits_for_it(
    google: GoogleAuth, redirect_uri: str, emulate: Emulate
) -> None:
    granted, loop = await token(google, redirect_uri, emulate), asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))

    def wait_in_a_thread() -> Token:  # as a tool does with `credentials_sync`
        return asyncio.run_coroutine_threadsafe(google.refresh(granted), loop).result(10)

    assert (await asyncio.to_thread(wait_in_a_thread)).account == seed.ALICE.email


async def test_a_revoked_grant_has_its_own_error(google: GoogleAuth, redirect_uri: str, emulate: Emulate) -> None:
    granted = await token(google, redirect_uri, emulate)
    assert granted.refresh_token is not None
    emulate.revoke(granted.refresh_token)
    with pytest.raises(GrantRevokedError):
        await google.refresh(granted)


async def test_a_code_is_valid_once_and_only_with_its_verifier(
    google: GoogleAuth, redirect_uri: str, emulate: Emulate
) -> None:
    code = await consent(google, redirect_uri, emulate)
    with pytest.raises(AuthorizationFailedError):
        await google.exchange(code=code, verifier=secrets.token_urlsafe(64), redirect_uri=redirect_uri)
    code = await consent(google, redirect_uri, emulate)
    await google.exchange(code=code, verifier=VERIFIER, redirect_uri=redirect_uri)
    with pytest.raises(AuthorizationFailedError):
        await google.exchange(code=code, verifier=VERIFIER, redirect_uri=redirect_uri)


async def test_a_google_that_fails_connects_nothing(google: GoogleAuth, redirect_uri: str, emulate: Emulate) -> None:
    code = await consent(google, redirect_uri, emulate)
    emulate.google.fail("/oauth2/token", 500, times=5)
    with pytest.raises(AuthorizationFailedError):
        await google.exchange(code=code, verifier=VERIFIER, redirect_uri=redirect_uri)


def test_plain_http_is_only_for_this_machine() -> None:
    with pytest.raises(SettingError, match="GOOGLE_BASE_URL is malformed"):
        GoogleAuth("id", "secret", "http://google.example.com")


@pytest.mark.parametrize(
    ("person", "address"),
    [
        ({"email": "a@gmail.com", "email_verified": True}, "a@gmail.com"),
        ({"email": "a@example.com", "email_verified": True, "hd": "example.com"}, "a@example.com"),
        ({"email": "a@example.com", "email_verified": True}, None),  # an account with an address of another domain
        ({"email": "a@gmail.com.example.com", "email_verified": True}, None),
        ({"email": "a@example.com", "email_verified": False, "hd": "example.com"}, None),
        ({"email": "a@gmail.com"}, None),
    ],
)
async def test_google_is_the_authority_only_for_its_own_addresses(
    google: GoogleAuth, monkeypatch: pytest.MonkeyPatch, person: dict[str, object], address: str | None
) -> None:
    answer = {"access_token": "a", "refresh_token": "r", "expires_at": 2_000_000_000, "scope": [READ]}
    monkeypatch.setattr("google_auth_oauthlib.flow.Flow.fetch_token", lambda *_, **__: answer)
    monkeypatch.setattr(GoogleAuth, "_person", lambda *_: person)
    token = await google.exchange(code="c", verifier=VERIFIER, redirect_uri="https://bot.test/callback")
    assert (token.account, token.email) == (person["email"], address)


async def test_a_grant_can_be_revoked_twice(google: GoogleAuth, redirect_uri: str, emulate: Emulate) -> None:
    granted = await token(google, redirect_uri, emulate)
    await google.revoke(granted)
    with pytest.raises(GrantRevokedError):
        await google.refresh(granted)
    await google.revoke(granted)
    emulate.google.fail("/oauth2/revoke", 400, body={"error": "invalid_token"})
    await google.revoke(granted)
    emulate.google.fail("/oauth2/revoke", 503)
    with pytest.raises(requests.HTTPError):
        await google.revoke(granted)


def test_permissions_are_described_in_words(google: GoogleAuth) -> None:
    assert google.permission(READ) == "read your mail"
    assert google.permission("https://www.googleapis.com/auth/tasks") == "https://www.googleapis.com/auth/tasks"
