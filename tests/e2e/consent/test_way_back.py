"""The page that follows a consent, in a real browser: its button and its code confirm who has signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, ChannelPerson, wait_for_link, wait_for_mail
from e2e.served import assert_only_mail_of
from peers import seed
from peers.wait import wait_until
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

PHONE = {"width": 360, "height": 640}
PLATFORMS = ("https://t.me/", "https://wa.me/")


@dataclass
class Phone:
    """A browser on a phone, which opens links to the platforms in their apps.

    Attributes:
        opened: the requests that the apps got.
    """

    context: BrowserContext
    opened: list[Request] = field(default_factory=list)

    def sign_in(self, link: str, account: str) -> Page:
        """Open a sign-in link, consent with an account, and return the page that follows."""
        page = self.context.new_page()
        page.goto(link)
        page.get_by_role("button", name=account).click()
        expect(page.get_by_role("heading", name="One more step")).to_be_visible()
        return page

    def press(self, page: Page) -> tuple[str, str]:
        """Press the button that leads back, and return the address that the app opens and the text on the clipboard."""
        before = len(self.opened)
        page.get_by_role("link").click()
        for _ in range(100):
            if len(self.opened) > before:
                break
            page.wait_for_timeout(50)
        copied = page.evaluate("navigator.clipboard.readText()") if page.url.startswith("http://127.0.0.1") else ""
        return self.opened[before].url, copied

    def hand_over(self, route: Route, request: Request) -> None:
        if request.url.startswith(PLATFORMS) or "/app_redirect?" in request.url:
            self.opened.append(request)
            route.fulfill(status=200, body="the app")
        else:
            route.continue_()


@contextmanager
def phone(chromium: Browser, **options: object) -> Iterator[Phone]:
    with chromium.new_context(viewport=PHONE, **options) as context:  # type: ignore[arg-type]
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        made = Phone(context)
        context.route("**/*", made.hand_over)
        yield made


@pytest.mark.parametrize("channel", CHANNELS)
def test_one_button_brings_the_person_and_the_proof_back_to_the_chat(
    serve: Serve, channel: str, alice: ChannelPerson, chromium: Browser
) -> None:
    served = serve(CHANNEL=channel)
    alice.write("what is new in my mail?")
    with phone(chromium) as hers:
        page = hers.sign_in(wait_for_link(alice), seed.ALICE.email)
        address, code = page.url, page.locator(".code").inner_text()
        page.close()  # as a phone may do with a tab in the background
        page = hers.context.new_page()
        page.goto(address)
        expect(page.locator(".code")).to_have_text(code)
        opened, copied = hers.press(page)
        assert served.rows("SELECT * FROM oauth_tokens") == []
        assert "referer" not in hers.opened[0].all_headers()
        alice.follow(opened, copied)
        assert_only_mail_of(seed.ALICE, wait_for_mail(alice))
        page.goto(address)
        expect(page.get_by_role("heading", name="Google is connected")).to_be_visible()
    assert served.stop() == 0
    assert code.replace(" ", "") not in served.output()


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_button_of_a_forwarded_link_connects_the_account_to_nobody(
    serve: Serve, channel: str, alice: ChannelPerson, bob: ChannelPerson, chromium: Browser
) -> None:
    """Have Alice forward her link to Bob, who signs in and presses the button. The message then comes from Bob."""
    served = serve(CHANNEL=channel)
    alice.write("what is new in my mail?")
    with phone(chromium) as his:
        page = his.sign_in(wait_for_link(alice), seed.BOB.email)
        bob.follow(*his.press(page))
    wait_until(bob.seen, what="bob is answered")
    # Where the platform's links bring no text, Bob has sent digits, which start a turn of his own.
    assert "You have no open sign-in" in bob.seen()[0] or "/sign-in/" in bob.seen()[0]
    alice.write("and now?")
    wait_until(lambda: sum("/sign-in/" in text for text in alice.seen()) == 2, what="alice is not connected")
    assert not any(seed.BOB.email in text for text in alice.seen())
    assert served.rows("SELECT * FROM oauth_tokens") == []


@pytest.mark.parametrize("channel", ["telegram"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_used_by_keyboard_and_read_in_light_and_dark(
    serve: Serve, channel: str, alice: ChannelPerson, chromium: Browser, scheme: str
) -> None:
    serve(CHANNEL=channel)
    alice.write("what is new in my mail?")
    with phone(chromium, color_scheme=scheme) as hers:
        page = hers.sign_in(wait_for_link(alice), seed.ALICE.email)
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.reload()
        expect(page.get_by_role("main")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Confirm in Telegram")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Copy the code")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("The code is copied.")
        assert page.evaluate("navigator.clipboard.readText()") == page.locator(".code").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        shown = page.evaluate("getComputedStyle(document.body).color")
        assert shown == ("rgb(255, 255, 255)" if scheme == "dark" else "rgb(0, 0, 0)")
        assert errors == []  # the content security policy blocks nothing that the page needs


@pytest.mark.parametrize("channel", ["telegram"])
def test_without_scripts_the_code_and_the_button_are_there(
    serve: Serve, channel: str, alice: ChannelPerson, chromium: Browser
) -> None:
    serve(CHANNEL=channel)
    alice.write("what is new in my mail?")
    with phone(chromium, java_script_enabled=False) as hers:
        page = hers.sign_in(wait_for_link(alice), seed.ALICE.email)
        expect(page.get_by_role("link", name="Confirm in Telegram")).to_be_visible()
        expect(page.get_by_role("button", name="Copy the code")).to_be_hidden()
        alice.write(page.locator(".code").inner_text())
        assert_only_mail_of(seed.ALICE, wait_for_mail(alice))
