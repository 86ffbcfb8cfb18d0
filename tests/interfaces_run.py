"""A gateway around one channel, in the test's own loop."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, Gateway
from gateway.channels.interface import Interface
from gateway.testing import make_migrated
from oauth import Keyring

URL = "http://127.0.0.1:8000"


@dataclass
class Running:
    """A gateway that runs in the test's loop, and what its model was told."""

    gateway: Gateway
    client: httpx.AsyncClient
    told: list[list[ModelMessage]]
    answers: list[str]
    directory: Path

    @property
    def prompts(self) -> list[str]:
        """The text of each message that reached the model."""
        return [
            str(part.content)
            for messages in self.told
            for part in messages[-1].parts
            if isinstance(part, UserPromptPart)
        ]

    async def delivered(self) -> None:
        """Wait until it is stored that all has been sent: a platform shows a message before it has answered."""

        def none_left() -> bool:
            with sqlite3.connect(self.directory / "understudy.db") as database:
                left = "SELECT count(*) FROM outbox WHERE status IN ('waiting', 'sending', 'retrying')"
                return bool(database.execute(left).fetchone()[0] == 0)

        await wait_until_async(none_left, what="all is delivered")

    def inbox(self) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.directory / "understudy.db") as database:
            return database.execute("SELECT status FROM inbox").fetchall()

    def pauses(self) -> list[tuple[Any, ...]]:
        """Until when tenants are to be sent nothing."""
        with sqlite3.connect(self.directory / "understudy.db") as database:
            return database.execute("SELECT until FROM pauses").fetchall()


Run = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a gateway around one channel. Its model answers `heard`, or what `answers` holds, in turn."""

    @asynccontextmanager
    async def running(interface: Interface, toolkits: Sequence[Any] = (), **options: Any) -> AsyncIterator[Running]:
        told: list[list[ModelMessage]] = []
        answers: list[str] = []

        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            assert isinstance(messages[-1], ModelRequest)
            told.append(messages)
            return ModelResponse([TextPart(answers.pop(0) if answers else "heard")])

        make_migrated(tmp_path / "understudy.db")
        gateway = Gateway(
            Agent(model=options.pop("model", FunctionModel(answer)), toolkits=toolkits),
            [interface],
            database=f"sqlite:///{tmp_path}/understudy.db",
            base_url=options.pop("base_url", URL),
            secret_key=Keyring.generate(),
            **options,
        )
        async with (
            gateway.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(gateway.asgi()), base_url=URL) as client,
        ):
            yield Running(gateway, client, told, answers, tmp_path)

    return running
