"""The base class of channels."""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from gateway.channels.diagnosis import Finding
from gateway.channels.host import Host
from gateway.channels.presenter import Presenter
from gateway.channels.refusals import RefusalLog
from gateway.retries import UNKNOWN_WAIT
from oauth.errors import SettingError
from oauth.settings import Settings, may_use_placeholders
from oauth.store.installations import InstallationStore
from toolkits import Message, QuotedMessage

NAME = re.compile("[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class BotProfile:
    """The bot of a gateway, as a platform introduces it to people.

    Args:
        base_url: the gateway's public address, without a slash at the end; `None` if the operator did not set it.
        name: the name of the agent that answers messages without a command.
        description: the description of this agent.
        commands: the descriptions of the commands that choose another agent, by command, without the slash.
        has_accounts: whether people can connect accounts.
    """

    base_url: str | None
    name: str
    description: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)
    has_accounts: bool = True


class AccessPolicy(StrEnum):
    """Whom the agent answers in a channel: docs/access.md explains it."""

    #: Everybody.
    OPEN = "open"
    #: Only the people, chats and workspaces on the access list.
    ALLOWLIST = "allowlist"
    #: The same. Others who write directly get a code, with which an operator admits them.
    PAIRING = "pairing"


class Interface(ABC):
    """A channel: its webhooks, its parser and its presenter.

    The route of a webhook does little: it verifies the request, hands an `Event` to `host.accept`, and answers. All
    other work on a message is done later, by `parse` in the turn.

    A gateway may have several interfaces of a class, each with a name: `Telegram(name="support")` is the channel
    `telegram.support`. Every key that is stored contains the channel, so that they share nothing.

    Args:
        name: the name of one of several interfaces: lower-case letters, digits and hyphens, at most 32 characters.

    Attributes:
        name: the name of the interface; `None` if it has none.
        channel: the name of the channel, followed by a dot and the name of the interface, if it has one. It is part of
            every stored key, so it must never change.
        address: the path that the platform calls.
        presenter: shows turns in the channel.
        setting_groups: groups of settings from the environment. Any one of these groups is enough for the channel.
        access: whom the agent answers in this channel. The gateway checks it.
        platform_ids: what the bot, the app or the number is known by at its platform. Two interfaces of a class must
            not share one.

    Raises:
        SettingError: if the name is malformed.
    """

    channel: str
    setting_groups: ClassVar[Sequence[type[Settings]]] = ()
    address: str
    presenter: Presenter
    name: str | None = None
    access: AccessPolicy = AccessPolicy.OPEN
    platform_ids: Collection[str] = ()

    _host: Host | None = None

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            return
        if not NAME.fullmatch(name):
            raise SettingError(
                f"{type(self).__name__}(name={name!r}): a name has lower-case letters, digits and hyphens, and at most "
                "32 characters, like support."
            )
        self.name = name
        self.channel = f"{self.channel}.{name}"
        self.address = self.path_of(self.address)

    @classmethod
    def configured(cls) -> bool:
        """Return whether the environment has required settings of this channel. If so, `understudy serve` adds it."""
        return any(group.mentioned() for group in cls.setting_groups)

    def path_of(self, path: str) -> str:
        """Return the path of a route of this interface: `/telegram/support/webhook` for `/telegram/webhook`."""
        if self.name is None:
            return path
        first, slash, rest = path.removeprefix("/").partition("/")
        return f"/{first}/{self.name}{slash}{rest}"

    def conflict_with(self, other: "Interface") -> str | None:
        """Return why one gateway cannot have this interface and another one; `None` if it can."""
        if self.channel == other.channel:
            return (
                f"There is more than one interface for the channel {self.channel}: keep one of them, or give each a "
                f'name, as in {type(self).__name__}(name="support").'
            )
        if may_use_placeholders():  # they may be the same
            return None
        if type(self).channel == type(other).channel and not set(self.platform_ids).isdisjoint(other.platform_ids):
            return (
                f"The channels {self.channel} and {other.channel} are set up as the same bot, app or number: keep one "
                "of them, or give each the settings of its own."
            )
        return None

    @cached_property
    def refusals(self) -> RefusalLog:
        """Logs the webhooks that the channel refuses, and remembers the last one for `understudy status`."""
        return RefusalLog(self.channel)

    @property
    def host(self) -> Host:
        """The gateway that runs this channel.

        Raises:
            HTTPException: 503 before `start` and after `stop`, so that the platform delivers the request again.
        """
        if self._host is None:
            raise HTTPException(503, headers={"Retry-After": str(int(UNKNOWN_WAIT))})
        return self._host

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the channel's webhooks and pages. They are served even before `start`."""

    def events_from(self, base_url: str | None) -> str:
        """Return where the events come from, which `understudy serve` prints at the start: by default the webhook.

        Args:
            base_url: the public address of the gateway.
        """
        return f"{base_url or '(UNDERSTUDY_BASE_URL is not set)'}{self.address}"

    def manifest(self, profile: BotProfile) -> Mapping[str, Any] | None:
        """Return the description from which the platform creates the bot; `None` if the platform takes none.

        Raises:
            SettingError: if a setting that it needs is missing.
        """
        return None

    async def diagnose(self, profile: BotProfile) -> AsyncIterator[Finding]:
        """Check the settings at the platform, for `understudy doctor`; by default, check nothing.

        The channel is not started, and other processes may run it: change nothing. Yield each finding when it is there,
        since the time is limited; what the platform refuses is a finding, not an error.
        """
        nothing: Sequence[Finding] = ()
        for finding in nothing:
            yield finding

    async def diagnose_installations(
        self, profile: BotProfile, installations: InstallationStore
    ) -> AsyncIterator[Finding]:
        """Try the stored tokens of the workspaces that installed the app, by the rules of `diagnose`.

        By default, there are none.
        """
        nothing: Sequence[Finding] = ()
        for finding in nothing:
            yield finding

    async def start(self, host: Host) -> None:
        """Begin to take requests and to send.

        This method runs once in each process of the gateway: in `understudy serve`, which takes events and on SQLite
        also plays turns, and in `understudy worker`, which plays turns and takes no events. There may be several
        processes of both kinds. `host.takes_events` tells them apart.

        In every process, it may do what any number of processes can do at the same time: open clients, ask the platform
        who the bot is, set the webhook to the same address again. A channel that reads events from a socket does so in
        `taking_events`.

        Do not raise if the platform cannot be reached: messages wait in the outbox. An overriding method calls this
        method first.

        Raises:
            SettingError: if the platform rejects a setting. The process prints the error and stops.
        """
        self._host = host

    @asynccontextmanager
    async def taking_events(self) -> AsyncIterator[None]:
        """Read events from a socket, or poll for them, while the block runs.

        The block runs only in processes that take events. All channels have started before it begins, and
        `host.accept` takes events until it has ended: take no more events then, and finish those in hand. Each
        `understudy serve` has its own block; an event that several processes read is accepted once, because of its
        keys.

        Raises:
            SettingError: if the platform rejects a setting. The process prints the error and stops.
        """
        yield

    @property
    def outage(self) -> str | None:
        """Why the channel gets no events at the moment, for `/readyz`, which then answers 503; `None` if it does."""
        return None

    async def stop(self) -> None:
        """Take no more requests, and close what `start` opened. It runs even if `start` raised."""
        self._host = None

    @abstractmethod
    async def parse(self, payload: str) -> Message | None:
        """Parse a stored payload into a message; return `None` if it contains nothing to answer.

        This method runs in the turn, in the process that plays it, and again at each retry of the turn.

        Raises:
            Exception: if the payload cannot be parsed now. The turn is retried, and after the last try the message
                becomes a dead letter.
        """

    async def read_quoted(self, message: Message, read_until: str) -> Sequence[QuotedMessage]:
        """Return the messages that a message refers to, oldest first. Override it to ask the platform for them.

        This method runs in the turn, when an agent is about to answer. An implementation logs and leaves out messages
        that it cannot read: the message is answered without them.

        Args:
            message: the message that `parse` returned, or the combination of several that are answered together.
            read_until: the last `QuotedMessage.id` in the history of the conversation; empty if there is none.
        """
        return message.quoted
