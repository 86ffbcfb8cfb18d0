"""A window of the web chat in a browser, and a model whose answer the test writes."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from peers.serving import ThreadServer
from playwright.sync_api import Browser, Page, expect
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, Gateway
from gateway.testing import make_migrated
from interfaces.web import Web

PATIENCE = 30.0  # seconds that the model waits for its next words


class Speaker:
    """A model that streams the words that `say` adds, until `end` ends the answer."""

    def __init__(self) -> None:
        self._words: queue.Queue[str | None] = queue.Queue()

    def say(self, words: str) -> None:
        self._words.put(words)

    def end(self) -> None:
        self._words.put(None)

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        while (words := await asyncio.to_thread(self._words.get, timeout=PATIENCE)) is not None:
            yield words


Open = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.end()  # ends a turn that a failed test has left running


@pytest.fixture
def open_window(chromium: Browser, tmp_path: Path, speaker: Speaker) -> Open:
    """Return a function that runs a gateway and opens Alice's window. The default agent answers with the speaker.

    With `panel`, the window shows the steps of turns.
    """

    @contextmanager
    def opened(agent: Agent | None = None, *, panel: bool = False, **options: Any) -> Iterator[Page]:
        make_migrated(tmp_path / "web.db")
        agent = agent or Agent(model=FunctionModel(stream_function=speaker.stream))
        gateway = Gateway(agent, [Web(panel=panel)], f"sqlite:///{tmp_path}/web.db", **options)
        with ThreadServer(gateway.asgi()) as server, chromium.new_context() as context:
            page = context.new_page()
            page.set_viewport_size({"width": 800, "height": 600})
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{server.url}/web/alice/")
            expect(page.get_by_role("status")).to_have_text("connected")
            yield page
            assert errors == []
            speaker.end()

    return opened


def write(page: Page, text: str) -> None:
    """Write a message by keyboard."""
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")
