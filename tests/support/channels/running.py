"""Run a gateway around one channel in the event loop of a test."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from peers.wait import wait_until_async
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, Gateway
from gateway.channels.interface import Interface
from gateway.testing import make_migrated
from gateway.testing.running import send_at_once
from oauth import Keyring
from support.stage import IMPATIENT

URL = "http://127.0.0.1:8000"


@dataclass
class Running:
    """A gateway that runs in the event loop of a test.

    Attributes:
        client: an HTTP client of the gateway.
        told: the messages that each call of the model got.
        answers: the next answers of the model. Without one, it answers `heard`.
        directory: the folder of the database.
    """

    gateway: Gateway
    client: httpx.AsyncClient
    told: list[list[ModelMessage]]
    answers: list[str]
    directory: Path

    @property
    def prompts(self) -> list[str]:
        """The texts of the messages that have reached the model."""
        return [content if isinstance(content, str) else str(content[0]) for content in self._contents]

    @property
    def files(self) -> list[tuple[bytes, str]]:
        """The files that have reached the model with messages: their bytes and media types."""
        return [
            (part.data, part.media_type)
            for content in self._contents
            for part in content
            if isinstance(part, BinaryContent)
        ]

    @property
    def _contents(self) -> list[str | Sequence[UserContent]]:
        return [
            part.content for messages in self.told for part in messages[-1].parts if isinstance(part, UserPromptPart)
        ]

    async def delivered(self) -> None:
        """Wait until every message is stored as sent, which happens after the platform shows it."""

        def none_left() -> bool:
            with sqlite3.connect(self.directory / "understudy.db") as database:
                left = "SELECT count(*) FROM outbox WHERE status IN ('waiting', 'sending', 'retrying')"
                return bool(database.execute(left).fetchone()[0] == 0)

        await wait_until_async(none_left, what="every message is stored as sent")

    async def waiting_deliveries(self, count: int) -> None:
        """Wait until this number of deliveries wait for another try or for a rate limit."""
        waiting = "SELECT id FROM outbox WHERE status = 'retrying'"
        await wait_until_async(lambda: len(self.rows(waiting)) == count, what=f"{count} deliveries wait")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that an SQL statement finds."""
        with sqlite3.connect(self.directory / "understudy.db") as database:
            return database.execute(statement).fetchall()

    def inbox(self) -> list[tuple[Any, ...]]:
        """Return the status of each message in the inbox, without the held ones.

        An event is held while none of its message's events is for the bot.
        """
        with sqlite3.connect(self.directory / "understudy.db") as database:
            return database.execute("SELECT status FROM inbox WHERE status <> 'held'").fetchall()

    def outbox(self, columns: str) -> list[tuple[Any, ...]]:
        """Return these columns of each row of the outbox, oldest first."""
        with sqlite3.connect(self.directory / "understudy.db") as database:
            return database.execute(f"SELECT {columns} FROM outbox ORDER BY id").fetchall()

    def pauses(self) -> list[tuple[Any, ...]]:
        """Return the end of each pause that a platform has asked for with a rate limit."""
        with sqlite3.connect(self.directory / "understudy.db") as database:
            return database.execute("SELECT until FROM pauses").fetchall()


Run = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a gateway with one channel.

    Answers are sent at once, unless `paced` is true: then they keep the platform's rate limits.
    """

    @asynccontextmanager
    async def running(
        interface: Interface, toolkits: Sequence[Any] = (), *, paced: bool = False, **options: Any
    ) -> AsyncIterator[Running]:
        told: list[list[ModelMessage]] = []
        answers: list[str] = []

        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            assert isinstance(messages[-1], ModelRequest)
            told.append(messages)
            return ModelResponse([TextPart(answers.pop(0) if answers else "heard")])

        if not paced:
            send_at_once(interface.presenter)
        make_migrated(tmp_path / "understudy.db")
        gateway = Gateway(
            options.pop("agent", None) or Agent(model=options.pop("model", FunctionModel(answer)), toolkits=toolkits),
            [interface],
            database=f"sqlite:///{tmp_path}/understudy.db",
            base_url=options.pop("base_url", URL),
            secret_key=Keyring.generate(),
            timings=options.pop("timings", IMPATIENT),
            **options,
        )
        async with (
            gateway.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(gateway.asgi()), base_url=URL) as client,
        ):
            yield Running(gateway, client, told, answers, tmp_path)

    return running
