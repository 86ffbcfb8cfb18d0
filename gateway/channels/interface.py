"""The base class of channels."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from gateway.channels.host import Host
from gateway.channels.presenter import Presenter
from gateway.retries import UNKNOWN_WAIT
from oauth.settings import Settings
from toolkits import Message, QuotedMessage


class Interface(ABC):
    """A channel: its webhooks, its parser and its presenter.

    The route of a webhook does little: it verifies the request, hands an `Event` to `host.accept`, and answers. All
    other work on a message is done later, by `parse` in the turn.

    Attributes:
        channel: the name of the channel. It is part of every stored key, so it must never change.
        address: the path that the platform calls. `understudy serve` prints it at the start.
        presenter: shows turns in the channel.
        setting_groups: groups of settings from the environment. Any one of these groups is enough for the channel.
    """

    channel: ClassVar[str]
    setting_groups: ClassVar[Sequence[type[Settings]]] = ()
    address: str
    presenter: Presenter

    _host: Host | None = None

    @classmethod
    def configured(cls) -> bool:
        """Return whether the environment has required settings of this channel. If so, `understudy serve` adds it."""
        return any(group.mentioned() for group in cls.setting_groups)

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

    async def start(self, host: Host) -> None:
        """Begin to take requests and to send.

        This method runs once in each process of the gateway: in `understudy serve`, which takes events and on SQLite
        also plays turns, and in `understudy worker`, which plays turns and takes no events. There may be several
        processes of both kinds. `host.takes_events` tells them apart.

        In every process, it may do what any number of processes can do at the same time: open clients, ask the platform
        who the bot is, set the webhook to the same address again. If `host.takes_events`, it may also start a task that
        reads events from a socket. Each `understudy serve` then opens its own socket. An event that several processes
        read is accepted once, because of its keys. If a platform allows only one connection, run one
        `understudy serve`.

        Do not raise if the platform cannot be reached: messages wait in the outbox. An overriding method calls this
        method first.

        Raises:
            SettingError: if the platform rejects a setting. The process prints the error and stops.
        """
        self._host = host

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
