"""The implementation of the `Host` protocol, through which channels use the gateway."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from gateway.app.parts import Parts
from gateway.attachments.fetching import FileFetcher
from gateway.channels.commands import COMMANDS, OF_ACCOUNTS
from gateway.channels.event import DeliveryReport, Event, Feedback, Rating
from gateway.channels.host import Person
from gateway.channels.question import Press, PressOutcome, PressResult, QuestionCard
from gateway.channels.sentences import QUESTION_CLOSED
from gateway.history.threads import ThreadStore
from gateway.history.transcript import TranscriptEntry, load_transcript
from gateway.operations.suspension import AccountSuspension
from gateway.storage.files import FileStore
from oauth import Account, Identity, SettingError
from oauth.settings import not_set
from oauth.store.installations import InstallationStore
from toolkits import Conversation


class ChannelHost:
    """The gateway as its channels see it. `gateway.channels.host.Host` documents the methods."""

    def __init__(self, parts: Parts, base_url: str | None) -> None:
        self._parts = parts
        self._database = parts.backend.database
        self.base_url = base_url
        self.takes_events = False

    @property
    def files(self) -> FileFetcher:
        return self._parts.files

    @property
    def stored_files(self) -> FileStore:
        return self._parts.stored_files

    @property
    def most_upload_bytes(self) -> int:
        return self._parts.most_attachment_bytes

    @property
    def installations(self) -> InstallationStore:
        if self._parts.keyring is None:
            raise not_set(
                "UNDERSTUDY_SECRET_KEY",
                "It encrypts the tokens of the workspaces that install the app: make a key with `understudy keys new`.",
            )
        return InstallationStore(self._database, self._parts.keyring)

    async def accept(self, event: Event) -> bool:
        return await self._parts.gate.lets_in(event) and await self._parts.intake.accept(event)

    async def admits(self, identity: Identity, conversation: Conversation | None = None) -> bool:
        return await self._parts.gate.admits(identity, conversation)

    async def exclusively(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self._parts.leases.run(name, work)

    async def recognize(self, identity: Identity, platform_id: str | None) -> Person:
        return await self._parts.people.recognize(identity, platform_id)

    async def opt_out(self, identity: Identity, event_id: str) -> bool:
        return await self._parts.people.opt_out(identity, event_id)

    async def opt_in(self, identity: Identity, event_id: str) -> bool:
        return await self._parts.people.opt_in(identity, event_id)

    async def press(self, press: Press) -> PressResult:
        if not await self._parts.gate.admits_press(press):
            return PressResult(PressOutcome.CLOSED, QUESTION_CLOSED)
        return await self._parts.deciding.press(press)

    async def report_delivery(self, report: DeliveryReport) -> bool:
        return await self._parts.delivery_reports.report(report)

    async def rate(self, feedback: Feedback) -> bool:
        is_admitted = await self._parts.gate.admits(feedback.identity, feedback.conversation)
        return is_admitted and await self._parts.feedback.rate(feedback)

    async def ratings(self, identity: Identity, conversation: Conversation) -> Mapping[str, Rating]:
        return await self._parts.feedback.ratings(identity, conversation)

    async def stop(self, conversation: Conversation, author: str) -> bool:
        return await self._parts.inbox.stops.stop(conversation, author)

    async def played_for(self, channel: str, tenant: str, author: str) -> Sequence[Conversation]:
        return await self._parts.inbox.stops.played_for(channel, tenant, author)

    async def has_answered_in(self, conversation: Conversation) -> bool:
        return await self._parts.inbox.knows(conversation)

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        await self._parts.gate.move(conversation, conversation_id)
        await self._parts.inbox.move(conversation, conversation_id)

    async def publish(self, conversation: Conversation, message: str) -> None:
        await self._parts.backend.pubsub.publish(_topic(conversation), message)

    async def subscribe(self, conversation: Conversation) -> AbstractContextManager[asyncio.Queue[str | None]]:
        return await self._parts.backend.pubsub.subscribe(_topic(conversation))

    async def is_busy(self, conversation: Conversation) -> bool:
        return await self._parts.inbox.is_busy(conversation)

    @property
    def threads(self) -> ThreadStore:
        return ThreadStore(self._database)

    async def transcript(self, conversation: Conversation) -> Sequence[TranscriptEntry]:
        async with self._database.read() as connection:
            return await load_transcript(connection, conversation, self._parts.stored_files)

    def commands(self, channel: str, tenant: str) -> Mapping[str, str]:
        own = {name: text for name, text in COMMANDS.items() if self.providers or name not in OF_ACCOUNTS}
        return own | self._parts.router.commands(channel, tenant)

    def description(self, channel: str, tenant: str) -> str:
        return self._parts.router.agent_of(channel, tenant).description

    def prompts(self, channel: str, tenant: str) -> Sequence[str]:
        return self._parts.router.agent_of(channel, tenant).prompts

    @property
    def providers(self) -> Sequence[str]:
        return [] if self._parts.oauth is None else self._parts.oauth.providers

    async def accounts(self, identity: Identity) -> Sequence[Account]:
        return [] if self._parts.oauth is None else await self._parts.oauth.accounts(identity)

    async def disconnect(self, identity: Identity, provider: str) -> None:
        if self._parts.oauth is not None:
            await self._parts.oauth.disconnect(identity, provider)

    async def suspend(self, identity: Identity) -> None:
        await AccountSuspension(self._database).suspend(identity, identity.channel)

    async def open_questions(self, identity: Identity) -> Sequence[QuestionCard]:
        return await self._parts.waiting_questions.of(identity)

    def provider_label(self, provider: str) -> str:
        return provider if self._parts.oauth is None else self._parts.oauth.label(provider)

    async def sign_in_link(self, identity: Identity, name: str, provider: str) -> str:
        if self._parts.oauth is None:
            raise SettingError(f"There is no sign-in link for {provider!r}: no toolkit of the agent needs an account.")
        return await self._parts.oauth.sign_in_link(identity, provider, name)


def _topic(conversation: Conversation) -> str:
    return json.dumps([conversation.channel, conversation.tenant, conversation.id])
