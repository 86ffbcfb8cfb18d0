"""The pages that a person sees after a sign-in, and the messages that follow in the chat."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from support.consent.pages import code_on, way_back_on
from support.consent.sign_ins import browser, callback, link_for, sign_in
from support.stage import Stage, Vault, stage

from oauth import Identity

DENIED = "Fake was not connected, so I cannot answer what you asked. Ask me again to get a new link."


@pytest.fixture
def scene(tmp_path: Path, database_url: str, vault: Vault) -> Stage:
    made = stage(tmp_path, [vault], database=database_url)
    made.channel.presenter.emails = {"alice": None, "bob": None}
    return made


async def test_the_code_is_shown_again_to_the_browser_that_signed_in_and_to_no_other(scene: Stage) -> None:
    async with scene.open(), browser(scene) as hers, browser(scene) as other:
        address = await callback(scene, await link_for(scene, "alice"), code="of-alice")
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
    """Ask for a page with the wrong state. A forwarded link must not show the code of the person who opened it."""
    async with scene.open(), browser(scene) as mallorys, browser(scene) as victims:
        first = await callback(scene, await link_for(scene, "alice"), code="of-mallory")
        await mallorys.get(first)
        second = await callback(scene, await link_for(scene, "alice"), code="of-victim")
        code = code_on((await victims.get(second)).text)
        assert (await mallorys.get(second)).status_code == 400
        assert code not in (await mallorys.get(first)).text
        assert (await mallorys.get("/oauth/fake/callback")).status_code == 400


async def test_a_page_that_is_loaded_again_says_whether_the_code_was_used(scene: Stage) -> None:
    async with scene.open(), browser(scene) as hers:
        replaced = await callback(scene, await link_for(scene, "alice"), code="of-other")
        await hers.get(replaced)
        address = await callback(scene, await link_for(scene, "alice"), code="of-alice")
        code = code_on((await hers.get(address)).text)
        assert (await hers.get(replaced)).status_code == 400
        assert code_on((await hers.get(address)).text) == code
        await scene.ask("alice", code)
        confirmed = await hers.get(address)
        assert (confirmed.status_code, way_back_on(confirmed.text)) == (200, "https://stage.test/alice")
        assert "Fake is connected" in confirmed.text
        assert code not in confirmed.text


async def test_a_page_whose_code_was_guessed_too_often_says_that_it_is_over(scene: Stage) -> None:
    async with scene.open(), browser(scene) as hers:
        address = await callback(scene, await link_for(scene, "alice"), code="of-alice")
        await hers.get(address)
        for _ in range(5):
            await scene.ask("alice", "0000 0000")
        assert (await hers.get(address)).status_code == 400


async def test_a_person_who_needed_no_code_sees_again_that_they_are_connected(scene: Stage) -> None:
    scene.channel.presenter.emails["alice"] = "alice@fake.test"
    async with scene.open(), browser(scene) as hers:
        address = await callback(scene, await link_for(scene, "alice"), code="of-alice")
        pages = [await hers.get(address), await hers.get(address)]
    assert [page.status_code for page in pages] == [200, 200]
    assert all("is connected" in page.text for page in pages)


@pytest.mark.parametrize("where", [None, "thread"])
async def test_only_the_person_is_told_of_a_denial_and_the_message_keeps_waiting(
    scene: Stage, where: str | None
) -> None:
    async with scene.open(), browser(scene) as hers:
        page = await hers.get(await callback(scene, await link_for(scene, "alice", where), error="access_denied"))
        assert "Nothing was connected" in page.text
        sent = (await scene.wait_for(2))[1]
        assert (sent.text, sent.alone) == (DENIED, "alice" if where else None)
        await hers.get(await callback(scene, await link_for(scene, "alice", where), code="of-alice"))
        assert scene.rows("SELECT count(*) FROM inbox WHERE status = 'parked'") == [(2,)]


async def test_a_person_who_grants_nothing_is_told_in_the_chat(scene: Stage, vault: Vault) -> None:
    vault.auth.granted = frozenset({"other"})
    async with scene.open(), browser(scene) as hers:
        assert (
            await hers.get(await callback(scene, await link_for(scene, "alice"), code="of-alice"))
        ).status_code == 400
        assert (await scene.wait_for(2))[1].text == DENIED


async def test_a_page_leads_back_to_the_chat_whatever_the_person_decided(scene: Stage) -> None:
    scene.channel.presenter.emails["bob"] = "bob@fake.test"
    async with scene.open(), browser(scene) as client:
        denied = await client.get(await callback(scene, await link_for(scene, "alice"), error="access_denied"))
        assert way_back_on(denied.text) == "https://stage.test/alice"
        await scene.wait_for(2)
        connected = await client.get(await callback(scene, await link_for(scene, "bob"), code="of-bob"))
        assert way_back_on(connected.text) == "https://stage.test/bob"
        await scene.wait_for(4)
        address = await callback(scene, await link_for(scene, "alice"), code="of-alice")
        for page in (await client.get(address), await client.get(address)):  # the second time as after a reload
            code = code_on(page.text).replace(" ", "")
            assert way_back_on(page.text) == f"https://stage.test/alice?start={code}"
            assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("failure", [ConnectionError("the platform is down"), TimeoutError()])
async def test_without_a_way_back_of_the_channel_the_page_shows_the_code(
    scene: Stage, failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(scene.channel.presenter, "return_link", fail)
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "alice")
        assert "<a " not in page.text
        assert "is connected" in await scene.ask("alice", code_on(page.text))
    assert "the sign-in page has no way back to stage" in caplog.text


async def test_a_page_runs_only_the_gateways_script_and_loads_nothing(scene: Stage) -> None:
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "<script>alert(1)</script>")
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    policy = dict(each.split(" ", 1) for each in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["script-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in page.headers["content-security-policy"]


async def test_a_forged_denial_tells_nobody_anything(scene: Stage) -> None:
    async with scene.open(), browser(scene) as hers:
        await link_for(scene, "alice")
        for state in ("", "forged"):
            page = await hers.get("/oauth/fake/callback", params={"state": state, "error": "access_denied"})
            assert page.status_code == 400
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert len(scene.sent) == 2


async def test_a_name_neither_hides_nor_reorders_what_the_page_says(scene: Stage) -> None:
    """Choose a name with control characters. The page names the person to whom an account is connected."""
    name = "bob\u202e)1B lcals(\u2066\u3164\u200b\n\n<b>"
    async with scene.open(), browser(scene) as hers:
        await scene.write("alice", "call open_vault")
        await scene.wait_for(1)
        coordinator = scene.gateway.parts.oauth
        assert coordinator is not None
        link = await coordinator.sign_in_link(Identity("stage", "T1", "alice"), "fake", name)
        page = await hers.get(await callback(scene, link, code="of-al\u202eice"))
    assert "<bdi>bob\\u202e)1B lcals(\\u2066\\u3164\\u200b &lt;b&gt; (stage alice)</bdi>" in page.text
    assert "<bdi>al\\u202eice</bdi>" in page.text
    assert not any(character in page.text for character in "\u202e\u2066\u3164\u200b")
