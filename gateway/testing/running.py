"""A gateway with the channel under test, a client that posts samples, and a server that stands in for the platform."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway.agents.agent import Agent
from gateway.app.gateway import Gateway
from gateway.channels import Interface, Presenter
from gateway.storage.tables import InboxStatus, OutboxStatus, processes, refusals
from gateway.testing.databases import make_migrated
from gateway.testing.platform import Answer, Call, Platform, StandIn
from gateway.testing.samples import BASE_URL, Sample
from gateway.testing.stage import STAGE_TIMINGS
from gateway.testing.waiting import wait_until
from oauth import Identity, Keyring
from toolkits import Conversation

ANSWER = "heard"  # the agent's answer to every message
OF_OPERATION = {processes.name, refusals.name}  # they have nothing of a request
UNFINISHED = (InboxStatus.GATHERING, InboxStatus.WAITING, InboxStatus.RUNNING, InboxStatus.RETRYING)
UNSENT = (OutboxStatus.WAITING, OutboxStatus.SENDING, OutboxStatus.RETRYING)
# Retries follow at once, and nothing waits for reports of deliveries, which do not come.
TIMINGS = replace(STAGE_TIMINGS, longest_pause=0.01, due_interval=0.02, sent_report=0.01)

Sign = Callable[[Sample], Mapping[str, str]]


@dataclass
class Running:
    """A running gateway with the channel under test.

    Attributes:
        interface: the channel.
        sign: returns the headers by which the platform proves that it sent a sample.
        turns: the number of turns so far.
    """

    gateway: Gateway
    interface: Interface
    client: httpx2.AsyncClient
    stand_in: StandIn
    database: Path
    sign: Sign
    turns: int = field(default=0)

    async def post(self, sample: Sample, **headers: str) -> int:
        """Post a signed sample, as the platform does, and return the status of the response."""
        sample = sample.at(self.interface.address)
        return await self.send(sample, {**self.sign(sample), **headers})

    async def send(self, sample: Sample, headers: Mapping[str, str]) -> int:
        """Post a sample with exactly the given headers, and return the status of the response."""
        sample = sample.at(self.interface.address)
        given = {"content-type": sample.media_type, **headers}
        return (await self.client.post(sample.path, content=sample.body, headers=given)).status_code

    def rows(self, statement: str) -> list[Any]:
        """Return the rows that an SQL statement finds."""
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(statement).fetchall()

    def payloads(self) -> list[str]:
        """Return the payloads in the inbox, oldest first; of a message in pieces, its first piece."""
        return [payload for (payload,) in self.rows("SELECT payload FROM inbox WHERE status <> 'held' ORDER BY id")]

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each table that has anything of people or their messages."""
        with closing(sqlite3.connect(self.database)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            names = {name for (name,) in tables} - OF_OPERATION
            each = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"" for name in names)  # noqa: S608
            return dict(database.execute(each).fetchall())

    async def settle(self) -> None:
        """Wait until all messages are answered, and all answers are sent.

        Raises:
            AssertionError: if that takes too long, or there are dead letters.
        """
        unfinished = f"SELECT 'inbox', status, error FROM inbox WHERE status IN ({_quoted(UNFINISHED)})"  # noqa: S608
        unsent = f"SELECT 'outbox', status, error FROM outbox WHERE status IN ({_quoted(UNSENT)})"  # noqa: S608
        left: list[Any] = []

        def is_settled() -> bool:
            left[:] = self.rows(unfinished) + self.rows(unsent)
            return not left

        try:
            await wait_until(is_settled)
        except AssertionError:
            raise AssertionError(f"messages or answers are not finished: {left}") from None
        failed = self.rows("SELECT status, error FROM inbox WHERE status = 'dead'")
        failed += self.rows("SELECT status, error FROM outbox WHERE status = 'dead'")
        if failed:
            raise AssertionError(f"messages or answers became dead letters: {failed}")


@asynccontextmanager
async def running(
    make: Callable[[str], Interface], sign: Sign, platform: Platform, directory: Path, *, started: bool = True
) -> AsyncIterator[Running]:
    """Run a gateway with a channel, and with a new database in `directory`.

    Args:
        make: makes the channel, given the URL of the server that stands in for the platform.
        started: whether the gateway and the channel are started.
    """
    database = directory / "contract.db"
    make_migrated(database)
    async with StandIn(platform.answer or _unexpected).serving() as stand_in:
        interface = make(stand_in.url)
        send_at_once(interface.presenter)  # samples come faster than people write
        gateway = Gateway(
            Agent(model=FunctionModel(lambda messages, info: play(messages, info))),
            [interface],
            f"sqlite:///{database}",
            base_url=BASE_URL,
            secret_key=Keyring.generate(),
            timings=TIMINGS,
        )
        transport = httpx2.ASGITransport(gateway.asgi())
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            scene = Running(gateway, interface, client, stand_in, database, sign)

            def play(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
                scene.turns += 1
                return ModelResponse([TextPart(ANSWER)])

            if not started:
                yield scene
                return
            async with gateway.lifespan():
                yield scene


def send_at_once(presenter: Presenter) -> None:
    """Have a presenter send answers without the pace that its platform's rate limits ask for."""

    def reserve(conversation: Conversation, recipient: Identity | None = None, *, is_edit: bool = False) -> float:
        return 0.0

    presenter.reserve = reserve  # type: ignore[method-assign]


def _unexpected(call: Call) -> Answer:
    return Answer(f"unexpected call: {call.method} {call.path} (the Platform has no `answer`)", 500)


def _quoted(statuses: tuple[str, ...]) -> str:
    return ", ".join(f"'{status}'" for status in statuses)
