import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HTTPRoute

from gateway.agents.agent import Agent
from gateway.agents.routing import Route, Router
from gateway.app.due import DueWork
from gateway.app.health import WriteProbe
from gateway.app.timers import Timer, Timers
from gateway.channels.errors import RETRY_AFTER, EventNotAcceptedError
from gateway.channels.event import Event, MalformedEventError
from gateway.channels.interface import Interface
from gateway.channels.presenter import Presenter
from gateway.engines.tools import check_remote_names
from gateway.executor import equip_loop
from gateway.history.sessions import Sessions
from gateway.history.threads import ThreadStore
from gateway.history.transcript import TranscriptEntry, load_transcript
from gateway.inbox.dispatch import Dispatcher, EmbeddedDispatcher
from gateway.inbox.inbox import Inbox
from gateway.inbox.intake import Intake
from gateway.logs import describe
from gateway.operations.retention import Retention
from gateway.outbox.outbox import Outbox
from gateway.outbox.sender import Sender, current_turn_sender
from gateway.pubsub.pubsub import PubSub
from gateway.request_context import request_context
from gateway.runs.engine import load_engine
from gateway.runs.events import EventHandler, TurnEvent
from gateway.settings import GatewaySettings, SignInCode
from gateway.storage.connect import connect
from gateway.storage.database import Database, DatabaseUnavailableError, named
from gateway.storage.postgres import PostgresDatabase
from gateway.timings import DEFAULT_TIMINGS, Timings
from gateway.turns.approvals import Approvals
from gateway.turns.audit import Audit
from gateway.turns.denials import tell_of_denial
from gateway.turns.drain import Drain
from gateway.turns.player import RequestValues, Turns
from gateway.turns.runner import CopyRunner
from gateway.turns.summaries import Summaries
from oauth import Identity, Keyring, OAuthCoordinator, OAuthProvider, SettingError
from oauth.consent.routes import callback_routes
from oauth.store.installations import InstallationStore
from oauth.store.rotation import check_keys
from toolkits import Conversation, Message
from toolkits.mcp import MCPServer

MAX_CONCURRENT_TURNS = 32

log = logging.getLogger(__name__)


def _no_values(_: Message) -> Mapping[str, Any]:
    return {}


class Gateway:
    """One agent behind many channels, for many people at once.

    Args:
        agent: the template that every message gets a copy of; or an agent written for a framework, see `Agent`.
        interfaces: the channels, one of a kind.
        database: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`; else UNDERSTUDY_DATABASE_URL, else
            understudy.db in the working directory.
        base_url: the public address; else UNDERSTUDY_BASE_URL.
        secret_key: what encrypts tokens; else UNDERSTUDY_SECRET_KEY.
        max_concurrent_turns: how many turns run at once, in each process that plays them.
        private_answers: "alone" or "open": where a private answer goes that was asked for in a place which several
            people read, see docs/isolation.md; else UNDERSTUDY_PRIVATE_ANSWERS.
        audit_content: whether the audit has the arguments and results of tools; else UNDERSTUDY_AUDIT_CONTENT.
        request_values: gives values of a message to add to the request context of its turn.
        routes: which other agents answer what; the agent answers the rest.
        settings: others of docs/settings.md by their names without UNDERSTUDY_, instead of the environment.
        timings: shorter waits and intervals, for tests.

    Raises:
        CloneError: naming a toolkit's attribute that stands against a copy for every person.
        SettingError: naming a setting that is missing or malformed.
    """

    def __init__(
        self,
        agent: Any,
        interfaces: Sequence[Interface] = (),
        database: str | None = None,
        *,
        routes: Sequence[Route] = (),
        base_url: str | None = None,
        secret_key: str | None = None,
        max_concurrent_turns: int = MAX_CONCURRENT_TURNS,
        private_answers: str | None = None,
        audit_content: bool | None = None,
        request_values: RequestValues = _no_values,
        settings: Mapping[str, Any] = MappingProxyType({}),
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self._timings = timings
        given: dict[str, Any] = {
            "database_url": database,
            "base_url": base_url,
            "secret_key": secret_key,
            "private_answers": private_answers,
            "audit_content": audit_content,
        }
        if unknown := settings.keys() - GatewaySettings.model_fields:
            raise SettingError(f"Gateway(settings=…) knows no {', '.join(sorted(unknown))}: docs/settings.md has them.")
        known = GatewaySettings(**{**settings, **{name: value for name, value in given.items() if value is not None}})
        self.agent = agent if isinstance(agent, Agent) else Agent(agent)
        self._router = Router(self.agent, routes)
        self.agents = self._router.agents
        self.base_url = known.base_url
        self.interfaces = {interface.channel: interface for interface in interfaces}
        if len(self.interfaces) < len(interfaces):
            raise SettingError("Gateway(interfaces=…) has two of one channel: give it one of each.")
        for each in self.agents:
            each.check()
        for member in (*self._team(), *(each.summarizer for each in self.agents if each.summarizer is not None)):
            load_engine(member.engine).check(member)
        self._database = connect(known.database_url)
        self._dispatcher = _dispatcher(self._database, max_concurrent_turns, known.takeover_seconds, timings)
        self._pubsub = _make_pubsub(self._database, timings)
        oldest = timedelta(hours=known.answer_within_hours)
        self._inbox = Inbox(self._database, self._dispatcher, oldest)
        self._intake = Intake(self._inbox, known.max_waiting_messages, timings.accept)
        idle = known.session_idle_hours
        self._sessions = Sessions(self._database, timedelta(hours=idle) if idle is not None else None)
        key = known.secret_key
        self._keyring = Keyring.parse(key.get_secret_value()) if key is not None else None
        self._oauth = self._coordinator(known)
        presenters = {channel: interface.presenter for channel, interface in self.interfaces.items()}
        self._outbox = Outbox(
            self._database,
            self._inbox,
            presenters,
            self._oauth,
            tries=known.delivery_tries,
            oldest=oldest,
            ambiguous_sends=known.ambiguous_sends,
            timings=timings,
        )
        self._timers = Timers(self._make_timers(known))
        self._sender = Sender(self._database, self._inbox, self._outbox, presenters)
        audit = Audit(self._database, content=known.audit_content)
        self._runner = CopyRunner(self._oauth, audit, self._sender, known.private_answers, timings)
        self._turns = Turns(
            self._router,
            self._runner,
            self.interfaces,
            self._database,
            self._inbox,
            self._outbox,
            self._sessions,
            Summaries(self._sessions, self.agents, known.session_tokens, timings),
            self._approvals(presenters),
            self._oauth,
            known.private_answers,
            known.turn_tries,
            request_values,
            timings,
        )
        self._request_values = request_values
        self._probe = WriteProbe(self._database)
        self._ready = False

    @property
    def needs_workers(self) -> bool:
        """Whether other processes play the messages that this one takes."""
        return self._database.shared

    def asgi(self) -> Starlette:
        """The gateway as an ASGI application.

        Mounted inside another one, whose lifespan is the one that a server runs, enter `lifespan` there.
        """
        routes: list[BaseRoute] = [
            HTTPRoute("/healthz", self._healthz, methods=["GET"]),
            HTTPRoute("/readyz", self._readyz, methods=["GET"]),
        ]
        if self._oauth is not None:
            routes += callback_routes(self._oauth)
        for interface in self.interfaces.values():
            routes += interface.routes()
        return Starlette(
            routes=routes,
            lifespan=self.lifespan,
            exception_handlers={
                EventNotAcceptedError: _refuse,
                MalformedEventError: _reject,
                DatabaseUnavailableError: _ask_again,
            },
        )

    @asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """Opens the database, starts the channels and takes messages; and ends all of it.

        On SQLite it plays them, too. On PostgreSQL workers do: see `worker`.

        Raises:
            SettingError: if the database or a platform rejects a setting.
        """
        async with self._open(plays=not self._database.shared):
            await self._intake.start()
            try:
                yield
            finally:
                await self._intake.stop()

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Plays messages that other processes take.

        Raises:
            SettingError: as `lifespan`; or if the database is one that processes do not share.
        """
        if not self._database.shared:
            raise SettingError(
                f"{named('a SQLite file')}, which one process uses: `understudy serve` plays its messages. Workers "
                "need PostgreSQL: set UNDERSTUDY_DATABASE_URL to an address like postgresql://user:password@host/understudy."
            )
        async with self._open(plays=True):
            yield

    @asynccontextmanager
    async def _open(self, *, plays: bool) -> AsyncIterator[None]:
        self._executor = equip_loop()
        await self._database.open()
        started: list[Interface | MCPServer] = []
        try:
            if self._keyring is not None:
                await check_keys(self._database, self._keyring)
            for server in dict.fromkeys(server for agent in self._team() for server in agent.mcp_servers):
                started.append(server)
                await server.start()
            for agent in self._team():
                check_remote_names(agent)
            for interface in self.interfaces.values():
                started.append(interface)
                await interface.start(self)
            if plays:
                await self._dispatcher.start(Drain(self._inbox, self._outbox, self._turns))
                if not self._database.shared:
                    self._dispatcher.wake(await self._inbox.unfinished())
                await self._timers.start()
            self._ready = True
            yield
        finally:
            self._ready = False
            await self._timers.stop()
            await self._dispatcher.stop()
            await self._pubsub.stop()
            for each in reversed(started):
                await each.stop()
            await self._probe.stop()
            await self._database.close()

    async def run(
        self,
        message: Message,
        *,
        credentials: Mapping[str, Any] | None = None,
        handler: EventHandler | None = None,
    ) -> str:
        """Answers a message of a host application, outside any channel, while the gateway's lifespan lasts.

        It is answered by a fresh copy of the agent, as every message is. Nothing of it is stored but its audit.

        Args:
            message: whose `sender` the host application vouches for.
            credentials: by provider, what `TurnContext.credentials` gives in this turn, whatever the sender has
                connected. They reach the tools of this turn and nothing else.
            handler: is told what happens, the text as it is written included.

        Returns:
            The answer, in markdown.

        Raises:
            ConsentRequiredError: if the sender has to connect an account first: see `sign_in_link`.
            CredentialsRefusedError: if the turn may use nobody's account.
            TimeoutError: after five minutes.
            RuntimeError: if the gateway is not running.
        """
        if not self._ready:
            raise RuntimeError(
                "Gateway.run() is for while the gateway runs: enter `async with gateway.lifespan():` first"
            )
        reference = secrets.token_hex(4)
        values = {**self._request_values(message), **_values_of(message, reference)}
        with request_context(values):
            agent, message = self._router.select(message)
            played = await self._runner.run(
                agent, message, reference, [], handler or _ignore, stream=handler is not None, credentials=credentials
            )
        return played.text

    async def send(
        self, conversation: Conversation, text: str, *, at: datetime | None = None, key: str | None = None
    ) -> str | None:
        """Writes to a conversation first, or later, while the gateway's lifespan lasts.

        It goes through the outbox as answers do: in order, once, and as a dead letter if the platform does not take it.
        What a turn sends once it has read something private, to a conversation that several people read, goes to the
        turn's person alone instead.

        Args:
            conversation: where people wrote to the agent, or where the platform lets it write first.
            text: markdown.
            at: when it is sent, aware; now, unless given.
            key: of what is sent to a tenant under one key, by whichever process, only the first is.

        Returns:
            Its reference; `None` if something was sent under that key before.

        Raises:
            ValueError: if there is nothing in the text that can be seen, or `at` has no time zone.
            SettingError: if there is no such channel.
            ToolError: in a turn, if it is for one person alone, and several share their id.
        """
        turn = current_turn_sender.get()
        sender = self._sender if turn is None else turn.through(self._sender)
        return await sender.send(conversation, text, at=at, key=key)

    @asynccontextmanager
    async def alongside(self) -> AsyncIterator[None]:
        """Opens the database alone, also while another process serves this gateway: for `send` with a time.

        Raises:
            SettingError: if the database cannot be had.
        """
        await self._database.open_alongside()
        try:
            yield
        finally:
            await self._database.close()

    async def accept(self, event: Event) -> bool:
        """Commits an event to the inbox; returns whether it is new.

        Raises:
            EventNotAcceptedError: if it could not be committed. It is answered 503, with `Retry-After`.
        """
        return await self._intake.accept(event)

    async def has_answered_in(self, conversation: Conversation) -> bool:
        """Whether a message of this conversation was accepted before."""
        return await self._inbox.knows(conversation)

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        """Give a conversation another id: what waits there, and its history, go with it.

        Nothing happens where there is no such conversation, or one with the new id already.
        """
        await self._inbox.move(conversation, conversation_id)

    async def transcript(self, conversation: Conversation) -> Sequence[TranscriptEntry]:
        """What was said in a conversation, oldest first."""
        async with self._database.read() as connection:
            return await load_transcript(connection, conversation)

    async def publish(self, conversation: Conversation, message: str) -> None:
        """Tells something of a conversation to who listens, in whichever process. It may be lost."""
        await self._pubsub.publish(_topic(conversation), message)

    async def subscribe(self, conversation: Conversation) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """What is published of a conversation from now on, in a block; `None` when there will be no more."""
        return await self._pubsub.subscribe(_topic(conversation))

    async def is_busy(self, conversation: Conversation) -> bool:
        """Whether something of a conversation is being answered, or waits for its turn."""
        return await self._inbox.is_busy(conversation)

    @property
    def threads(self) -> ThreadStore:
        """The conversations that people begin and name themselves."""
        return ThreadStore(self._database)

    def provider_label(self, provider: str) -> str:
        """What people call a provider."""
        return provider if self._oauth is None else self._oauth.label(provider)

    async def sign_in_link(self, identity: Identity, name: str, provider: str) -> str:
        """A sign-in link for a person, who is the one that asks for it.

        Args:
            name: what the channel shows for them.

        Raises:
            SettingError: if no toolkit needs an account of that provider.
        """
        if self._oauth is None:
            raise SettingError("No toolkit of the agent needs an account.")
        return await self._oauth.authorization_url(identity, provider, name)

    @property
    def installations(self) -> InstallationStore:
        """The bot tokens of the workspaces that installed the app, encrypted.

        Raises:
            SettingError: if there is no key to encrypt them with.
        """
        if self._keyring is None:
            raise SettingError(
                "UNDERSTUDY_SECRET_KEY is not set. It encrypts the tokens of the workspaces that install the app: "
                "make one with `understudy keys new`."
            )
        return InstallationStore(self._database, self._keyring)

    def _team(self) -> Iterator[Agent]:
        """The agents, their members and theirs."""
        for agent in self.agents:
            yield from agent.team()

    def _coordinator(self, settings: GatewaySettings) -> OAuthCoordinator | None:
        team: list[Any] = []
        for agent in self._team():
            team += [agent, *agent.toolkits, *agent.mcp_servers]
        owners = [owner for owner in team if isinstance(owner.auth, OAuthProvider)]
        if not owners:
            return None
        users = " and ".join(sorted({type(owner).__name__ for owner in owners}))
        if settings.secret_key is None:
            raise SettingError(
                f"UNDERSTUDY_SECRET_KEY is not set. It encrypts the tokens that {users} needs: "
                "make one with `understudy keys new`."
            )
        if settings.base_url is None:
            raise SettingError(
                f"UNDERSTUDY_BASE_URL is not set. People who sign in for {users} are sent back there: "
                "set it to the public address of this gateway, like https://bot.example.com."
            )
        keyring = self._keyring
        assert keyring is not None
        vouch = self._vouched_email if settings.sign_in_code is SignInCode.UNLESS_VOUCHED else None
        coordinator = OAuthCoordinator(
            self._database, keyring, settings.base_url, self._inbox.unpark, vouch, self._tell_of_denial
        )
        for owner in owners:
            coordinator.register(owner.auth, owner.scopes)
        return coordinator

    async def _tell_of_denial(self, identity: Identity, provider: str) -> None:
        presenters = {channel: interface.presenter for channel, interface in self.interfaces.items()}
        if identity.channel in presenters:
            label = self.provider_label(provider)
            await tell_of_denial(self._database, self._inbox, self._outbox, presenters, identity, provider, label)

    async def _vouched_email(self, identity: Identity) -> str | None:
        interface = self.interfaces.get(identity.channel)
        return None if interface is None else await interface.presenter.vouched_email(identity)

    def _approvals(self, presenters: Mapping[str, Presenter]) -> Approvals | None:
        """What asks people before tools do something; `None` where no tool wants that."""
        asks = any(function.needs_approval for agent in self._team() for _, function in agent.catalog.values())
        if not asks and not any(server.approval for agent in self._team() for server in agent.mcp_servers):
            return None
        return Approvals(self._database, self._inbox, self._outbox, self._sessions, presenters)

    def _make_timers(self, settings: GatewaySettings) -> list[Timer]:
        timers = [
            Timer(
                "the look for messages and deliveries that are due",
                self._timings.due_interval,
                DueWork(self._database, self._inbox, self._outbox).resume,
            )
        ]
        if settings.keep_days is not None:
            retention = Retention(self._database, timedelta(days=settings.keep_days))
            timers.append(Timer("the removal of what is old", self._timings.removal_interval, retention.remove))
        if self._oauth is not None:
            timers.append(Timer("the clean-up of sign-ins", self._timings.clean_up_interval, self._oauth.clean_up))
        return timers

    async def _healthz(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _: Request) -> JSONResponse:
        if not self._ready:
            return JSONResponse({"status": "starting or stopping"}, status_code=503)
        if self._executor.is_exhausted:
            status = f"{self._executor.abandoned} tools never returned and each holds a thread: restart the process"
            return JSONResponse({"status": status}, status_code=503)
        if (failure := await self._probe.failure()) is not None:
            log.warning("the database cannot be written to: %s", describe(failure))
            return JSONResponse({"status": "the database cannot be written to"}, status_code=503)
        try:
            workers = await self._dispatcher.count_workers()
        except SQLAlchemyError as error:
            log.warning("the database cannot be read: %s", describe(error))
            return JSONResponse({"status": "the database cannot be read"}, status_code=503)
        status = "ok" if workers else "no worker is alive: messages are taken and wait"
        return JSONResponse({"status": status, "workers": workers}, status_code=200 if workers else 503)


def _dispatcher(database: Database, max_concurrent_turns: int, takeover_after: float, timings: Timings) -> Dispatcher:
    if isinstance(database, PostgresDatabase):
        from gateway.inbox.distributed import DistributedDispatcher  # imported where it is used: that takes a moment

        return DistributedDispatcher(database, max_concurrent_turns, takeover_after, timings)
    return EmbeddedDispatcher(max_concurrent_turns, timings)


def _make_pubsub(database: Database, timings: Timings) -> PubSub:
    if isinstance(database, PostgresDatabase):
        from gateway.pubsub.postgres import PostgresPubSub  # imported where it is used: that takes a moment

        return PostgresPubSub(database, timings)
    return PubSub()


def _topic(conversation: Conversation) -> str:
    return json.dumps([conversation.channel, conversation.tenant, conversation.id])


def _values_of(message: Message, reference: str) -> Mapping[str, str]:
    return {
        "REQUEST_ID": reference,
        "CHANNEL": message.conversation.channel,
        "TENANT": message.conversation.tenant,
        "CONVERSATION_ID": message.conversation.id,
        "USER_ID": message.sender.user_id,
    }


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, EventNotAcceptedError)
    return Response(status_code=503, headers={"Retry-After": str(error.retry_after)})


async def _ask_again(request: Request, error: Exception) -> Response:
    """Answer a request whose database access failed, so that a platform delivers it again."""
    log.warning("a request to %s failed, as the database cannot be used: %s", request.url.path, describe(error))
    return PlainTextResponse("Try again in a moment.", 503, {"Retry-After": str(RETRY_AFTER)})


async def _reject(request: Request, error: Exception) -> Response:
    log.warning("a webhook to %s is malformed and was refused: %s", request.url.path, describe(error))
    return Response(status_code=400)


async def _ignore(_: TurnEvent) -> None:
    return
