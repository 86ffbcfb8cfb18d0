"""Any OAuth 2.0 provider, against a third-party stand-in."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.consent.pages import authorization_code

from oauth import AuthorizationFailedError, GrantRevokedError, SettingError
from oauth.oauth2 import OAuth2Provider

CALLBACK = "https://bot.test/oauth/acme/callback"


VERIFIER = "v" * 64


@pytest.fixture
def acme(emulate: Emulate) -> OAuth2Provider:
    """A provider that follows the standard, as Google does."""
    emulate.connect([CALLBACK])
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


def link(provider: OAuth2Provider, *scopes: str) -> str:
    return provider.authorization_url(state="state", verifier=VERIFIER, redirect_uri=CALLBACK, scopes=frozenset(scopes))


async def code(provider: OAuth2Provider, emulate: Emulate, *scopes: str, granted: str | None = None) -> str:
    return await asyncio.to_thread(authorization_code, emulate, link(provider, *scopes), seed.ALICE.email, granted)


async def test_a_code_is_exchanged_for_a_token_that_is_refreshed_and_revoked(
    acme: OAuth2Provider, emulate: Emulate
) -> None:
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


async def test_an_unavailable_provider_does_not_end_a_grant(acme: OAuth2Provider, emulate: Emulate) -> None:
    token = await acme.exchange(code=await code(acme, emulate, "mail"), verifier=VERIFIER, redirect_uri=CALLBACK)
    emulate.google.fail("/oauth2/token", 503)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any exception of the library
        await acme.refresh(token)
    assert not isinstance(raised.value, GrantRevokedError)
    assert (await acme.refresh(token)).account == token.account


@pytest.mark.parametrize("name", ["my-idp", "my idp", "Acme", ""])
def test_a_name_that_cannot_be_part_of_a_url_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="lower-case letters and digits"):
        OAuth2Provider(
            name, "Acme", authorization_endpoint="", token_endpoint="", account_endpoint="", account_field=""
        )
