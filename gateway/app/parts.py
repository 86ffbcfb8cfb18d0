"""Build the parts of a gateway."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from gateway.access.gate import Gate
from gateway.access.limits import TurnLimits
from gateway.agents.agent import Agent
from gateway.agents.routing import Router
from gateway.app.backend import Backend, choose_backend
from gateway.app.due import DueWork
from gateway.app.feedback_hook import FeedbackHook, OnFeedback
from gateway.app.timers import Timer, Timers
from gateway.attachments.fetching import MEBIBYTE, FileFetcher
from gateway.channels.interface import Interface
from gateway.channels.presenter import Presenter
from gateway.history.sessions import Sessions
from gateway.inbox.inbox import Inbox
from gateway.inbox.intake import Intake
from gateway.inbox.people import People
from gateway.logs import describe
from gateway.operations.feedback import FeedbackStore
from gateway.operations.presence import Presence
from gateway.operations.retention import Retention
from gateway.outbox.delivery import Deliverer, DeliveryPolicy
from gateway.outbox.outbox import Outbox
from gateway.outbox.reports import DeliveryReports
from gateway.outbox.sender import Sender
from gateway.retries import RetryPolicy
from gateway.settings import GatewaySettings, SignInCode
from gateway.storage.files import FileStore
from gateway.storage.leases import Leases
from gateway.timings import Timings
from gateway.turns.audit import Audit
from gateway.turns.drain import Drain
from gateway.turns.ending import Ending
from gateway.turns.joining import MessageJoiner
from gateway.turns.player import TurnPlayer
from gateway.turns.questions.asking import Asking
from gateway.turns.questions.deciding import Deciding
from gateway.turns.questions.reading import OpenQuestions
from gateway.turns.questions.waiting import WaitingQuestions
from gateway.turns.reading import MessageReader
from gateway.turns.replies import Reply
from gateway.turns.replies.agent_answer import AgentAnswer, RequestValues
from gateway.turns.replies.commands import CommandReply
from gateway.turns.replies.denial import DenialNotice
from gateway.turns.replies.earlier_files import HistoryWithFiles
from gateway.turns.replies.greeting import GreetingReply
from gateway.turns.replies.question import QuestionReply
from gateway.turns.replies.sign_in_code import SignInCodeReply
from gateway.turns.replies.stopped import StoppableAnswer
from gateway.turns.runner import CopyRunner
from gateway.turns.stores import Stores
from gateway.turns.summaries import SummarizedHistory
from oauth import ConsentHooks, Identity, Keyring, OAuthCoordinator, OAuthProvider
from oauth.consent.hooks import ReturnLink
from oauth.settings import going_on, not_set, uses_placeholders

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """The arguments of a gateway, from which its parts are built.

    Args:
        interfaces: the channels, by name.
        request_values: a function of a message that returns values for the request context of its turn.
        max_concurrent_turns: how many turns run at once in this process.
        on_feedback: called with each change of a rating; `None` if there is no such function.
        database_origin: where the URL of the database is configured; `None` for the environment.
    """

    router: Router
    interfaces: Mapping[str, Interface]
    settings: GatewaySettings
    request_values: RequestValues
    max_concurrent_turns: int
    timings: Timings
    on_feedback: OnFeedback | None = None
    database_origin: str | None = None

    def team(self) -> Iterator[Agent]:
        """Yield all agents, with their members at every depth."""
        for agent in self.router.agents:
            yield from agent.team()


class Parts:
    """The parts of a gateway. Each part is a cached property, which builds it on first use."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._settings = setup.settings
        self._timings = setup.timings

    def build(self) -> None:
        """Build all parts now.

        Raises:
            SettingError: naming a setting that is missing or malformed.
        """
        with going_on():
            assert self.backend is not None
        _, *parts = self.oauth, self.timers, self.drain, self.intake, self.sender
        assert None not in parts

    @cached_property
    def backend(self) -> Backend:
        setup = self._setup
        return choose_backend(setup.settings, setup.max_concurrent_turns, setup.timings, setup.database_origin)

    @cached_property
    def keyring(self) -> Keyring | None:
        key = self._settings.secret_key
        if uses_placeholders():
            return Keyring.parse(Keyring.generate())
        with going_on():
            return Keyring.parse(key.get_secret_value()) if key is not None else None
        return Keyring.parse(Keyring.generate())

    @cached_property
    def presenters(self) -> Mapping[str, Presenter]:
        return {channel: interface.presenter for channel, interface in self._setup.interfaces.items()}

    @property
    def router(self) -> Router:
        return self._setup.router

    @cached_property
    def stored_files(self) -> FileStore:
        return FileStore(self.backend.database)

    @cached_property
    def leases(self) -> Leases:
        return Leases(self.backend.database, self._settings.takeover_seconds)

    @cached_property
    def files(self) -> FileFetcher:
        return FileFetcher(self.most_attachment_bytes)

    @property
    def most_attachment_bytes(self) -> int:
        """The largest accepted size of a file that somebody sends, in bytes."""
        return round(self._settings.max_attachment_mb * MEBIBYTE)

    @cached_property
    def inbox(self) -> Inbox:
        backend, edits = self.backend, self._settings.answer_edits
        place = (backend.database, backend.dispatcher)
        return Inbox(*place, self._oldest, self._timings, answer_edits=edits, limits=self.limits)

    @cached_property
    def limits(self) -> TurnLimits | None:
        """The limits of turns; `None` if the operator has set none."""
        set_to = {"minute": self._settings.turns_per_minute, "day": self._settings.turns_per_day}
        limits = {name: limit for name, limit in set_to.items() if limit is not None}
        is_answer = self.open_questions.is_answered_by
        return TurnLimits(self.backend.database, self.presenters, is_answer, limits) if limits else None

    @cached_property
    def intake(self) -> Intake:
        return Intake(self.inbox, self._settings.max_waiting_messages, self._timings.accept)

    @cached_property
    def gate(self) -> Gate:
        return Gate(self.backend.database, self._setup.interfaces, self._settings.approvers)

    @cached_property
    def people(self) -> People:
        return People(self.backend.database, self.inbox)

    @cached_property
    def sessions(self) -> Sessions:
        idle = self._settings.session_idle_hours
        return Sessions(self.backend.database, timedelta(hours=idle) if idle is not None else None)

    @cached_property
    def oauth(self) -> OAuthCoordinator | None:
        """The coordinator of the OAuth providers whose accounts the agents' tools use; `None` if they use none."""
        owners = [owner for owner in self._account_owners() if isinstance(owner.auth, OAuthProvider)]
        if not owners:
            return None
        keyring, base_url = self._keyring_for(owners), self._settings.base_url
        vouch = self._vouched_email if self._settings.sign_in_code is SignInCode.UNLESS_VOUCHED else None
        hooks = ConsentHooks(self.inbox.unpark, vouch, self._tell_of_denial, self._return_link)
        coordinator = OAuthCoordinator(self.backend.database, keyring, base_url, hooks, self._timings.oauth)
        for owner in owners:
            coordinator.register(owner.auth, owner.scopes)
        return coordinator

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.backend.database, self.inbox, self.stored_files)

    @cached_property
    def deliverer(self) -> Deliverer:
        settings = self._settings
        retries = RetryPolicy(settings.delivery_tries, self._timings.longest_pause)
        policy = DeliveryPolicy(retries, self._oldest, settings.ambiguous_sends)
        return Deliverer(self.outbox, self.presenters, self.oauth, policy, self._timings)

    @cached_property
    def delivery_reports(self) -> DeliveryReports:
        return DeliveryReports(self.backend.database, self.inbox, self.outbox, self.deliverer)

    @cached_property
    def stores(self) -> Stores:
        return Stores(self.backend.database, self.inbox, self.outbox, self.deliverer, self.sessions, self.stored_files)

    @cached_property
    def sender(self) -> Sender:
        return Sender(self.backend.database, self.inbox, self.outbox, self.presenters, self.stored_files)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.backend.database, content=self._settings.audit_content)

    @cached_property
    def open_questions(self) -> OpenQuestions:
        return OpenQuestions(self.backend.database, self.presenters)

    @cached_property
    def asking(self) -> Asking:
        return Asking(self.stores, self.presenters, self.open_questions, self._settings.approvers)

    @cached_property
    def waiting_questions(self) -> WaitingQuestions:
        return WaitingQuestions(self.backend.database, self.presenters, self._settings.approvers)

    @cached_property
    def deciding(self) -> Deciding:
        return Deciding(self.stores, self.presenters, self.asking, self._settings.approvers)

    @cached_property
    def denials(self) -> DenialNotice:
        return DenialNotice(self.stores, self.presenters)

    @cached_property
    def runner(self) -> CopyRunner:
        return CopyRunner(self.oauth, self.audit, self.sender, self._settings.private_answers, self._timings)

    @cached_property
    def feedback_hook(self) -> FeedbackHook:
        return FeedbackHook(self._setup.on_feedback, self._timings)

    @cached_property
    def feedback(self) -> FeedbackStore:
        return FeedbackStore(self.backend.database, self.presenters, self.feedback_hook.tell)

    @cached_property
    def history(self) -> SummarizedHistory:
        return SummarizedHistory(self.sessions, self._setup.router.agents, self._settings.session_tokens, self._timings)

    @cached_property
    def reader(self) -> MessageReader:
        return MessageReader(self._setup.interfaces, self._setup.router, self._timings)

    @cached_property
    def replies(self) -> list[Reply]:
        """The replies, in the order in which a message tries them: the first that fits answers the message."""
        history = HistoryWithFiles(self.history, self.inbox, self.reader)
        setup = self._setup
        agent_answer = AgentAnswer(self.runner, history, setup.request_values, setup.settings.turn_tries, setup.timings)
        return [
            QuestionReply(self.open_questions, self.deciding),
            *([SignInCodeReply(self.oauth)] if self.oauth is not None else []),
            CommandReply(self.oauth),
            GreetingReply(),
            StoppableAnswer(agent_answer, self.inbox.stops),
        ]

    @cached_property
    def player(self) -> TurnPlayer:
        joiner = MessageJoiner(self.inbox, self.reader, self.open_questions, self._timings)
        retries = RetryPolicy(self._settings.turn_tries, self._timings.longest_pause)
        ending = Ending(self.stores, self.asking, self.deciding, self._settings.private_answers, retries)
        return TurnPlayer(self.backend.database, self.reader, joiner, self.replies, ending)

    @cached_property
    def drain(self) -> Drain:
        return Drain(self.inbox, self.deliverer, self.player)

    @cached_property
    def presence(self) -> Presence:
        return Presence(self.backend.database, self._setup.interfaces)

    @cached_property
    def heartbeat(self) -> Timers:
        """The timer of every process. `timers` run only in processes that play turns."""
        return Timers([Timer("the report that this process runs", self._timings.presence, self.presence.report)])

    @cached_property
    def timers(self) -> Timers:
        due = DueWork(self.backend.database, self.inbox, self.outbox, self.deciding)
        timers = [
            Timer("the search for messages and deliveries that are due", self._timings.due_interval, due.resume),
            Timer("the search for turns that were stopped", self._timings.stop_interval, self.inbox.stops.look),
        ]
        if self._settings.keep_days is not None:
            retention = Retention(self.backend.database, timedelta(days=self._settings.keep_days))
            timers.append(Timer("the removal of old rows", self._timings.removal_interval, retention.remove))
        if self.oauth is not None:
            timers.append(Timer("the clean-up of sign-ins", self._timings.clean_up_interval, self.oauth.clean_up))
        return Timers(timers)

    @property
    def _oldest(self) -> timedelta:
        return timedelta(hours=self._settings.answer_within_hours)

    def _account_owners(self) -> Iterator[Any]:
        """Yield the objects that may have an OAuth provider: agents, toolkits and MCP servers."""
        for agent in self._setup.team():
            yield from (agent, *agent.toolkits, *agent.mcp_servers)

    def _keyring_for(self, owners: list[Any]) -> Keyring:
        """Return the keyring, which every account needs.

        Raises:
            SettingError: if its key is not set.
        """
        if self.keyring is not None:
            return self.keyring
        users = " and ".join(sorted({type(owner).__name__ for owner in owners}))
        with going_on():
            raise not_set(
                "UNDERSTUDY_SECRET_KEY",
                f"It encrypts the tokens of people's accounts for {users}: make a key with `understudy keys new`.",
            )
        return Keyring.parse(Keyring.generate())

    async def _vouched_email(self, identity: Identity) -> str | None:
        presenter = self.presenters.get(identity.channel)
        return None if presenter is None else await presenter.vouched_email(identity)

    async def _return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        presenter = self.presenters.get(identity.channel)
        if presenter is None:
            return None
        try:
            async with asyncio.timeout(self._timings.return_link):
                return await presenter.return_link(identity, code)
        except Exception as error:  # noqa: BLE001 - any error of a platform's library: the person can send the code
            log.warning("the sign-in page has no way back to %s: %s", identity.channel, describe(error))
            return None

    async def _tell_of_denial(self, identity: Identity, provider: str) -> None:
        assert self.oauth is not None
        await self.denials.send(identity, provider, self.oauth.label(provider))
