"""A gateway in the test's own process: a channel that records what it sends, a model that does as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from migrated import make_migrated
from peers.wait import wait_until_async
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from sqlalchemy import create_engine, text
from starlette.routing import BaseRoute

from gateway import Agent, Conversation, Gateway, Identity, Message, TurnContext
from gateway.channels import DeliveryRefusedError, Event, Interface, Presenter, SignIn
from gateway.runs.events import TurnEvent
from gateway.timings import Timings
from oauth import GrantRevokedError, Keyring, Token
from toolkits import Toolkit, tool

TENANT = "T1"
PATIENCE = 20.0  # seconds that somebody who writes waits, on a slow machine: no platform does
STAGE_TIMINGS = Timings(accept=PATIENCE, clean_up_interval=0.05)
IMPATIENT = replace(STAGE_TIMINGS, longest_pause=0.01, due_interval=0.02)  # what failed is tried again at once


def stage_timings(**changed: float) -> Timings:
    """Return the timings of a stage, some of them changed."""
    return replace(STAGE_TIMINGS, **changed)


@dataclass
class Sent:
    conversation: str
    text: str = ""
    sign_in: SignIn | None = None
    link: str = ""
    alone: str | None = None


class RecordingPresenter(Presenter):
    def __init__(self, *, streams: bool) -> None:
        self.streams = streams  # type: ignore[misc]
        self.sent: list[Sent] = []
        self.failures: list[Exception] = []  # of the next calls
        self.notes: list[tuple[str, str, bool]] = []
        self.unreachable: set[str] = set()
        self.emails: dict[str, str | None] = {}  # what the platform vouches for, where that is not their id
        self.shown: list[tuple[str, TurnEvent]] = []

    async def vouched_email(self, identity: Identity) -> str | None:
        return self.emails.get(identity.user_id, f"{identity.user_id}@fake.test")

    async def show(self, message: Message, event: TurnEvent) -> None:
        self.shown.append((message.id, event))

    def parts(self, markdown: str) -> list[str]:
        return [markdown]

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(Sent(conversation.id, text))

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> None:
        if identity.user_id in self.unreachable:
            raise DeliveryRefusedError("never wrote to the bot")
        self.sent.append(Sent(conversation.id, text, alone=identity.user_id))

    async def send_private_note(
        self, identity: Identity, conversation: Conversation, reply_to: str, *, reached: bool
    ) -> None:
        self.notes.append((conversation.id, identity.user_id, reached))

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        return conversation.id == f"dm-{identity.user_id}"

    async def send_sign_in(self, sign_in: SignIn) -> None:
        self.sent.append(Sent(sign_in.conversation.id, sign_in=sign_in, link=await sign_in.link()))


class StageChannel(Interface):
    """A channel whose payloads are JSON: who wrote what, where."""

    channel = "stage"
    address = "/stage"
    presenter: RecordingPresenter

    def __init__(self, *, streams: bool = False) -> None:
        self.presenter = RecordingPresenter(streams=streams)

    def routes(self) -> Sequence[BaseRoute]:
        return []

    async def parse(self, payload: str) -> Message | None:
        fields = json.loads(payload)
        return Message(
            id=fields["id"],
            text=fields["text"],
            sender=Identity(self.channel, fields["tenant"], fields["person"]),
            sender_name=fields["person"].capitalize(),
            conversation=place(fields["place"], fields["tenant"]),
            command=fields.get("command"),
            argument=fields.get("argument", ""),
            anonymous=fields.get("anonymous", False),
        )


def place(name: str, tenant: str = TENANT) -> Conversation:
    return Conversation("stage", tenant, name, shared=not name.startswith("dm"))


def texts_told(messages: list[ModelMessage]) -> list[str]:
    """What a model is told that people and agents said."""
    parts = (part for message in messages for part in message.parts)
    return [str(part.content) for part in parts if isinstance(part, (UserPromptPart, TextPart))]


async def obey(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Calls the tools that a text names (`call NAME {json} NAME …`), then says what they returned."""
    last = messages[-1]
    assert isinstance(last, ModelRequest)
    returned = [part for part in last.parts if isinstance(part, ToolReturnPart)]
    if returned:
        return ModelResponse([TextPart(" | ".join(part.model_response_str() for part in returned))])
    text = str(last.parts[-1].content)  # type: ignore[union-attr]
    names = [tool.name for tool in info.function_tools]
    words = text.split(" ")
    calls = []
    for index, word in enumerate(words):
        if word in names:
            following = words[index + 1] if index + 1 < len(words) else ""
            calls.append(ToolCallPart(word, following if following.startswith("{") else {}))
    return ModelResponse(calls or [TextPart(f"heard: {text}")])


class FakeProvider:
    """An authorization server that takes any code `of-NAME` for the grant of NAME."""

    name = "fake"
    label = "Fake"
    incremental = True

    def __init__(self, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.lifetime = lifetime
        self.refreshed = 0
        self.revoked = False
        self.granted = frozenset({"read"})
        self.vouches = True  # for its accounts' e-mail addresses
        self.away = False
        self.told: list[str] = []  # the tokens that it was told to revoke

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str, scopes: frozenset[str]) -> str:
        query = {"state": state, "redirect_uri": redirect_uri, "scope": " ".join(sorted(scopes))}
        return f"https://fake.test/authorize?{urlencode(query)}"

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Token:
        account, expires_at = code.removeprefix("of-"), datetime.now(UTC) + self.lifetime
        email = f"{account}@fake.test" if self.vouches else None
        return Token(f"SECRET-{account}", f"REFRESH-{account}", expires_at, self.granted, account, email)

    async def refresh(self, token: Token) -> Token:
        if self.revoked:
            raise GrantRevokedError
        self.refreshed += 1
        await asyncio.sleep(0)
        return replace(token, access_token=f"{token.access_token}+", expires_at=datetime.now(UTC) + timedelta(hours=1))

    async def revoke(self, token: Token) -> None:
        if self.away:
            raise ConnectionError("it is away")
        self.told.append(token.access_token)

    def permission(self, scope: str) -> str:
        return f"{scope} things"

    def credentials(self, token: Token) -> str:
        return token.access_token

    def __deepcopy__(self, memo: dict[int, Any]) -> "FakeProvider":
        raise AssertionError("a provider is shared, not copied")


class Vault(Toolkit):
    """Holds a secret of each person."""

    _clone_shared_attrs = ("auth",)
    private = True
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = FakeProvider()

    @tool
    async def open_vault(self, context: TurnContext) -> str:
        """Opens it."""
        return str(await context.credentials("fake", {"read"}))


class Orders(Toolkit):
    """Has orders, which are cancelled if their person agrees."""

    _clone_shared_attrs = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    @tool(approval=True)
    async def cancel(self, order: str) -> str:
        """Cancels an order."""
        self.cancelled.append(order)
        return f"cancelled {order}"


CANCEL = 'call cancel {"order":"4711"}'


@dataclass
class Stage:
    """A gateway with one channel, and what people do there."""

    gateway: Gateway
    channel: StageChannel
    database: str
    worker: Gateway | None = None
    _number: int = field(default=0)

    @property
    def sent(self) -> list[Sent]:
        return self.channel.presenter.sent

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        if self.worker is None:
            async with self.gateway.lifespan():
                yield
        else:
            async with self.worker.worker(), self.gateway.lifespan():
                yield

    def rows(self, statement: str) -> list[Any]:
        """What is in the database."""
        engine = create_engine(self.database.replace("postgresql:", "postgresql+psycopg:"))
        try:
            with engine.begin() as connection:
                found = connection.execute(text(statement))
                return [tuple(row) for row in found] if found.returns_rows else []
        finally:
            engine.dispose()

    async def write(self, person: str, text: str, place_name: str | None = None, **fields: Any) -> bool:
        self._number += 1
        identifier = fields.pop("id", f"m{self._number}")
        tenant = fields.pop("tenant", TENANT)
        where = place_name or f"dm-{person}"
        payload = {"id": identifier, "text": text, "person": person, "place": where, "tenant": tenant, **fields}
        return await self.gateway.host.accept(Event(identifier, place(where, tenant), json.dumps(payload)))

    async def wait_for(self, count: int, timeout: float = 20.0) -> list[Sent]:
        async def enough() -> bool:
            return len(self.sent) >= count

        await wait_until_async(enough, timeout, f"{count} messages are sent")
        return self.sent

    async def change(self, statement: str) -> None:
        """Changes what is in the database, also while the gateway runs in this loop."""
        await asyncio.to_thread(self.rows, statement)

    async def wait_until_rows(self, statement: str, count: int, timeout: float = 20.0) -> None:
        """Until a statement that counts says so many."""

        async def counted() -> bool:
            return bool(self.rows(statement)[0][0] == count)

        await wait_until_async(counted, timeout, f"{statement} says {count}")

    async def wait_until(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        async def holds() -> bool:
            return condition()

        await wait_until_async(holds, timeout, "it is so")

    async def ask(self, person: str, text: str, place_name: str | None = None, **fields: Any) -> str:
        """Writes, and returns the answer. For one writer at a time."""
        before = len(self.sent)
        await self.write(person, text, place_name, **fields)
        return (await self.wait_for(before + 1))[before].text

    async def connect(self, link: str, account: str, provider: str = "fake") -> None:
        """What the browser does at the callback."""
        state = link.partition("state=")[2].partition("&")[0]
        coordinator = self.gateway.parts.oauth
        assert coordinator is not None
        await coordinator.complete(provider, state, f"of-{account}")


def stage(
    directory: Path,
    toolkits: Sequence[Any] = (),
    model: Callable[[list[ModelMessage], AgentInfo], Awaitable[ModelResponse]] = obey,
    key: str | None = None,
    **options: Any,
) -> Stage:
    members, written = options.pop("members", ()), options.pop("written", 0)
    agent = options.pop("agent", None) or Agent(model=FunctionModel(model), toolkits=toolkits, members=members)
    channel = StageChannel(streams=options.pop("streams", False))
    database = options.pop("database", None) or f"sqlite:///{directory}/stage.db"
    if database.startswith("sqlite:///"):
        make_migrated(Path(database.removeprefix("sqlite:///")))
    options.setdefault("timings", STAGE_TIMINGS)
    options |= {"base_url": "https://bot.test", "secret_key": key or Keyring.generate()}
    gateway = Gateway(agent, [channel], database, **options)
    # On PostgreSQL the turns run in a worker. Here it is in the same process, and sends through the same channel.
    worker = Gateway(agent, [channel], database, **options) if database.startswith("postgresql") else None
    return Stage(gateway, channel, database, worker, written)
