"""`understudy dev` in a real browser: what one person saves, another cannot see."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from e2e.served import COMMAND
from peers.process import free_ports
from peers.wait import wait_until
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
SECRET = "the cellar key is under the third pot"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    port = free_ports(1)[0]
    child = subprocess.Popen(
        [COMMAND, "dev", "--port", str(port)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, 30, "understudy dev answers")
        yield address
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there (Debian's package chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def open_window(page: Page, name: str) -> Page:
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=name).click()
    window = opened.value
    expect(window.get_by_role("status")).to_have_text("connected")
    return window


def write(window: Page, text: str) -> None:
    window.get_by_label("Your message").fill(text)
    window.get_by_role("button", name="Send").click()


def test_what_one_person_saves_another_cannot_see(address: str, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        errors: list[str] = []
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page.goto(address)
        alice, bob = open_window(page, "Alice"), open_window(page, "Bob")
        # Streaming: the answer grows in a bubble of its own before it stands in the transcript.
        alice.evaluate(
            """() => {
                window.lengths = [];
                new MutationObserver(() => {
                    const writing = document.querySelector(".writing");
                    if (writing) window.lengths.push(writing.textContent.length);
                }).observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
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


def test_a_window_goes_on_after_the_server_was_started_anew(address: str, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(address)
        alice = open_window(page, "Alice")
        alice.context.clear_cookies()  # as a cookie that the server no longer knows
        write(alice, "who am I?")
        expect(alice.get_by_text("That was not sent")).to_be_visible()
        alice.reload()
        write(alice, "who am I?")
        expect(alice.locator(".agent-said", has_text="who_am_i")).to_contain_text("alice")
