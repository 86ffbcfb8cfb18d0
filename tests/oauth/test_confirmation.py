"""An account is somebody's only when the person in the chat is shown to be the one in the browser."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from consent_page import code_on
from stage import TENANT, FakeProvider, Stage, Vault, stage, stage_timings

from gateway import Identity
from oauth import Keyring, OAuthTimings, Token

UNUSED = "0000 0000"  # no code: the tests would meet it once in a hundred million times


@pytest.fixture
def scene(tmp_path: Path, vault: Vault) -> Stage:
    return stage(tmp_path, [vault])


async def link_for(scene: Stage, person: str, where: str | None = None) -> str:
    before = len(scene.sent)
    await scene.write(person, "call open_vault", where)
    return (await scene.wait_for(before + 1))[before].link


async def sign_in(scene: Stage, link: str, account: str) -> httpx.Response:
    state = link.partition("state=")[2].partition("&")[0]
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with httpx.AsyncClient(transport=transport, base_url="https://bot.test") as browser:
        return await browser.get("/oauth/fake/callback", params={"state": state, "code": f"of-{account}"})


def tokens(scene: Stage) -> list[tuple[str, ...]]:
    return scene.rows("SELECT user_id, account FROM oauth_tokens")


async def test_a_forwarded_link_connects_nothing_until_its_person_has_sent_the_code(scene: Stage) -> None:
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "bob")
        assert page.status_code == 200
        assert all(word in page.text for word in ("bob", "Alice (stage alice)", "read things"))
        assert "script" not in page.text
        assert tokens(scene) == []
        await scene.write("alice", "call open_vault")
        assert (await scene.wait_for(2))[1].link
        assert await scene.ask("alice", code_on(page.text)) == "Your Fake account bob is connected."
        assert [sent.text for sent in (await scene.wait_for(5))[3:]] == ["SECRET-bob"] * 2
        assert tokens(scene) == [("alice", "bob")]


@pytest.mark.parametrize("where", ["dm-bob", "thread"])
async def test_a_code_is_good_for_its_person_alone(scene: Stage, where: str) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        assert await scene.ask("bob", code, where) == f"heard: {code}"
        assert tokens(scene) == []
        assert "is connected" in await scene.ask("alice", code.replace(" ", ""))


async def test_a_code_that_others_can_read_is_not_taken(scene: Stage) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice", "thread"), "mallory")).text)
        assert "direct message" in await scene.ask("alice", code, "thread")
        assert tokens(scene) == []
        assert "mallory is connected" in await scene.ask("alice", code)


async def test_five_wrong_codes_end_it_and_the_token_is_revoked(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        for left in (4, 3, 2, 1):
            assert await scene.ask("alice", UNUSED) == f"That is not the code. Tries left: {left}."
        assert "nothing was connected" in await scene.ask("alice", UNUSED)
        assert await scene.ask("alice", code) == f"heard: {code}"
        await scene.wait_until_rows("SELECT count(*) FROM oauth_revocations", 0)
    assert vault.auth.revocations == ["SECRET-mallory"]
    assert scene.rows("SELECT count(*) FROM oauth_pending") == [(0,)]
    assert tokens(scene) == []


async def test_a_code_that_comes_twice_changes_nothing(scene: Stage) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        said = await scene.ask("alice", code)
        await scene.wait_for(3)
        assert await scene.ask("alice", code) == said
    assert tokens(scene) == [("alice", "mallory")]


async def test_what_is_not_confirmed_in_time_is_revoked(tmp_path: Path, vault: Vault) -> None:
    scene = stage(tmp_path, [vault], timings=stage_timings(oauth=OAuthTimings(code=0.2)))
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-mallory"])
        assert await scene.ask("alice", code) == f"heard: {code}"
    assert tokens(scene) == []


async def test_a_second_sign_in_takes_the_place_of_one_that_waits_for_its_code(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        first = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        second = code_on((await sign_in(scene, await link_for(scene, "alice"), "trudy")).text)
        assert "not the code" in await scene.ask("alice", first)
        assert "trudy" in await scene.ask("alice", second)
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-mallory"])


async def test_an_operator_can_ask_for_the_code_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGN_IN_CODE", "always")
    scene = stage(tmp_path, [Vault()])
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "alice")
        assert tokens(scene) == []
        assert "alice" in await scene.ask("alice", code_on(page.text))


@pytest.mark.parametrize("email", [None, "other@fake.test", ""])
async def test_a_code_is_asked_for_unless_the_platform_vouches_for_the_very_address(
    scene: Stage, email: str | None
) -> None:
    scene.channel.presenter.emails["alice"] = email
    async with scene.open():
        assert code_on((await sign_in(scene, await link_for(scene, "alice"), "alice")).text)
        assert tokens(scene) == []


async def test_an_address_that_the_provider_is_no_authority_for_proves_nothing(scene: Stage, vault: Vault) -> None:
    vault.auth.vouches = False
    async with scene.open():
        assert code_on((await sign_in(scene, await link_for(scene, "alice"), "alice")).text)


async def test_another_account_takes_the_place_of_the_first_which_is_revoked(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        await scene.connect(await link_for(scene, "alice"), "alice")
        await scene.wait_for(2)
        alice = Identity("stage", TENANT, "alice")
        again = await scene.gateway.sign_in_link(alice, "Alice", "fake")
        page = await sign_in(scene, again, "alice2")
        await scene.ask("alice", code_on(page.text))
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])
    assert tokens(scene) == [("alice", "alice2")]


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


async def test_a_provider_that_is_away_is_told_later(tmp_path: Path, vault: Vault) -> None:
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


async def test_a_sign_in_whose_key_is_gone_is_dropped_and_holds_nothing_up(tmp_path: Path, vault: Vault) -> None:
    first = stage(tmp_path, [vault], timings=stage_timings(oauth=OAuthTimings(code=1)))
    async with first.open():
        code = code_on((await sign_in(first, await link_for(first, "alice"), "mallory")).text)
    second = stage(tmp_path, [vault], written=10)  # with another key
    async with second.open():
        assert "not the code" in await second.ask("alice", code)
        await second.wait_until_rows("SELECT count(*) FROM oauth_pending", 0)
        assert await second.ask("alice", code) == f"heard: {code}"
    assert tokens(second) == []


async def test_tokens_of_an_older_version_do_not_stand_against_a_revocation(tmp_path: Path, vault: Vault) -> None:
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


async def test_who_is_vouched_for_has_what_waited_for_a_code_revoked(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        await sign_in(scene, await link_for(scene, "alice"), "alice")
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-mallory"])
        await scene.wait_for(4)  # two links, and the two messages that waited
        assert await scene.ask("alice", code) == f"heard: {code}"
    assert tokens(scene) == [("alice", "alice")]


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


@pytest.mark.parametrize(
    ("vouched", "account"),
    [
        ("\u212aim@fake.test", "kim"),  # the Kelvin sign
        ("kim@fake.test", "\u212aim"),
        ("stra\u00dfe@fake.test", "strasse"),
        ("\u0130@fake.test", "i\u0307"),
        ("k\u0131m@fake.test", "kim"),
        ("kim@fake.test.", "kim"),
        ("", "kim"),
    ],
)
async def test_an_address_that_only_looks_the_same_needs_a_code(scene: Stage, vouched: str, account: str) -> None:
    scene.channel.presenter.emails["alice"] = vouched
    async with scene.open():
        assert code_on((await sign_in(scene, await link_for(scene, "alice"), account)).text)
        assert tokens(scene) == []


async def test_no_address_is_nobodys(scene: Stage, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = vault.auth.exchange

    async def without_address(**given: str) -> Token:
        return replace(await exchange(**given), email="")  # type: ignore[arg-type]

    monkeypatch.setattr(vault.auth, "exchange", without_address)
    scene.channel.presenter.emails["alice"] = ""
    async with scene.open():
        assert code_on((await sign_in(scene, await link_for(scene, "alice"), "alice")).text)
        assert tokens(scene) == []


async def test_the_case_of_an_address_does_not_matter(scene: Stage) -> None:
    scene.channel.presenter.emails["alice"] = "Alice@FAKE.test"
    async with scene.open():
        await sign_in(scene, await link_for(scene, "alice"), "alice")
        assert tokens(scene) == [("alice", "alice")]
