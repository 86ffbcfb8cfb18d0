"""The lifecycle of the Slack channel, and its handlers of events and slash commands."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from gateway.channels import (
    BotProfile,
    Change,
    DeliveryError,
    DeliveryRefusedError,
    Event,
    Host,
    Interface,
    Press,
    PressOutcome,
    check_id,
)
from gateway.channels.commands import COMMANDS
from gateway.channels.diagnosis import Finding, check_clock
from gateway.channels.sentences import COMMAND_NOT_TAKEN, COMMAND_TAKEN, NOT_RATED
from gateway.logs import describe
from interfaces.slack import changes, parse
from interfaces.slack.agent.home import HOME, AppHome
from interfaces.slack.agent.sessions import SessionStatus
from interfaces.slack.agent.titles import Titles, title_of
from interfaces.slack.app.diagnosis import (
    check_addresses,
    configured_token,
    try_app_token,
    try_bot_token,
    try_installations,
)
from interfaces.slack.app.features import AppFeatures
from interfaces.slack.app.manifest import Addresses, app_manifest
from interfaces.slack.app.tokens import Renew, SlackClient
from interfaces.slack.attachments import SlackFiles
from interfaces.slack.bolt.listeners import BoltListeners
from interfaces.slack.errors import slack_errors
from interfaces.slack.interactivity.blocks import FEEDBACK, QUESTION, SIGN_IN, STOP, chosen, given_rating
from interfaces.slack.interactivity.interactions import Interactivity, PressHandler
from interfaces.slack.interactivity.press import ButtonPress, acknowledge
from interfaces.slack.interactivity.stopping import SESSION_STOPPED, Stopping
from interfaces.slack.parse import Body
from interfaces.slack.present import SlackPresenter
from interfaces.slack.reading.people import People
from interfaces.slack.reading.threads import ThreadReader
from interfaces.slack.receiving.request import Handlers, SlackRequest
from interfaces.slack.receiving.socket import SocketMode
from interfaces.slack.receiving.webhooks import Webhooks
from interfaces.slack.schema import check_event
from interfaces.slack.settings import GROUPS, ManyWorkspacesSettings, SlackSettings, load_settings
from interfaces.slack.signature import SignatureCheck
from interfaces.slack.workspaces import INSTALL_ADDRESS, REDIRECT_ADDRESS, ManyWorkspaces, OneWorkspace
from interfaces.tasks import OwnedTasks
from oauth import Identity
from oauth.errors import SettingError, WrongSetting
from oauth.settings import not_set
from oauth.store.installations import InstallationStore
from toolkits import Conversation, Message, QuotedMessage

CALL_TIMEOUT = 15  # seconds for one call of the Web API
REJECTED_TOKEN = ("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked")
OPENED = "app_home_opened"
CHANNEL_MOVED = "channel_id_changed"
USER_CHANGED = "user_change"
UNINSTALLED = ("app_uninstalled", "tokens_revoked", "team_access_revoked")
COMMAND_ADDRESS = "/slack/commands"
INTERACTIVITY_ADDRESS = "/slack/interactivity"
COMMAND_FIELDS = ("team_id", "user_id", "command", "trigger_id")
COMMAND_TIMEOUT = 2.0  # seconds, of the three in which Slack expects an answer

log = logging.getLogger(__name__)


class Slack(Interface):
    """The Slack channel, on the Events API: direct messages, and mentions in channels and threads.

    With an app-level token, Slack's requests come over Socket Mode, which needs no public address; with a signing
    secret, over webhooks. An app that switches from one to the other may have both.

    With a bot token, the app is in one workspace. With the app's client id and secret, it is in every workspace that
    installs it at `/slack/install`.

    Args:
        bot_token: the bot token; by default SLACK_BOT_TOKEN.
        signing_secret: the signing secret, for webhooks; by default SLACK_SIGNING_SECRET.
        api_url: the address of the Web API; by default SLACK_API_URL.
        app_token: the app-level token, for Socket Mode; by default SLACK_APP_TOKEN.
        client_id: the client id; by default SLACK_CLIENT_ID.
        client_secret: the client secret; by default SLACK_CLIENT_SECRET.
        own_workspaces: the ids of the workspaces whose admins are trusted with their members' e-mail addresses; by
            default SLACK_OWN_WORKSPACES. A member who signs in with the Google account of that address needs no code.
            This needs the scopes `users:read` and `users:read.email`.
        answer_in_joined_threads: whether the bot answers every message of a thread in which it was mentioned before,
            and not only the messages that mention it.
        agent_view: whether the app has Slack's agent view, in which each message at the top of a direct conversation
            begins a thread, and each thread is a separate conversation.
        app_home: whether people see their accounts and open questions in the App Home. Set it to false for an app that
            publishes its own home.
        feedback_buttons: whether answers have thumbs below them. This needs the request URL of *Interactivity*.
        access: whom the bot answers: "open", "allowlist" or "pairing", see docs/access.md; by default SLACK_ACCESS.
        app: the operator's own Bolt app, whose listeners get the events that start no turn.
        name: the name of one of several apps. With the name "sales", the settings begin with SLACK_SALES_, and the
            addresses with `/slack/sales`.

    Raises:
        SettingError: if a setting is missing or malformed; it names the setting.
    """

    channel = "slack"
    setting_groups = GROUPS
    address = "/slack/events"
    presenter: SlackPresenter

    def __init__(
        self,
        bot_token: str | None = None,
        signing_secret: str | None = None,
        api_url: str | None = None,
        *,
        app_token: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        own_workspaces: Sequence[str] = (),
        answer_in_joined_threads: bool = False,
        agent_view: bool = False,
        app_home: bool = True,
        feedback_buttons: bool = False,
        access: str | None = None,
        app: AsyncApp | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        settings = load_settings(
            name,
            bot_token,
            client_id,
            client_secret,
            signing_secret=signing_secret,
            app_token=app_token,
            own_workspaces=",".join(own_workspaces),
            api_url=api_url,
            access=access,
        )
        self._settings = settings
        self.access = settings.access
        self._variable = settings.variable
        self._api_url = settings.api_url
        self._workspaces: OneWorkspace | ManyWorkspaces
        self._features = AppFeatures(
            agent_view=agent_view,
            app_home=app_home,
            joined_threads=answer_in_joined_threads,
            vouched_addresses=bool(settings.own_workspace_ids),
            many_workspaces=isinstance(settings, ManyWorkspacesSettings),
            socket_mode=settings.app_token is not None and not settings.is_placeholder("app_token"),
        )
        if isinstance(settings, ManyWorkspacesSettings):
            self._workspaces = ManyWorkspaces(self, settings, self._make_client, self._features.scopes)
            own = settings.client_id
        else:
            own = settings.bot_token.get_secret_value()
            self._workspaces = OneWorkspace(self._make_client(own), settings)
        secrets = [
            each.get_secret_value() for each in (settings.signing_secret, settings.app_token) if each is not None
        ]
        self.platform_ids = {own, *secrets}
        self._people = People(self._workspaces)
        self._threads = ThreadReader(self._workspaces, self._people)
        self._files = SlackFiles(self._workspaces, settings.api_url)
        self._answer_in_joined_threads = answer_in_joined_threads
        self._agent_view = agent_view
        self._titles = Titles(self._workspaces)
        self._home = AppHome(self._workspaces) if app_home else None
        self._stopping = Stopping(self.channel, lambda: self.host)
        self._tasks = OwnedTasks()
        self._listeners = BoltListeners(app, self._workspaces) if app is not None else None
        interactivity = Interactivity(
            self.channel,
            settings.api_url,
            self._buttons(),
            self._listeners.take_interaction if self._listeners is not None else None,
        )
        handlers = Handlers(self._take_event, self._take_command, interactivity.take)
        self._webhooks = self._make_webhooks(settings, handlers)
        self._socket = self._make_socket(settings, handlers)
        self.presenter = SlackPresenter(self._workspaces, settings.own_workspace_ids, has_thumbs=feedback_buttons)

    def routes(self) -> Sequence[BaseRoute]:
        if self._webhooks is None:
            return self._workspaces.routes()
        paths = (self.address, self.path_of(COMMAND_ADDRESS), self.path_of(INTERACTIVITY_ADDRESS))
        return [*self._webhooks.routes(*paths), *self._workspaces.routes()]

    def events_from(self, base_url: str | None) -> str:
        if self._webhooks is None:
            return "(Socket Mode)"
        return super().events_from(base_url) + (" (and Socket Mode)" if self._socket is not None else "")

    def _make_webhooks(self, settings: SlackSettings, handlers: Handlers) -> Webhooks | None:
        if settings.signing_secret is None:
            return None
        secret, variable = settings.signing_secret.get_secret_value(), settings.variable("signing_secret")
        return Webhooks(SignatureCheck(secret, variable), self.refusals, handlers)

    def _make_socket(self, settings: SlackSettings, handlers: Handlers) -> SocketMode | None:
        if settings.app_token is None:
            return None
        token, variable = settings.app_token.get_secret_value(), settings.variable("app_token")
        client, is_only_way = self._make_client(None), self._webhooks is None
        return SocketMode(token, variable, client, handlers, is_only_way=is_only_way)

    @asynccontextmanager
    async def taking_events(self) -> AsyncIterator[None]:
        if self._socket is None:
            yield
            return
        async with self._socket.taking_requests():
            yield

    @property
    def outage(self) -> str | None:
        """Say since when Socket Mode is not connected, unless events may come over webhooks, too."""
        return self._socket.outage if self._socket is not None and self._webhooks is None else None

    @property
    def _addresses(self) -> Addresses:
        return Addresses(
            events=self.address,
            commands=self.path_of(COMMAND_ADDRESS),
            interactivity=self.path_of(INTERACTIVITY_ADDRESS),
            redirect=self.path_of(REDIRECT_ADDRESS),
            app_token_variable=self._variable("app_token"),
        )

    def manifest(self, profile: BotProfile) -> Mapping[str, Any]:
        return app_manifest(replace(self._features, accounts=profile.has_accounts), profile, self._addresses)

    async def diagnose(self, profile: BotProfile) -> AsyncIterator[Finding]:
        settings = self._settings
        if settings.has_placeholders:
            return
        if isinstance(self._workspaces, OneWorkspace):
            client = await self._workspaces.client("")
            configured = configured_token(client, self.channel, self._variable("bot_token"))
            async for finding in try_bot_token(configured, self._scopes(profile)):
                yield finding
        if (token := settings.app_token) is not None:
            variable, client = self._variable("app_token"), self._make_client(None)
            yield await try_app_token(client, self.channel, variable, token.get_secret_value())
        for finding in check_addresses(self._addresses, self._features, profile, self.channel):
            yield finding
        yield await check_clock(f"{self.channel} clock", f"{self._api_url}/api.test")

    async def diagnose_installations(
        self, profile: BotProfile, installations: InstallationStore
    ) -> AsyncIterator[Finding]:
        if isinstance(self._workspaces, OneWorkspace) or self._settings.has_placeholders:
            return
        address = f"{profile.base_url or ''}{self.path_of(INSTALL_ADDRESS)}"
        tried = try_installations(installations, self._make_client, self.channel, address, self._scopes(profile))
        async for finding in tried:
            yield finding

    def _scopes(self, profile: BotProfile) -> Sequence[str]:
        return replace(self._features, accounts=profile.has_accounts).scopes

    @property
    def _receivers(self) -> Mapping[str, Callable[[Body], Awaitable[None]]]:
        """The handlers of events that are not about a message, by the type of the event."""
        return {
            **dict.fromkeys(UNINSTALLED, self._workspaces.forget),
            SESSION_STOPPED: self._receive_stopped,
            OPENED: self._receive_opened,
            CHANNEL_MOVED: self._receive_moved,
            USER_CHANGED: self._receive_user_change,
        }

    def _buttons(self) -> Mapping[str, PressHandler]:
        """Return the handlers of the gateway's own buttons, by the first word of the buttons' `action_id`."""
        return {
            QUESTION: self._take_choice,
            FEEDBACK: self._take_rating,
            HOME: self._take_at_home,
            STOP: self._stopping.press,
            SIGN_IN: acknowledge,
        }

    async def _take_choice(self, press: ButtonPress) -> str | None:
        """Pass a choice to the gateway; return why it does not count, unless the App Home shows it."""
        question_id, place = chosen(press)
        result = await self.host.press(Press(question_id, place, press.identity, press.name))
        if press.conversation is None:
            if await self.host.admits(press.identity):
                self._show_home(press.identity)
            return None
        return None if result.outcome is PressOutcome.TAKEN else result.text

    async def _take_at_home(self, press: ButtonPress) -> None:
        if self._home is None or not await self.host.admits(press.identity):
            return
        if await self._home.take(self.host, press):
            self._show_home(press.identity)

    def _show_home(self, identity: Identity) -> None:
        if self._home is not None:
            self._tasks.start("an App Home", self._home.show(self.host, identity), CALL_TIMEOUT)

    async def _take_rating(self, press: ButtonPress) -> str | None:
        """Pass a rating to the gateway; return a sentence if the answer cannot be rated any more."""
        feedback = given_rating(press)
        return None if feedback is None or await self.host.rate(feedback) else NOT_RATED

    async def start(self, host: Host) -> None:
        await super().start(host)
        self._files.fetcher = host.files
        if self._listeners is not None:
            self._listeners.open()
        if isinstance(self._workspaces, OneWorkspace):
            self._workspaces.bot = await self._find_bot(await self._workspaces.client(""))
        elif host.base_url is None:
            raise not_set(
                "UNDERSTUDY_BASE_URL",
                "Slack sends people there after they install the app: set it to the public address of this gateway, "
                "like https://bot.example.com.",
            )
        else:
            self._workspaces.open(host.installations, host.base_url)

    async def stop(self) -> None:
        await super().stop()
        await self._tasks.stop()

    async def _find_bot(self, client: AsyncWebClient) -> str | None:
        """Return the bot's user id; `None` if Slack does not return it now. Most events have it, too.

        Raises:
            SettingError: if Slack rejects the token.
        """
        try:
            with slack_errors():
                return str((await client.auth_test())["user_id"])
        except DeliveryRefusedError as refusal:
            if str(refusal) in REJECTED_TOKEN:
                advice = "Set it to the Bot User OAuth Token under OAuth & Permissions at https://api.slack.com/apps."
                token = WrongSetting(self._variable("bot_token"), advice, is_missing=False)
                raise SettingError(f"{token.name} was rejected by Slack ({refusal}). {advice}", token) from None
            log.warning("Slack did not return the bot's user id: %s", refusal)
        except (DeliveryError, ConnectionError) as error:
            log.warning("Slack could not be asked for the bot's user id: %s", describe(error))
        return None

    def _make_client(self, token: str | None, renew: Renew | None = None) -> AsyncWebClient:
        client = SlackClient(token, renew, base_url=f"{self._api_url}/", timeout=CALL_TIMEOUT)
        client.retry_handlers = []  # the outbox retries, because it knows what may have arrived
        return client

    async def parse(self, payload: str) -> Message | None:
        body = self._placed(changes.as_written(json.loads(payload)))
        if "slash_command" in body:
            return parse.to_command_message(self.channel, body, payload)
        if not parse.is_message(body):
            raise ValueError("The stored payload is neither a message, a mention nor a slash command of Slack's.")
        tenant = parse.tenant_of(body)
        assert tenant is not None, "an event of no workspace is not accepted"
        attachments = self._files.attachments_of(parse.files(body), tenant)
        people = await self._people.find(tenant, parse.people_in(body))
        return parse.to_message(self.channel, body, await self._bot_user(body), attachments, people)

    async def read_quoted(self, message: Message, read_until: str) -> Sequence[QuotedMessage]:
        if not parse.is_in_thread(message):
            return message.quoted
        entries = await self.host.transcript(message.conversation)
        heard = {parse.id_in(entry.payload) for entry in entries if entry.payload is not None} - {message.id}
        if self._answer_in_joined_threads and heard:  # every message since then came to the bot
            return message.quoted
        bot = await self._bot_user(json.loads(message.raw))
        return [*await self._threads.read(message, bot, heard, read_until), *message.quoted]

    async def _bot_user(self, body: Body) -> str | None:
        return parse.bot_user(body) or await self._workspaces.bot_user(body)

    async def _take_event(self, request: SlackRequest) -> Response:
        if request.body.get("type") == "event_callback":
            check_event(request.body)
            if not await self._receive_event(request.body, request.raw) and self._listeners is not None:
                return await self._listeners.take_event(request)
        return Response(status_code=200)

    async def _receive_event(self, body: dict[str, Any], raw: str) -> bool:
        """Handle an event; return whether it is a message to the bot, which the operator's listeners do not get."""
        if (receive := self._receivers.get(body["event"].get("type"))) is not None:
            await receive(body)
        elif (feedback := parse.to_feedback(self.channel, body)) is not None:
            await self.host.rate(feedback)
        elif (event := await self._to_event(body, raw)) is not None:
            if not await self._workspaces.is_installed(body):
                log.warning("an event was ignored: it came from a workspace in which the app is not installed")
                return True
            await self._accept(event, body)
            return event.addressed
        return False

    async def _accept(self, event: Event, body: Body) -> None:
        """Accept a message. If it begins a thread of a direct conversation, set the title of the thread."""
        begins = await self._begins_thread(event, body)
        if await self.host.accept(event) and begins and (title := title_of(parse.text_in(body))):
            self._tasks.start("the title of a thread", self._titles.name(event.conversation, title), CALL_TIMEOUT)

    async def _begins_thread(self, event: Event, body: Body) -> bool:
        """Return whether a message is the person's first in a thread of their direct conversation.

        In the agent view, a thread begins with a person's message. A reply below a message of the bot, such as an
        answer to a question, makes no title. Older assistants begin every thread with a message of the bot.
        """
        if event.change is not None or not parse.is_direct_thread(event.conversation):
            return False
        if parse.is_root(self._placed(body)):
            return True
        return not self._agent_view and not await self.host.has_answered_in(event.conversation)

    async def _receive_stopped(self, body: Body) -> None:
        """Stop the turn of an agent's session, and make the session active again, which Slack does not do itself."""
        if (thread := await self._stopping.session(body)) is not None:
            activation = self.presenter.sessions.set(thread, SessionStatus.ACTIVE)
            self._tasks.start("the status of a stopped session", activation, CALL_TIMEOUT)

    async def _receive_moved(self, body: Body) -> None:
        """Move the threads of a private channel that gets another id, because it is shared with another organization.

        https://docs.slack.dev/reference/events/channel_id_changed
        """
        tenant, old, new = (
            parse.tenant_of(body),
            body["event"].get("old_channel_id"),
            body["event"].get("new_channel_id"),
        )
        if tenant and old and new:
            await self.host.move(Conversation(self.channel, tenant, old, shared=True), new)

    async def _receive_opened(self, body: Body) -> None:
        """Update the App Home or the suggested prompts that a person opens: https://docs.slack.dev/reference/events/app_home_opened"""
        event, tenant = body["event"], parse.tenant_of(body)
        if tenant is None or not await self._workspaces.is_installed(body):
            return
        if event.get("tab") == "home":
            if event.get("user") and not body.get("is_ext_shared_channel"):  # it does not name the member's workspace
                person = Identity(self.channel, tenant, event["user"])
                if await self.host.admits(person):
                    self._show_home(person)
            return
        prompts = self.host.prompts(self.channel, tenant)
        if event.get("tab") == "messages" and event.get("channel") and prompts:
            place = Conversation(self.channel, tenant, event["channel"], shared=False)
            if not await self.host.admits(Identity(self.channel, tenant, event.get("user", "")), place):
                return
            showing = self._titles.suggest(tenant, event["channel"], prompts)
            self._tasks.start("the suggested prompts", showing, CALL_TIMEOUT)

    async def _receive_user_change(self, body: Body) -> None:
        for identity in parse.people_who_left(self.channel, body):
            await self.host.suspend(identity)

    async def _to_event(self, body: Body, raw: str) -> Event | None:
        """Return the event for a message to the bot, or for an edit or deletion; `None` for anything else."""
        change = None
        if changes.is_deletion(body):
            change, written = Change.DELETED, changes.as_it_was(body)
        elif changes.is_edit(body):
            change, written = Change.EDITED, changes.as_written(body)
        else:
            written = body
        written = self._placed(written)
        if change is Change.DELETED and parse.is_unknown(written):
            return parse.to_event(self.channel, written, raw, change=change, addressed=False)
        if not parse.is_written(written):
            return None
        bot = await self._bot_user(body)
        if written["event"]["user"] == bot:
            return None
        addressed = await self._is_for_bot(written, bot)
        text, command = parse.said_in(written, bot)
        said = {"text": text, "command": command}
        if change is None:
            stops = command == "stop"
            return parse.to_event(self.channel, written, raw, stops=stops, **said) if addressed else None
        revision = changes.revision(body) if change is Change.EDITED else 0
        shown = {"addressed": addressed, "revision": revision}
        return parse.to_event(self.channel, written, raw, change=change, **shown, **said)

    def _placed(self, body: Body) -> Body:
        """In the agent view, make a message at the top of a direct conversation the first one of its thread."""
        return parse.in_own_thread(body) if self._agent_view and "event" in body else body

    async def _is_for_bot(self, body: Body, bot: str | None) -> bool:
        if parse.is_addressed(body, bot):
            return True
        if not self._answer_in_joined_threads or "thread_ts" not in body["event"]:
            return False
        return await self.host.has_answered_in(parse.conversation_of(self.channel, body))

    async def _take_command(self, request: SlackRequest) -> Response:
        form = request.body
        if not all(map(form.get, COMMAND_FIELDS)):
            return Response(status_code=400)
        for name in ("team_id", "user_id", "trigger_id"):
            check_id(name, form[name])
        if (answer := await self._listeners_answer(request)) is not None:
            return answer
        if parse.command_of(form)[0] == "stop" and (place := form.get("channel_id")):
            check_id("channel_id", place)
            person = Identity(self.channel, form["team_id"], form["user_id"])
            if not await self.host.admits(person, Conversation(self.channel, person.tenant, place, shared=True)):
                return Response(status_code=200)
            # Threads have no slash commands, so that this stops all turns of the person in the channel.
            sentence = await self._stopping.in_place(form["team_id"], place, form["user_id"])
            return JSONResponse({"response_type": "ephemeral", "text": sentence})
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                await self._workspaces.is_installed(form)  # adds a workspace whose organization installed the app
                place = await self.presenter.direct_channel(form["team_id"], form["user_id"])
        except (DeliveryError, ConnectionError, TimeoutError) as error:
            log.warning(
                "a slash command was not accepted: the direct conversation cannot be opened: %s", describe(error)
            )
            return JSONResponse({"response_type": "ephemeral", "text": COMMAND_NOT_TAKEN})
        if not await self.host.accept(parse.to_command_event(self.channel, form, place)):
            return Response(status_code=200)  # without a body, Slack shows nothing
        return JSONResponse({"response_type": "ephemeral", "text": COMMAND_TAKEN})

    async def _listeners_answer(self, request: SlackRequest) -> Response | None:
        """Return the answer of the operator's own listeners to a slash command; `None` if the bot has to answer."""
        if self._listeners is None or request.body["command"].removeprefix("/").lower() in COMMANDS:
            return None
        return await self._listeners.take_command(request)
