"""A gateway in the process of a test, with a channel that records, and a model that calls the tools it is told to."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway.agents.agent import Agent
from gateway.app.gateway import Gateway
from gateway.channels import Event, Press, PressResult, QuestionCard
from gateway.testing.channel import TENANT, Sent, StageChannel, place
from gateway.testing.databases import make_migrated
from gateway.testing.model import obey
from gateway.testing.waiting import TIMEOUT, wait_until
from gateway.timings import Timings
from oauth import Identity, Keyring

# For busy machines, the time limits of a commit and of the calls beside one that stops the turn are longer than usual.
STAGE_TIMINGS = Timings(
    accept=20.0, calls_grace=10.0, clean_up_interval=0.05, due_interval=0.05, piece_silence=1.0, longest_pieces=5.0
)


def stage_timings(**changed: Any) -> Timings:
    """Return the timings of a stage with some values changed."""
    return replace(STAGE_TIMINGS, **changed)


@dataclass
class Stage:
    """A gateway with one channel, and the actions of people in that channel.

    Args:
        worker: on PostgreSQL, a second gateway that plays the turns; `None` if `gateway` plays them.
    """

    gateway: Gateway
    channel: StageChannel
    database: str
    worker: Gateway | None = None
    _number: int = field(default=0)

    @property
    def sent(self) -> list[Sent]:
        """What the gateway sent, oldest first."""
        return self.channel.presenter.sent

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run the gateway during the block."""
        if self.worker is None:
            async with self.gateway.lifespan():
                yield
        else:
            async with self.worker.worker(), self.gateway.lifespan():
                yield

    async def write(self, person: str, text: str, place_name: str | None = None, **fields: Any) -> bool:
        """Write a message as a person.

        Args:
            place_name: the name of the conversation; by default the person's direct conversation, `dm-PERSON`.
            fields: more fields. Of the message: `id`, `tenant`, `command`, `argument`, `anonymous`, `locale`,
                `timezone`, `attachments` as names in `StageChannel.attachments`, and `quoted` as pairs of a
                `QuotedKind` and a mapping of the other fields. Of the event: `piece`, `addressed`, `message_key`,
                `content`, `change`, `revision`, `stops` and `author_tenant`; its author is the person.

        Returns:
            Whether the gateway accepted it as a new message.
        """
        self._number += 1
        identifier = fields.pop("id", f"m{self._number}")
        tenant = fields.pop("tenant", TENANT)
        names = ("piece", "addressed", "message_key", "content", "change", "revision", "stops", "author_tenant")
        of_event = {"author": person} | {name: fields.pop(name) for name in names if name in fields}
        where = place_name or f"dm-{person}"
        payload = {"id": identifier, "text": text, "person": person, "place": where, "tenant": tenant, **fields}
        of_event |= {"text": text, "command": fields.get("command")}
        event = Event(identifier, place(where, tenant, self.channel.channel), json.dumps(payload), **of_event)
        return await self.gateway.host.accept(event)

    async def ask(self, person: str, text: str, place_name: str | None = None, **fields: Any) -> str:
        """Write a message as a person, and return the answer. Nothing else may be sent at the same time."""
        before = len(self.sent)
        await self.write(person, text, place_name, **fields)
        return (await self.wait_for(before + 1))[before].text

    async def press(self, person: str, card: QuestionCard, label: str, tenant: str = TENANT) -> PressResult:
        """Press a button of a question as a person."""
        place_of = [choice.label for choice in card.choices].index(label)
        pressed = Press(card.id, place_of, Identity(self.channel.channel, tenant, person), person.capitalize())
        return await self.gateway.host.press(pressed)

    async def connect(self, link: str, account: str, provider: str = "fake") -> None:
        """Follow a sign-in link, and sign in at the provider with an account, as a person's browser does."""
        coordinator = self.gateway.parts.oauth
        assert coordinator is not None, "no toolkit needs an account"
        request = await coordinator.authorization_url(link.rpartition("/")[2])
        state = request.partition("state=")[2].partition("&")[0]
        await coordinator.complete(provider, state, f"of-{account}")

    async def wait_for(self, count: int, timeout: float = TIMEOUT) -> list[Sent]:
        """Wait until at least `count` messages are sent, and return all that are sent."""
        await wait_until(lambda: len(self.sent) >= count, timeout, f"{count} messages are sent")
        return self.sent

    async def wait_until(self, condition: Callable[[], bool], timeout: float = TIMEOUT) -> None:
        """Wait until a condition holds."""
        await wait_until(condition, timeout)

    async def wait_until_rows(self, statement: str, count: int, timeout: float = TIMEOUT) -> None:
        """Wait until an SQL statement that counts rows returns `count`."""
        with closing(self._connect()) as connection:
            await wait_until(
                lambda: bool(_rows(connection, statement)[0][0] == count), timeout, f"{statement} = {count}"
            )

    def rows(self, statement: str) -> list[Any]:
        """Run an SQL statement, and return its rows, if it returns any."""
        with closing(self._connect()) as connection:
            return _rows(connection, statement)

    def _connect(self) -> Any:
        if self.database.startswith("sqlite:///"):
            return sqlite3.connect(self.database.removeprefix("sqlite:///"))
        import psycopg  # imported here, because it is an extra

        return psycopg.connect(self.database)

    async def change(self, statement: str) -> None:
        """Run an SQL statement in a thread, so that the gateway is not blocked."""
        await asyncio.to_thread(self.rows, statement)


def _rows(connection: Any, statement: str) -> list[Any]:
    cursor = connection.execute(statement)
    rows = cursor.fetchall() if cursor.description else []
    connection.commit()
    return rows


def stage(
    directory: Path,
    toolkits: Sequence[Any] = (),
    model: Callable[[list[ModelMessage], AgentInfo], Awaitable[ModelResponse]] = obey,
    key: str | None = None,
    *,
    agent: Agent | None = None,
    members: Sequence[Agent] = (),
    database: str | None = None,
    streams: bool = False,
    channel: StageChannel | None = None,
    written: int = 0,
    **options: Any,
) -> Stage:
    """Return a gateway for a test, with one channel that records what is sent. It runs in a block of `Stage.open`.

    Args:
        directory: the directory for its database, `stage.db`.
        toolkits: the toolkits of its agent.
        model: the function of its agent's `FunctionModel`.
        key: the key that encrypts tokens; by default a new one.
        agent: an agent to use instead of one made of `toolkits`, `model` and `members`.
        members: the members of its agent.
        database: the URL of another database. On PostgreSQL, a worker in the same process plays the turns.
        streams: whether turns stream their text.
        channel: a channel to use instead of a new `StageChannel`.
        written: the number of the last message that an earlier stage has written to this database.
        options: more arguments of `Gateway`.
    """
    agent = agent or Agent(model=FunctionModel(model), toolkits=toolkits, members=members)
    channel = channel or StageChannel(streams=streams)
    database = database or f"sqlite:///{directory}/stage.db"
    if database.startswith("sqlite:///"):
        make_migrated(Path(database.removeprefix("sqlite:///")))
    options.setdefault("timings", STAGE_TIMINGS)
    options |= {"base_url": "https://bot.test", "secret_key": key or Keyring.generate()}
    gateway = Gateway(agent, [channel], database, **options)
    worker = Gateway(agent, [channel], database, **options) if database.startswith("postgresql") else None
    return Stage(gateway, channel, database, worker, written)
