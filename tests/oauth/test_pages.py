"""The pages that a person reads after a sign-in, and what is told in the chat."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from consent_page import code_on
from stage import Stage, Vault, stage

from gateway.access_log import CallbackFilter
from oauth import Identity
from oauth.consent.cookies import ConsentCookies
from oauth.consent.sign_in import Consent
from oauth.store.keyring import Keyring

DENIED = "Fake was not connected, so I cannot answer what you asked. Ask me again to get a new link."


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def scene(tmp_path: Path, database_url: str, vault: Vault) -> Stage:
    made = stage(tmp_path, [vault], database=database_url)
    made.channel.presenter.emails = {"alice": None, "bob": None}
    return made


@asynccontextmanager
async def browser(scene: Stage) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with httpx.AsyncClient(transport=transport, base_url="https://bot.test") as client:
        yield client


async def link_for(scene: Stage, person: str, where: str | None = None) -> str:
    before = len(scene.sent)
    await scene.write(person, "call open_vault", where)
    return (await scene.wait_for(before + 1))[before].link


def callback(link: str, **query: str) -> str:
    state = link.partition("state=")[2].partition("&")[0]
    return str(httpx.URL("/oauth/fake/callback", params={"state": state, **query}))


async def test_the_code_is_shown_again_to_the_browser_that_signed_in_and_to_no_other(scene: Stage) -> None:
    async with scene.open(), browser(scene) as hers, browser(scene) as other:
        address = callback(await link_for(scene, "alice"), code="of-alice")
        page = await hers.get(address)
        again = await hers.get(address)
        assert (again.status_code, code_on(again.text)) == (200, code_on(page.text))
        assert scene.rows("SELECT count(*) FROM oauth_pending") == [(1,)]
        assert (await other.get(address)).status_code == 400
        cookie = page.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/oauth/fake/callback;"))
        assert code_on(page.text).replace(" ", "") not in cookie
        assert "alice" not in cookie
        assert "is connected" in await scene.ask("alice", code_on(again.text))


async def test_a_page_is_shown_again_only_for_the_state_that_it_came_from(scene: Stage) -> None:
    """Else somebody could read the code of another person to whom they handed their link."""
    async with scene.open(), browser(scene) as mallorys, browser(scene) as victims:
        first = callback(await link_for(scene, "alice"), code="of-mallory")
        await mallorys.get(first)
        second = callback(await link_for(scene, "alice"), code="of-victim")
        code = code_on((await victims.get(second)).text)
        assert (await mallorys.get(second)).status_code == 400
        assert code_on((await mallorys.get(first)).text) != code
        assert (await mallorys.get("/oauth/fake/callback")).status_code == 400


async def test_who_is_vouched_for_sees_again_that_they_are_connected(scene: Stage) -> None:
    scene.channel.presenter.emails["alice"] = "alice@fake.test"
    async with scene.open(), browser(scene) as hers:
        address = callback(await link_for(scene, "alice"), code="of-alice")
        pages = [await hers.get(address), await hers.get(address)]
    assert [page.status_code for page in pages] == [200, 200]
    assert all("is connected" in page.text for page in pages)


def test_what_a_browser_keeps_is_good_for_one_provider_as_long_as_the_code_is() -> None:
    keyring = Keyring.parse(Keyring.generate())
    cookies = ConsentCookies(keyring, lifetime=600)
    consent = Consent("Fake", "alice", "Alice", Identity("stage", "T1", "alice"), ["read"], "12345678")
    kept = cookies.seal("fake", "state", consent)
    assert cookies.open("fake", "state", kept) == consent
    others = [("google", "state", kept), ("fake", "other", kept), ("fake", "\u00e9", kept), ("fake", "", "")]
    others += [("fake", "state", broken) for broken in (kept[:-2], "A" + kept[1:], "\u00e9", "=", "A")]
    assert [cookies.open(*other) for other in others] == [None] * len(others)
    over = ConsentCookies(keyring, lifetime=0)
    assert over.open("fake", "state", over.seal("fake", "state", consent)) is None


@pytest.mark.parametrize("where", [None, "thread"])
async def test_a_denial_is_told_to_its_person_alone_and_the_message_waits_on(scene: Stage, where: str | None) -> None:
    async with scene.open(), browser(scene) as hers:
        page = await hers.get(callback(await link_for(scene, "alice", where), error="access_denied"))
        assert "Nothing was connected" in page.text
        sent = (await scene.wait_for(2))[1]
        assert (sent.text, sent.alone) == (DENIED, "alice" if where else None)
        await hers.get(callback(await link_for(scene, "alice", where), code="of-alice"))
        assert scene.rows("SELECT count(*) FROM inbox WHERE status = 'parked'") == [(2,)]


async def test_who_grants_nothing_is_told_in_the_chat(scene: Stage, vault: Vault) -> None:
    vault.auth.granted = frozenset({"other"})
    async with scene.open(), browser(scene) as hers:
        assert (await hers.get(callback(await link_for(scene, "alice"), code="of-alice"))).status_code == 400
        assert (await scene.wait_for(2))[1].text == DENIED


async def test_a_forged_denial_tells_nobody_anything(scene: Stage) -> None:
    async with scene.open(), browser(scene) as hers:
        await link_for(scene, "alice")
        for state in ("", "forged"):
            page = await hers.get("/oauth/fake/callback", params={"state": state, "error": "access_denied"})
            assert page.status_code == 400
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert len(scene.sent) == 2


async def test_a_name_neither_hides_nor_reorders_what_the_page_says(scene: Stage) -> None:
    """It is a name of somebody's choice, on a page that tells a person whom they connect their account to."""
    name = "bob\u202e)1B lcals(\u2066\u3164\u200b\n\n<b>"
    async with scene.open(), browser(scene) as hers:
        await scene.write("alice", "call open_vault")
        await scene.wait_for(1)
        coordinator = scene.gateway.parts.oauth
        assert coordinator is not None
        link = await coordinator.authorization_url(Identity("stage", "T1", "alice"), "fake", name)
        page = await hers.get(callback(link, code="of-al\u202eice"))
    assert "<bdi>bob\\u202e)1B lcals(\\u2066\\u3164\\u200b &lt;b&gt; (stage alice)</bdi>" in page.text
    assert "<bdi>al\\u202eice</bdi>" in page.text
    assert not any(character in page.text for character in "\u202e\u2066\u3164\u200b")


LINES: list[tuple[str, Any]] = [
    ('%s - "%s %s HTTP/%s" %d', ("127.0.0.1:5", "GET", "/oauth/a/callback?state=SECRET&code=4%2FSECRET", "1.1", 200)),
    ("%(h)s %(r)s %(q)s", {"h": "::1", "r": "GET /oauth/a/callback?code=SECRET HTTP/1.1", "q": "state=SECRET"}),
    ('GET /bot/oauth/a/callback?scope=x&code=SECRET&state=SECRET "https://x/?state=SECRET"', None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "args"), LINES)
def test_an_access_log_with_the_filter_has_no_code_and_no_state(message: str, args: Any) -> None:
    given = (args,) if isinstance(args, dict) else args
    record = logging.LogRecord("uvicorn.access", logging.INFO, "x", 1, message, given, None)
    assert CallbackFilter().filter(record) is True
    line = record.getMessage()
    assert "SECRET" not in line
    assert "/callback?" in line
    assert isinstance(record.args, type(args))


def test_other_lines_stay_as_they_are() -> None:
    args = ("127.0.0.1:5", "GET", "/orders?postcode=1&estate=2&barcode=3", "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "x", 1, '%s - "%s %s HTTP/%s" %d', args, None)
    CallbackFilter().filter(record)
    assert record.args == args
