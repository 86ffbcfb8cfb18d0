"""A channel: its routes, its parser and its presenter."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from gateway.channels.host import Host
from gateway.channels.presenter import Presenter
from gateway.retries import UNKNOWN_WAIT
from oauth.settings import Settings
from toolkits import Message


class Interface(ABC):
    """The base class of channels.

    Attributes:
        channel: the name of the channel, which is part of every key that is stored: never change it.
        address: the path that the platform calls, which the operator is shown.
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
            HTTPException: 503 before `start` and after `stop`: the platform delivers the request again.
        """
        if self._host is None:
            raise HTTPException(503, headers={"Retry-After": str(int(UNKNOWN_WAIT))})
        return self._host

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the channel's webhooks and pages."""

    async def start(self, host: Host) -> None:
        """Begin to take requests.

        It is called in each process that takes messages or plays turns, workers included. An overriding method calls
        it first.

        Raises:
            SettingError: if the platform rejects a setting.
        """
        self._host = host

    async def stop(self) -> None:
        """Take no more requests, and free what `start` opened. It is called also where `start` raised."""
        self._host = None

    @abstractmethod
    async def parse(self, payload: str) -> Message | None:
        """Return a stored payload as a message; `None` if there is nothing to answer in it."""
