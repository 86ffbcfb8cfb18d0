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

    A webhook's path is short: verify the request, hand an `Event` to `host.accept`, answer. Whatever else a message
    needs is done in `parse`, in the turn.

    Attributes:
        channel: the name of the channel. It is part of every stored key, so that it never changes.
        address: the path that the platform calls. The operator is shown it at the start.
        presenter: shows turns in the channel.
        setting_groups: groups of settings that the environment may have; each of them alone sets the channel up.
    """

    channel: ClassVar[str]
    setting_groups: ClassVar[Sequence[type[Settings]]] = ()
    address: str
    presenter: Presenter

    _host: Host | None = None

    @classmethod
    def configured(cls) -> bool:
        """Return whether the environment has required settings of this channel, so that `understudy serve` adds it."""
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
        """Return the routes of the channel's webhooks and pages. They are there before `start`."""

    async def start(self, host: Host) -> None:
        """Begin to take requests and to send.

        It runs once in each process of the gateway: in `understudy serve`, which takes events and on SQLite also plays
        turns, and in each `understudy worker`, which plays turns and takes no events. There may be several of both.
        `host.takes_events` tells the two apart.

        In both it may do what any number of processes can do at the same time: open clients, ask the platform who the
        bot is, set the webhook to the same address again. Where `host.takes_events`, it may also start a task that
        reads events from a socket. Each `understudy serve` opens a socket of its own: an event that several of them
        read is taken once, by its keys, and a platform that allows one connection needs a single `understudy serve`.

        A platform that cannot be reached is no reason to raise: messages wait in the outbox. An overriding method calls
        this one first.

        Raises:
            SettingError: if the platform rejects a setting. The process stops and says so.
        """
        self._host = host

    async def stop(self) -> None:
        """Take no more requests, and close what `start` opened. It runs even if `start` raised."""
        self._host = None

    @abstractmethod
    async def parse(self, payload: str) -> Message | None:
        """Return a stored payload as a message; `None` if there is nothing in it to answer.

        It runs in the turn, in whichever process plays it, and again if the turn is tried again.

        Raises:
            Exception: if the payload cannot be read now. It is tried again, and becomes a dead letter in the end.
        """

    async def read_quoted(self, message: Message, read_until: str) -> Sequence[QuotedMessage]:
        """Return what a message refers to, oldest first, where the platform has to be asked for it.

        It runs in the turn, when an agent is about to answer. What cannot be read is left out, and logged: the message
        is answered without it.

        Args:
            message: as `parse` returned it, or several that are answered together.
            read_until: the last `QuotedMessage.id` that the history of the conversation has; empty if it has none.
        """
        return message.quoted
