"""GitHub as a provider, against a third-party stand-in."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from peers import seed
from peers.emulate.server import Emulate
from support.consent.pages import authorization_code
from support.stage import stage

from gateway import TurnContext
from oauth import GrantRevokedError, SettingError
from oauth.github import GitHub
from toolkits import Toolkit, tool

CALLBACK = "https://bot.test/oauth/github/callback"
VERIFIER = "v" * 64


@pytest.fixture
def github(emulate: Emulate) -> GitHub:
    emulate.connect([CALLBACK])
    return GitHub(seed.GITHUB_CLIENT_ID, seed.GITHUB_CLIENT_SECRET, emulate.github_url, emulate.github_url)


async def code(github: GitHub, emulate: Emulate, *scopes: str) -> str:
    link = github.authorization_url(state="state", verifier=VERIFIER, redirect_uri=CALLBACK, scopes=frozenset(scopes))
    return await asyncio.to_thread(authorization_code, emulate, link, seed.ALICE.email)


async def test_githubs_tokens_do_not_expire_and_its_scopes_include_others(github: GitHub, emulate: Emulate) -> None:
    token = await github.exchange(
        code=await code(github, emulate, "user", "gist"),
        verifier=VERIFIER,
        redirect_uri=CALLBACK,
    )
    assert (token.account, token.expires_at, token.refresh_token) == ("alice", None, None)
    assert {"user", "user:email", "read:user", "gist"} <= token.scopes
    with pytest.raises(GrantRevokedError):
        await github.refresh(token)
    assert github.granted_scopes({"scope": "repo,gist"}) >= {"repo", "public_repo", "gist"}


def test_a_client_without_a_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_CLIENT_ID", "id")
    monkeypatch.delenv("GITHUB_CLIENT_SECRET", raising=False)
    with pytest.raises(SettingError, match="GITHUB_CLIENT_SECRET is not set"):
        GitHub()


async def test_a_grant_is_deleted_at_github(github: GitHub, emulate: Emulate) -> None:
    token = await github.exchange(
        code=await code(github, emulate, "gist"),
        verifier=VERIFIER,
        redirect_uri=CALLBACK,
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
    """A toolkit of an operator, which calls GitHub as the person who asks."""

    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read:user"})

    def __init__(self, auth: GitHub) -> None:
        self.auth = auth

    @tool(read_only=True)
    async def who_am_i(self, context: TurnContext) -> str:
        """Return the user's name at GitHub."""
        import httpx

        token = await context.credentials("github", {"read:user"})
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.auth.api_url}/user", headers=token.headers)
        return f"{answer.json()['login']} of {token.account}"


async def test_an_operators_toolkit_acts_at_github_as_the_person_who_asks(
    tmp_path: Path, github: GitHub, emulate: Emulate
) -> None:
    scene = stage(tmp_path, [Profile(github)])
    async with scene.open():
        for number, person in enumerate((seed.ALICE, seed.BOB)):
            await scene.write(person.name, "call who_am_i")
            sign_in = (await scene.wait_for(3 * number + 1))[3 * number]
            assert sign_in.sign_in is not None
            assert sign_in.sign_in.label == "GitHub"
            coordinator = scene.gateway.parts.oauth
            assert coordinator is not None
            request = await coordinator.authorization_url(sign_in.link.rpartition("/")[2])
            state = parse_qs(urlsplit(request).query)["state"][0]
            taken = await asyncio.to_thread(authorization_code, emulate, request, person.email)
            consent = await coordinator.complete("github", state, taken)
            assert consent.code is not None  # GitHub is not an authority for anybody's address
            assert consent.permissions == ["read your profile"]
            await scene.write(person.name, consent.code)
            texts = [sent.text for sent in await scene.wait_for(3 * number + 3)][-2:]
            assert f"Your GitHub account {person.name} is connected." in texts
            assert f"{person.name} of {person.name}" in texts
