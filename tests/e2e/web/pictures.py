"""Make the pictures of the web chat in docs/, in light and dark, from a running `understudy dev`: `make pictures`."""

import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple

from e2e.browser import launch
from e2e.web.dev import Dev, open_window, write
from playwright.sync_api import Browser, Page, expect, sync_playwright

DOCS = Path(__file__).parents[3] / "docs"
SCALE = 2  # pixels of a picture for each pixel of the page
SCHEMES: dict[Literal["light", "dark"], str] = {"light": "", "dark": "-dark"}  # what the names of the files end with

# A picture has several windows beside each other.
FRAME = """\
<body style="display: inline-flex; gap: 24px; margin: 0; padding: 24px; background: {background}">{windows}</body>"""
WINDOW = (
    '<img style="border-radius: 14px; box-shadow: 0 6px 24px #0003, 0 0 0 1px #8883" width="{width}" src="{source}">'
)
BACKGROUNDS = {"light": "#e6e9f0", "dark": "#0b0d10"}


class Conversation(NamedTuple):
    """What a person writes in a window.

    Args:
        width, height: the size of the window.
    """

    person: str
    texts: list[str]
    width: int = 630
    height: int = 660


PICTURES = {
    "web-chat": [
        Conversation("Alice", ["Remember that my train leaves at 9:40", "What are my notes?"]),
        Conversation("Bob", ["What are my notes?", "Who am I?"]),
    ],
    "web-chat-empty": [
        Conversation("Carol", [], width=780),
        Conversation("Alice", ["Who am I?"], width=390),
    ],
}


def make(browser: Browser, scheme: Literal["light", "dark"]) -> None:
    """Make all pictures in a colour scheme, each with a new demonstration."""
    for name, conversations in PICTURES.items():
        with demonstration() as address, browser.new_context(color_scheme=scheme, device_scale_factor=SCALE) as context:
            page = context.new_page()
            page.goto(address)
            windows = [WINDOW.format(width=each.width, source=source(seen(page, each))) for each in conversations]
            frame = context.new_page()  # without the content security policy of the demonstration
            frame.set_content(FRAME.format(background=BACKGROUNDS[scheme], windows="".join(windows)))
            frame.locator("body").screenshot(path=DOCS / f"{name}{SCHEMES[scheme]}.png")


def seen(page: Page, conversation: Conversation) -> bytes:
    """Return what a person sees at the end of a conversation, as a PNG."""
    window = open_window(page, conversation.person)
    window.set_viewport_size({"width": conversation.width, "height": conversation.height})
    window.reload()  # a window that is opened narrow shows no steps
    expect(window.get_by_role("log")).to_have_attribute("aria-busy", "false")
    for place, text in enumerate(conversation.texts, 1):
        write(window, text)
        expect(window.locator("#log .agent-said")).to_have_count(place)
    expect(window.get_by_role("status")).to_have_text("connected")
    if conversation.texts:  # otherwise the field has the focus, as in a window that has just been opened
        window.get_by_label("Your message").blur()
    window.mouse.move(0, 0)  # away from the button
    return window.screenshot(animations="disabled")


@contextmanager
def demonstration() -> Iterator[str]:
    """Run `understudy dev` with nothing stored, and yield its address."""
    with tempfile.TemporaryDirectory() as directory:
        dev = Dev(Path(directory))
        dev.start()
        yield dev.address
        dev.stop()


def source(picture: bytes) -> str:
    return escape(f"data:image/png;base64,{b64encode(picture).decode()}")


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        assert chromium is not None, "There is no browser. On Debian: apt-get install chromium-headless-shell"
        for each in SCHEMES:
            make(chromium, each)
        chromium.close()
