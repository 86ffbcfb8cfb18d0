"""Fixtures of the end-to-end tests: a gateway in its own process, people who write to it, and a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.browser import launch
from e2e.people import CHANNELS, ChannelPerson
from e2e.served import AGENTS, Served
from peers import seed
from peers.emulate.server import Emulate
from peers.telegram.server import TelegramServer
from playwright.sync_api import Browser, expect, sync_playwright

Serve = Callable[..., Served]

ECHO_MAIL = AGENTS / "echo_mail.py"


@pytest.fixture
def serve(tmp_path: Path, emulate: Emulate, telegram: TelegramServer) -> Iterator[Serve]:
    """Yield a function that starts `understudy serve FILE`, connected to the stand-ins. Stop it after the test."""
    started: list[Served] = []

    def start(target: Path = ECHO_MAIL, **env: str) -> Served:
        served = Served(target, tmp_path, emulate, telegram, **env)
        started.append(served)
        served.start()
        return served

    yield start
    for served in started:
        served.stop()


@pytest.fixture
def alice(channel: str, emulate: Emulate, telegram: TelegramServer) -> ChannelPerson:
    return CHANNELS[channel](seed.ALICE, emulate, telegram)


@pytest.fixture
def bob(channel: str, emulate: Emulate, telegram: TelegramServer) -> ChannelPerson:
    return CHANNELS[channel](seed.BOB, emulate, telegram)


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, which would disturb tests of other modules
def chromium(processes: None) -> Iterator[Browser]:
    """A browser. Without one, the test is skipped."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=20_000)  # milliseconds, for busy machines
        browser = launch(playwright)
        if browser is None:
            pytest.skip("There is no browser. On Debian: apt-get install chromium-headless-shell")
        yield browser
        browser.close()
