"""The `Gateway` class, which operators and host applications use."""

import logging
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from itertools import combinations
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HTTPRoute

from gateway.agents.agent import Agent
from gateway.agents.routing import Route, Router
from gateway.app.downloads import Downloads
from gateway.app.feedback_hook import OnFeedback
from gateway.app.health import Health
from gateway.app.host import ChannelHost
from gateway.app.parts import Parts, Setup
from gateway.channels.errors import RETRY_AFTER, EventNotAcceptedError
from gateway.channels.event import MalformedEventError
from gateway.channels.interface import BotProfile, Interface
from gateway.channels.refusals import MALFORMED, RefusalLog
from gateway.engines.remote_tools import check_remote_names
from gateway.executor import equip_loop
from gateway.logs import describe
from gateway.outbox.sender import current_turn_sender
from gateway.request_context import request_context
from gateway.runs.engine import check_engine
from gateway.runs.events import EventHandler, TurnEvent
from gateway.settings import GatewaySettings
from gateway.storage.database import DatabaseUnavailableError, origin_clause
from gateway.timings import DEFAULT_TIMINGS, Timings
from gateway.turns.reading import values_of_person
from gateway.turns.replies.agent_answer import RequestValues
from oauth import Identity, SettingError
from oauth.consent.routes import consent_routes
from oauth.settings import going_on, raise_all
from oauth.store.rotation import check_keys
from toolkits import Conversation, File, Message, Template

MAX_CONCURRENT_TURNS = 32

log = logging.getLogger(__name__)


def _no_values(_: Message) -> Mapping[str, Any]:
    return {}


class Gateway:
    """One agent behind many channels, for many people at once.

    Args:
        agent: the agent: a template, of which every message gets a copy; or a native agent, see `Agent`.
        interfaces: the channels. Several of one kind need names: see docs/several-bots.md.
        database: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`; by default UNDERSTUDY_DATABASE_URL, or
            understudy.db in the working directory.
        base_url: the public address; by default UNDERSTUDY_BASE_URL. `understudy serve` does without it: see
            `sign_in_here`.
        routes: which other agents answer which messages; `agent` answers the rest.
        secret_key: the key that encrypts tokens; by default UNDERSTUDY_SECRET_KEY.
        max_concurrent_turns: how many turns run at once, in each process that plays turns.
        private_answers: "alone" or "open": where a private answer goes if the message came from a shared conversation,
            see docs/isolation.md; by default UNDERSTUDY_PRIVATE_ANSWERS.
        approvers: the people who may decide approvals besides the person whose turn it is, see docs/approvals.md; by
            default UNDERSTUDY_APPROVERS.
        audit_content: whether the audit records the arguments and results of tools; by default
            UNDERSTUDY_AUDIT_CONTENT.
        request_values: a function of a message that returns values for the request context of its turn.
        on_feedback: an async function that is called with each change of a rating, see docs/feedback.md.
        settings: other settings of docs/settings.md, by their names in lower case and without UNDERSTUDY_. They take
            precedence over the environment.
        timings: timeouts and intervals; tests use shorter ones.

    Attributes:
        agent: the template.
        settings: the settings, from the arguments and the environment.
        host: the gateway as its channels see it.
        parts: the parts of the gateway, for tests.

    Raises:
        CloneError: naming an attribute of a toolkit that cannot be copied for each person.
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
        approvers: Sequence[Identity] | None = None,
        audit_content: bool | None = None,
        request_values: RequestValues = _no_values,
        on_feedback: OnFeedback | None = None,
        settings: Mapping[str, Any] = MappingProxyType({}),
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        given: dict[str, Any] = {
            "database_url": database,
            "base_url": base_url,
            "secret_key": secret_key,
            "private_answers": private_answers,
            "approvers": approvers,
            "audit_content": audit_content,
        }
        if unknown := settings.keys() - GatewaySettings.model_fields:
            raise SettingError(
                f"Gateway(settings=…) does not know {', '.join(sorted(unknown))}: it takes the settings of "
                "docs/settings.md that start with UNDERSTUDY_, in lower case and without this prefix."
            )
        known = GatewaySettings(**{**settings, **{name: value for name, value in given.items() if value is not None}})
        self.agent = agent if isinstance(agent, Agent) else Agent(agent)
        self._router = Router(self.agent, routes)
        self.agents = self._router.agents
        self.settings = known
        self.base_url = known.base_url
        for one, other in combinations(interfaces, 2):
            with going_on():
                if (conflict := one.conflict_with(other)) is not None:
                    raise SettingError(conflict)
        self.interfaces = {interface.channel: interface for interface in interfaces}
        for approver in known.approvers:
            if approver.channel not in self.interfaces:
                log.warning(
                    "the approver %s can approve nothing, as this gateway has no channel %r: see UNDERSTUDY_APPROVERS",
                    approver,
                    approver.channel,
                )
        self._refusals_by_endpoint: dict[Any, RefusalLog] = {}
        self._other_refusals = RefusalLog("the gateway")
        self._request_values = request_values
        self._setup = Setup(
            self._router,
            self.interfaces,
            known,
            request_values,
            max_concurrent_turns,
            timings,
            on_feedback,
            "Gateway(database=…)" if database is not None else None,
        )
        self._check_agents()
        self.parts = Parts(self._setup)
        self.parts.build()
        self._database = self.parts.backend.database
        self._health = Health(self._database, self.parts.backend.dispatcher, self.interfaces)
        self.host = ChannelHost(self.parts, known.base_url)

    def profile(self, channel: str) -> BotProfile:
        """Return what the platform of a channel has to know about the bot."""
        agent, has_accounts = self._router.agent_of(channel, ""), self.parts.oauth is not None
        return BotProfile(
            self.base_url, agent.name, agent.description, self._router.commands(channel, None), has_accounts
        )

    @property
    def needs_workers(self) -> bool:
        """True if separate worker processes play the messages that this process accepts."""
        return self._database.shared

    def sign_in_here(self, port: int) -> bool:
        """Put http://localhost:PORT in sign-in links, if people sign in and the gateway has no public address.

        Only people on this machine can follow these links. Call this method before the gateway starts.

        Returns:
            Whether sign-in links have that address.
        """
        oauth = self.parts.oauth
        if oauth is None or self.base_url is not None:
            return False
        oauth.serve_at(f"http://localhost:{port}")
        return True

    def asgi(self) -> Starlette:
        """Return the gateway as an ASGI application.

        If you mount it in another application, enter `lifespan` in the lifespan of that application: servers do not run
        the lifespans of mounted applications.
        """
        routes: list[BaseRoute] = [*self._health.routes(), *Downloads(self.parts.stored_files).routes()]
        if self.parts.oauth is not None:
            routes += consent_routes(self.parts.oauth)
        for interface in self.interfaces.values():
            of_channel = interface.routes()
            routes += of_channel
            self._refusals_by_endpoint |= dict.fromkeys(_endpoints(of_channel), interface.refusals)
        return Starlette(
            routes=routes,
            lifespan=self.lifespan,
            exception_handlers={
                EventNotAcceptedError: self._refuse,
                MalformedEventError: self._reject,
                DatabaseUnavailableError: _ask_again,
            },
        )

    @asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """Open the database, start the channels, and accept messages until the block ends.

        On SQLite, this process also plays the messages. On PostgreSQL, workers do: see `worker`.

        Raises:
            SettingError: if people sign in and the gateway's address is not known, or if the database or a platform
                rejects a setting.
        """
        self.host.takes_events = True
        async with self._running(plays=not self._database.shared), AsyncExitStack() as stack:
            await self.parts.intake.start()
            stack.push_async_callback(self.parts.intake.stop)
            for interface in self.interfaces.values():
                await stack.enter_async_context(interface.taking_events())
            yield

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Play the messages that other processes accept, until the block ends.

        Raises:
            SettingError: as for `lifespan`; or if the database is SQLite, which processes cannot share.
        """
        if not self._database.shared:
            raise SettingError(
                f"{origin_clause(self._database.origin, 'a SQLite file')}, which only one process can use: `understudy "
                "serve` answers its messages. Workers need PostgreSQL: name a database like "
                "postgresql://user:password@host/understudy."
            )
        self.host.takes_events = False
        async with self._running(plays=True):
            yield

    @asynccontextmanager
    async def alongside(self) -> AsyncIterator[None]:
        """Open only the database, for calls of `send` with a time. Another process may serve the gateway meanwhile.

        Raises:
            SettingError: if the database cannot be opened.
        """
        await self._database.open_alongside()
        try:
            yield
        finally:
            await self._database.close()

    async def run(
        self,
        message: Message,
        *,
        credentials: Mapping[str, Any] | None = None,
        handler: EventHandler | None = None,
    ) -> str:
        """Answer a message of a host application, outside of any channel. The gateway's lifespan must be entered.

        A fresh copy of the agent answers, as for every message. Only the audit of the turn is stored.

        Args:
            message: the message. The host application vouches for its `sender`.
            credentials: by provider, what `TurnContext.credentials` returns in this turn instead of the accounts that
                the sender has connected. Only the tools of this turn get them.
            handler: gets the events of the turn, including the text as the model writes it.

        Returns:
            The answer, in markdown.

        Raises:
            ConsentRequiredError: if the sender has to connect an account first: see `sign_in_link`.
            CredentialsRefusedError: if the turn may use no account.
            TimeoutError: after five minutes.
            RuntimeError: if the gateway is not running.
        """
        if self._health.executor is None:
            raise RuntimeError("Gateway.run() needs a running gateway: enter `async with gateway.lifespan():` first")
        reference = secrets.token_hex(4)
        values = {**self._request_values(message), **_values_of(message, reference)}
        with request_context(values):
            agent, message = self._router.select(message)
            outcome = await self.parts.runner.run(
                agent, message, reference, [], handler or _ignore, stream=handler is not None, credentials=credentials
            )
        return outcome.text

    async def send(
        self,
        conversation: Conversation,
        text: str = "",
        *,
        template: Template | None = None,
        files: Sequence[File] = (),
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        """Send a message that is not an answer, now or later.

        The gateway's lifespan must be entered; for a message with `at`, `alongside` is enough. The message goes through
        the outbox, as answers do: in order and once, and it becomes a dead letter if the platform refuses it. If a turn
        that has read something private sends to a shared conversation, only the person of the turn gets the message.

        Args:
            conversation: a conversation in which people wrote to the agent, or one in which the platform lets the agent
                write first.
            text: markdown; it may be empty if there are files.
            template: a template to send instead of a text and files. WhatsApp takes it also more than 24 hours after
                the person's last message, and from somebody to whom they never wrote.
            files: files to send with the text.
            at: the time to send the message, with a time zone; by default now.
            key: an idempotency key. `send` delivers a key once in a tenant, also if several processes call it: later
                calls with the same key do nothing.

        Returns:
            The message's reference; `None` if a message with this key was sent before.

        Raises:
            ValueError: if the text has nothing to show, if there is also a template, or if `at` has no time zone.
            SettingError: if the gateway has no such channel.
            ToolError: in a turn, if only one person may get the message, but several people share that person's id; or
                if the platform does not take the template or one of the files.
            OSError: if a file cannot be read.
        """
        sender, turn = self.parts.sender, current_turn_sender.get()
        return await (sender if turn is None else turn.through(sender)).send(
            conversation, text, template=template, files=files, at=at, key=key
        )

    async def sign_in_link(self, identity: Identity, name: str, provider: str) -> str:
        """Return a sign-in link for a person. Give it to nobody else.

        Args:
            identity: the person.
            name: the name that the host application shows for this person.
            provider: the name of the OAuth provider, like "google".

        Raises:
            SettingError: if no toolkit needs an account of that provider.
        """
        return await self.host.sign_in_link(identity, name, provider)

    async def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, EventNotAcceptedError)
        self._refusals(request).note(503, "it could not be stored in time, or too many messages wait")
        return Response(status_code=503, headers={"Retry-After": str(error.retry_after)})

    async def _reject(self, request: Request, error: Exception) -> Response:
        self._refusals(request).add(400, MALFORMED, describe(error))
        return Response(status_code=400)

    def _refusals(self, request: Request) -> RefusalLog:
        """Return the log of the channel whose endpoint answers a request."""
        return self._refusals_by_endpoint.get(request.scope["endpoint"], self._other_refusals)

    def _check_agents(self) -> None:
        """Check that every agent can be copied and run.

        Raises:
            CloneError, SettingError: naming the obstacle.
        """
        for agent in self.agents:
            with going_on():
                agent.check()
        summarizers = [agent.summarizer for agent in self.agents if agent.summarizer is not None]
        for agent in (*self._setup.team(), *summarizers):
            with going_on():
                check_engine(agent)

    @asynccontextmanager
    async def _running(self, *, plays: bool) -> AsyncIterator[None]:
        """Run all parts until the block ends.

        Args:
            plays: whether this process plays messages.
        """
        parts, executor = self.parts, equip_loop()
        errors: list[SettingError] = []
        with _noted(errors):
            if parts.oauth is not None:
                log.info("sign-in links lead to %s", parts.oauth.base_url)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._database.close)
            with _noted(errors):
                await self._database.open()
                stack.push_async_callback(self._health.stop)
                if parts.keyring is not None:
                    await check_keys(self._database, parts.keyring)
            raise_all(errors)
            stack.push_async_callback(parts.files.close)
            stack.push_async_callback(parts.feedback_hook.stop)
            await parts.feedback_hook.start()
            for server in dict.fromkeys(server for agent in self._setup.team() for server in agent.mcp_servers):
                stack.push_async_callback(server.stop)
                await server.start()
            for agent in self._setup.team():
                check_remote_names(agent)
            for interface in self.interfaces.values():
                stack.push_async_callback(interface.stop)
                with _noted(errors):
                    await interface.start(self.host)
            raise_all(errors)
            stack.push_async_callback(parts.backend.pubsub.stop)
            if plays:
                stack.push_async_callback(parts.backend.dispatcher.stop)
                await parts.backend.dispatcher.start(parts.drain)
                if not self._database.shared:
                    await parts.inbox.recover()
                stack.push_async_callback(parts.timers.stop)
                await parts.timers.start()
            parts.presence.begin(takes_events=self.host.takes_events, plays_turns=plays)
            stack.push_async_callback(parts.presence.end)
            stack.push_async_callback(parts.heartbeat.stop)
            await parts.heartbeat.start()
            self._health.executor = executor
            try:
                yield
            finally:
                self._health.executor = None


def _endpoints(routes: Sequence[BaseRoute]) -> Iterator[Any]:
    for route in routes:
        yield from _endpoints(getattr(route, "routes", ()))  # those of a `Mount`
        if isinstance(route, HTTPRoute):
            yield route.endpoint


@contextmanager
def _noted(errors: list[SettingError]) -> Iterator[None]:
    """Add an error of the block to a list. `gathered_errors` would be inherited by the tasks that the block starts."""
    try:
        yield
    except SettingError as error:
        errors.append(error)


def _values_of(message: Message, reference: str) -> Mapping[str, str]:
    return {
        "REFERENCE": reference,
        "CHANNEL": message.conversation.channel,
        "TENANT": message.conversation.tenant,
        "CONVERSATION_ID": message.conversation.id,
        **values_of_person(message),
    }


async def _ask_again(request: Request, error: Exception) -> Response:
    """Answer 503 to a request whose database access failed, so that a platform delivers it again."""
    log.warning("a request to %s failed, as the database cannot be used: %s", request.url.path, describe(error))
    return PlainTextResponse("Try again in a moment.", 503, {"Retry-After": str(RETRY_AFTER)})


async def _ignore(_: TurnEvent) -> None:
    return
