"""`understudy dev` in a real browser, with a window for each of two people."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from e2e.web.dev import Dev, open_window, write
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until
from playwright.sync_api import Browser, expect
from support.consent.pages import code_on

SECRET = "the cellar key is under the third pot"


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path)
    dev.start()
    yield dev
    dev.stop()


def test_a_person_cannot_see_the_notes_of_another_person(dev: Dev, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        errors: list[str] = []
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page.goto(dev.address)
        alice, bob = open_window(page, "Alice"), open_window(page, "Bob")
        # Record the length of the answer each time that it changes while it streams.
        alice.evaluate(
            """() => {
                window.lengths = [];
                new MutationObserver(() => {
                    const writing = document.querySelector(".writing");
                    if (writing) window.lengths.push(writing.textContent.length);
                }).observe(document.body, { childList: true, subtree: true, characterData: true });
            }"""
        )
        write(alice, f"Please remember that {SECRET}")
        expect(alice.locator(".agent-said", has_text="save_note")).to_contain_text(SECRET)
        lengths = alice.evaluate("window.lengths")
        assert len(set(lengths)) > 3, f"the answer did not stream: {lengths}"

        write(bob, "What are my notes?")
        expect(bob.locator(".agent-said", has_text="list_notes")).to_contain_text("Nothing yet")
        write(alice, "What are my notes?")
        expect(alice.locator(".agent-said", has_text="list_notes")).to_contain_text(SECRET)
        assert SECRET not in bob.content()

        bob.reload()
        expect(bob.locator(".agent-said", has_text="list_notes")).to_be_visible()
        assert SECRET not in bob.content()
        alice.reload()
        expect(alice.locator(".person-said").first).to_contain_text(SECRET)
        assert errors == []


def test_a_window_reconnects_after_a_restart_of_the_server(dev: Dev, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(dev.address)
        alice = open_window(page, "Alice")
        dev.stop()
        dev.start()
        write(alice, "who am I?")
        expect(alice.locator(".agent-said", has_text="who_am_i")).to_contain_text("alice")
        expect(alice.get_by_role("status")).to_have_text("connected")


@pytest.fixture
def dev_with_google(tmp_path: Path, emulate: Emulate) -> Iterator[Dev]:
    google = {
        "GOOGLE_CLIENT_ID": emulate.client_id,
        "GOOGLE_CLIENT_SECRET": emulate.client_secret,
        "GOOGLE_BASE_URL": emulate.google_url,
    }
    dev = Dev(tmp_path, **google)
    emulate.connect([f"{dev.address}/oauth/google/callback"])
    dev.start()
    yield dev
    dev.stop()


def test_people_connect_their_mail_if_the_settings_of_google_are_there(dev_with_google: Dev, emulate: Emulate) -> None:
    with httpx.Client(base_url=f"{dev_with_google.address}/web/bob", trust_env=False) as bob:
        bob.get("/")
        bob.post("/messages", json={"id": "1", "text": "Search my mail"})
        wait_until(lambda: len(bob.get("/transcript").json()) == 2, what="bob gets a sign-in button")
        assert bob.get("/transcript").json()[1]["signIn"] == "google"
        link = bob.get("/sign-in/google").headers["location"]
        page = emulate.consent(link, seed.BOB.email)
        bob.post("/messages", json={"id": "2", "text": code_on(page.text)})
        wait_until(lambda: len(bob.get("/transcript").json()) == 5, what="bob is answered")
        answer = " ".join(entry.get("html") or "" for entry in bob.get("/transcript").json())
        assert seed.BOB.marker("MAIL", 1) in answer
        assert "ALICE" not in answer
        assert seed.CANARY not in answer


def test_the_sign_in_page_leads_back_to_the_chat_and_confirms_there(dev_with_google: Dev, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(dev_with_google.address)
        bob = open_window(page, "Bob")
        write(bob, "Search my mail")
        with context.expect_page() as opened:
            bob.get_by_role("link", name="Connect Google").click()
        sign_in = opened.value
        sign_in.get_by_role("button", name=seed.BOB.email).click()
        sign_in.get_by_role("link", name="Confirm in the chat").click()
        expect(sign_in.locator(".person-said").last).to_have_text(re.compile(r"Confirm \d{4} \d{4}"))
        expect(sign_in.locator(".agent-said").last).to_contain_text(seed.BOB.marker("MAIL", 1))
        assert sign_in.url == f"{dev_with_google.address}/web/bob/"  # a reload does not send the code again


def test_a_denial_is_told_in_the_window(dev_with_google: Dev, emulate: Emulate) -> None:
    with httpx.Client(base_url=f"{dev_with_google.address}/web/bob", trust_env=False) as bob:
        bob.get("/")
        bob.post("/messages", json={"id": "1", "text": "Search my mail"})
        wait_until(lambda: len(bob.get("/transcript").json()) == 2, what="bob gets a sign-in button")
        page = emulate.deny(bob.get("/sign-in/google").headers["location"])
        assert f'href="{dev_with_google.address}/web/bob/"' in page.text
        wait_until(lambda: len(bob.get("/transcript").json()) == 3, what="bob is told")
        assert "was not connected" in bob.get("/transcript").json()[2]["html"]


def test_a_file_is_uploaded_and_named_in_the_chat(dev: Dev, chromium: Browser, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("remember the milk")
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(dev.address)
        alice = open_window(page, "Alice")
        alice.locator("#files").set_input_files(note)
        expect(alice.locator("#chosen")).to_contain_text("note.txt")
        alice.get_by_role("button", name="Send").click()
        expect(alice.locator(".person-said")).to_have_text("document 'note.txt'")
        expect(alice.locator(".agent-said")).to_be_visible()
        expect(alice.locator("#chosen")).to_be_hidden()
