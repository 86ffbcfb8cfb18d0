"""Any OAuth 2.0 provider, and GitHub, against servers that others wrote."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from consent_page import authorization_code
from peers import seed
from peers.emulate import Emulate
from stage import stage

from gateway import TurnContext
from oauth import AuthorizationFailedError, GrantRevokedError, SettingError
from oauth.github import GitHub
from oauth.oauth2 import OAuth2Provider
from toolkits import Toolkit, tool

CALLBACK = "https://bot.test/oauth/acme/callback"
VERIFIER = "v" * 64


@pytest.fixture
def acme(emulate: Emulate) -> OAuth2Provider:
    """A provider that keeps to the standard: Google is one."""
    emulate.connect([CALLBACK, "https://bot.test/oauth/github/callback"])
    return OAuth2Provider(
        "acme",
        "Acme",
        authorization_endpoint=emulate.google_auth_uri,
        token_endpoint=emulate.google_token_uri,
        account_endpoint=emulate.google_userinfo_uri,
        account_field="email",
        revocation_endpoint=emulate.google_revoke_uri,
        client_id=emulate.client_id,
        client_secret=emulate.client_secret,
        client_authentication="client_secret_post",
        permissions={"mail": "read your mail"},
    )


@pytest.fixture
def github(emulate: Emulate) -> GitHub:
    emulate.connect(["https://bot.test/oauth/github/callback"])
    return GitHub(seed.GITHUB_CLIENT_ID, seed.GITHUB_CLIENT_SECRET, emulate.github_url, emulate.github_url)


def link(provider: OAuth2Provider, *scopes: str) -> str:
    callback = CALLBACK.replace("acme", provider.name)
    return provider.authorization_url(state="state", verifier=VERIFIER, redirect_uri=callback, scopes=frozenset(scopes))


async def code(provider: OAuth2Provider, emulate: Emulate, *scopes: str, granted: str | None = None) -> str:
    return await asyncio.to_thread(authorization_code, emulate, link(provider, *scopes), seed.ALICE.email, granted)


async def test_a_code_becomes_a_token_that_is_refreshed_and_revoked(acme: OAuth2Provider, emulate: Emulate) -> None:
    token = await acme.exchange(
        code=await code(acme, emulate, "mail", "files", granted="mail"), verifier=VERIFIER, redirect_uri=CALLBACK
    )
    assert (token.account, token.scopes, token.email) == (seed.ALICE.email, {"mail"}, None)
    assert token.expires_at is not None
    refreshed = await acme.refresh(token)
    assert refreshed.access_token != token.access_token
    assert (refreshed.refresh_token, refreshed.scopes) == (token.refresh_token, token.scopes)
    given = acme.credentials(refreshed)
    assert given.headers == {"Authorization": f"Bearer {refreshed.access_token}"}
    assert refreshed.access_token not in repr(given)
    await acme.revoke(refreshed)
    with pytest.raises(GrantRevokedError):
        await acme.refresh(refreshed)
    assert acme.permission("mail") == "read your mail"


async def test_the_challenge_is_checked(
    acme: OAuth2Provider, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    asked = parse_qs(urlsplit(link(acme, "mail")).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert VERIFIER not in link(acme, "mail")
    taken = await code(acme, emulate, "mail")
    with pytest.raises(AuthorizationFailedError, match="Acme did not confirm"):
        await acme.exchange(code=taken, verifier="w" * 64, redirect_uri=CALLBACK)
    assert taken not in caplog.text
    assert "invalid_grant" in caplog.text


async def test_a_provider_that_is_away_does_not_end_a_grant(acme: OAuth2Provider, emulate: Emulate) -> None:
    token = await acme.exchange(code=await code(acme, emulate, "mail"), verifier=VERIFIER, redirect_uri=CALLBACK)
    emulate.google.fail("/oauth2/token", 503)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever its library raises
        await acme.refresh(token)
    assert not isinstance(raised.value, GrantRevokedError)
    assert (await acme.refresh(token)).account == token.account


def test_a_client_without_a_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_CLIENT_ID", "id")
    monkeypatch.delenv("GITHUB_CLIENT_SECRET", raising=False)
    with pytest.raises(SettingError, match="GITHUB_CLIENT_SECRET is not set"):
        GitHub()


async def test_githubs_tokens_do_not_expire_and_its_scopes_include_others(github: GitHub, emulate: Emulate) -> None:
    token = await github.exchange(
        code=await code(github, emulate, "user", "gist"),
        verifier=VERIFIER,
        redirect_uri="https://bot.test/oauth/github/callback",
    )
    assert (token.account, token.expires_at, token.refresh_token) == ("alice", None, None)
    assert {"user", "user:email", "read:user", "gist"} <= token.scopes
    with pytest.raises(GrantRevokedError):
        await github.refresh(token)
    assert github.granted_scopes({"scope": "repo,gist"}) >= {"repo", "public_repo", "gist"}


async def test_a_grant_is_deleted_at_github(github: GitHub, emulate: Emulate) -> None:
    token = await github.exchange(
        code=await code(github, emulate, "gist"),
        verifier=VERIFIER,
        redirect_uri="https://bot.test/oauth/github/callback",
    )
    grant = f"/applications/{seed.GITHUB_CLIENT_ID}/grant"
    for status, is_over in ((200, True), (404, True), (422, True), (500, False)):
        emulate.github.fail(grant, status, method="DELETE")
        if is_over:
            await github.revoke(token)
        else:
            with pytest.raises(Exception, match="500"):
                await github.revoke(token)
    calls = emulate.github.calls(grant)
    assert {call.method for call in calls} == {"DELETE"}
    assert calls[0].authorization is not None
    assert calls[0].authorization.startswith("Basic ")
    assert token.access_token in calls[0].body


class Profile(Toolkit):
    """An operator's own: it calls GitHub as who asks."""

    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read:user"})

    def __init__(self, auth: GitHub) -> None:
        self.auth = auth

    @tool(read_only=True)
    async def who_am_i(self, context: TurnContext) -> str:
        """Tells the user's name at GitHub."""
        import httpx

        token = await context.credentials("github", {"read:user"})
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.auth.api_url}/user", headers=token.headers)
        return f"{answer.json()['login']} of {token.account}"


async def test_an_operators_own_toolkit_acts_at_github_as_who_asks(
    tmp_path: Path, github: GitHub, emulate: Emulate
) -> None:
    scene = stage(tmp_path, [Profile(github)])
    async with scene.open():
        for number, person in enumerate((seed.ALICE, seed.BOB)):
            await scene.write(person.name, "call who_am_i")
            sign_in = (await scene.wait_for(3 * number + 1))[3 * number]
            assert sign_in.sign_in is not None
            assert sign_in.sign_in.label == "GitHub"
            state = parse_qs(urlsplit(sign_in.link).query)["state"][0]
            taken = await asyncio.to_thread(authorization_code, emulate, sign_in.link, person.email)
            coordinator = scene.gateway.parts.oauth
            assert coordinator is not None
            consent = await coordinator.complete("github", state, taken)
            assert consent.code is not None  # GitHub is no authority for anybody's address
            assert consent.permissions == ["read your profile"]
            await scene.write(person.name, consent.code)
            texts = [sent.text for sent in await scene.wait_for(3 * number + 3)][-2:]
            assert f"Your GitHub account {person.name} is connected." in texts
            assert f"{person.name} of {person.name}" in texts


@pytest.mark.parametrize("name", ["my-idp", "my idp", "Acme", ""])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="small letters and digits"):
        OAuth2Provider(
            name, "Acme", authorization_endpoint="", token_endpoint="", account_endpoint="", account_field=""
        )
