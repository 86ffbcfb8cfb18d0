"""An account is connected only when the person in the browser is known to be the person in the chat."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.consent.pages import code_on, way_back_on
from support.consent.sign_ins import link_for, sign_in, tokens
from support.stage import CANCEL, TENANT, Orders, Stage, Vault, stage

from gateway import Identity
from oauth import Token

UNUSED = "0000 0000"  # not the code, except once in a hundred million runs


async def test_a_forwarded_link_connects_nothing_until_its_person_has_sent_the_code(scene: Stage) -> None:
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "bob")
        assert page.status_code == 200
        assert all(word in page.text for word in ("bob", "Alice (stage alice)", "read things"))
        assert tokens(scene) == []
        await scene.write("alice", "call open_vault")
        assert (await scene.wait_for(2))[1].link
        assert await scene.ask("alice", code_on(page.text)) == "Your Fake account bob is connected."
        assert [sent.text for sent in (await scene.wait_for(5))[3:]] == ["SECRET-bob"] * 2
        assert tokens(scene) == [("alice", "bob")]


@pytest.mark.parametrize("where", ["dm-bob", "thread"])
async def test_a_code_is_valid_only_for_its_person(scene: Stage, where: str) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        assert await scene.ask("bob", code, where) == f"heard: {code}"
        assert tokens(scene) == []
        assert "is connected" in await scene.ask("alice", code.replace(" ", ""))


NO_SIGN_IN = "You have no open sign-in for that code."


async def press(scene: Stage, person: str, page: str, where: str | None = None) -> str:
    """Press the button of a page as a person does, who is in their own chat then, and return the bot's answer."""
    code = parse_qs(urlsplit(way_back_on(page)).query)["start"][0]
    return await scene.ask(person, f"/start {code}", where, command="start", argument=code)


async def test_the_button_of_the_page_confirms_the_person_who_was_asked(scene: Stage) -> None:
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "mallory")
        assert tokens(scene) == []
        assert await press(scene, "alice", page.text) == "Your Fake account mallory is connected."
        assert (await scene.wait_for(3))[2].text == "SECRET-mallory"
        assert tokens(scene) == [("alice", "mallory")]


async def test_a_person_who_opens_a_forwarded_link_and_presses_the_button_connects_nobody(scene: Stage) -> None:
    """Have a victim sign in with an attacker's link, and press the button, which opens the victim's own chat."""
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "mallory"), "victim")
        assert (await press(scene, "victim", page.text)).startswith(NO_SIGN_IN)
        assert (await scene.ask("victim", f"Confirm {code_on(page.text)}")).startswith(NO_SIGN_IN)
        assert (await scene.ask("mallory", "Confirm")) == "heard: Confirm"
        assert tokens(scene) == []


async def test_an_attacker_whose_own_page_is_forwarded_connects_their_account_to_nobody_else(scene: Stage) -> None:
    scene.channel.presenter.emails = {"mallory": None, "victim": None}
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "mallory"), "mallory")
        assert (await press(scene, "victim", page.text)).startswith(NO_SIGN_IN)
        hers = await sign_in(scene, await link_for(scene, "victim"), "victim")
        assert await press(scene, "victim", page.text) == "That is not the code. Tries left: 4."
        assert await press(scene, "victim", hers.text) == "Your Fake account victim is connected."
        assert tokens(scene) == [("victim", "victim")]


async def test_a_button_counts_as_a_try_and_is_valid_once(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "mallory")
        for left in (4, 3, 2, 1):
            given = {"command": "start", "argument": "00000000"}
            assert await scene.ask("alice", "/start", **given) == f"That is not the code. Tries left: {left}."
        assert "nothing was connected" in await scene.ask("alice", "Confirm 0000 0000")
        assert (await press(scene, "alice", page.text)).startswith(NO_SIGN_IN)
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-mallory"])
        assert tokens(scene) == []


@pytest.mark.parametrize("text", ["/start {}", "Confirm {}"])
async def test_a_confirmation_leaves_an_open_question_open(tmp_path: Path, vault: Vault, text: str) -> None:
    orders = Orders()
    scene = stage(tmp_path, [vault, orders])
    async with scene.open():
        assert "May I do this?" in await scene.ask("alice", CANCEL)
        link = await scene.gateway.sign_in_link(Identity("stage", TENANT, "alice"), "Alice", "fake")
        code = code_on((await sign_in(scene, link, "other")).text).replace(" ", "")
        command = {"command": "start", "argument": code} if text.startswith("/") else {}
        assert "is connected" in await scene.ask("alice", text.format(code), **command)
        assert "May I do this?" in await scene.ask("alice", "yes")  # the question is no longer the last message
        assert await scene.ask("alice", "yes") == "cancelled 4711"
    assert orders.cancelled == ["4711"]


async def test_a_button_that_is_pressed_where_others_read_confirms_nothing(scene: Stage) -> None:
    async with scene.open():
        page = await sign_in(scene, await link_for(scene, "alice"), "mallory")
        assert "direct message" in await press(scene, "alice", page.text, "thread")
        assert tokens(scene) == []


async def test_a_code_that_others_can_read_is_not_accepted(scene: Stage) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice", "thread"), "mallory")).text)
        assert "direct message" in await scene.ask("alice", code, "thread")
        assert tokens(scene) == []
        assert "mallory is connected" in await scene.ask("alice", code)


async def test_five_wrong_codes_end_the_sign_in_and_the_token_is_revoked(scene: Stage, vault: Vault) -> None:
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


async def test_a_second_sign_in_replaces_one_that_waits_for_its_code(scene: Stage, vault: Vault) -> None:
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
async def test_a_code_is_asked_for_unless_the_platform_vouches_for_exactly_this_address(
    scene: Stage, email: str | None
) -> None:
    scene.channel.presenter.emails["alice"] = email
    async with scene.open():
        assert code_on((await sign_in(scene, await link_for(scene, "alice"), "alice")).text)
        assert tokens(scene) == []


async def test_an_address_for_which_the_provider_is_no_authority_proves_nothing(scene: Stage, vault: Vault) -> None:
    vault.auth.vouches = False
    async with scene.open():
        assert code_on((await sign_in(scene, await link_for(scene, "alice"), "alice")).text)


async def test_another_account_replaces_the_first_which_is_revoked(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        await scene.connect(await link_for(scene, "alice"), "alice")
        await scene.wait_for(2)
        alice = Identity("stage", TENANT, "alice")
        again = await scene.gateway.sign_in_link(alice, "Alice", "fake")
        page = await sign_in(scene, again, "alice2")
        await scene.ask("alice", code_on(page.text))
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-alice"])
    assert tokens(scene) == [("alice", "alice2")]


async def test_a_sign_in_whose_key_is_gone_is_dropped_and_blocks_nothing(tmp_path: Path, vault: Vault) -> None:
    first = stage(tmp_path, [vault])
    async with first.open():
        code = code_on((await sign_in(first, await link_for(first, "alice"), "mallory")).text)
    second = stage(tmp_path, [vault], written=10)  # it has another key
    async with second.open():
        assert "not the code" in await second.ask("alice", code)
        await second.change("UPDATE oauth_pending SET expires_at = '2020-01-01 00:00:00.000000'")
        await second.wait_until_rows("SELECT count(*) FROM oauth_pending", 0)
        assert await second.ask("alice", code) == f"heard: {code}"
    assert tokens(second) == []


async def test_a_sign_in_without_a_code_revokes_one_that_waited_for_its_code(scene: Stage, vault: Vault) -> None:
    async with scene.open():
        code = code_on((await sign_in(scene, await link_for(scene, "alice"), "mallory")).text)
        await sign_in(scene, await link_for(scene, "alice"), "alice")
        await scene.wait_until(lambda: vault.auth.revocations == ["SECRET-mallory"])
        await scene.wait_for(4)  # two links, and the two messages that waited
        assert await scene.ask("alice", code) == f"heard: {code}"
    assert tokens(scene) == [("alice", "alice")]


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


async def test_two_missing_addresses_do_not_match(scene: Stage, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
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
