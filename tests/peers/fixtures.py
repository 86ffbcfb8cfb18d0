"""The stand-ins as pytest fixtures. A conftest.py gets them with `from peers.fixtures import *`.

Each server starts once for each session and is reset before each test. Tests that ask for a server which cannot run on
this machine (without Node or npm) are skipped, with the reason.
"""

from collections.abc import Iterator

import pytest

from peers.aimock import Aimock
from peers.emulate.server import Emulate
from peers.node import UnavailableError
from peers.postgres import PostgresServer
from peers.serving import Receiver
from peers.socket_mode.server import SocketModeServer
from peers.telegram.server import TelegramServer

__all__ = [
    "aimock",
    "aimock_server",
    "emulate",
    "emulate_server",
    "postgres",
    "receiver",
    "receiver_server",
    "socket_mode",
    "telegram",
    "telegram_server",
]


@pytest.fixture(scope="session")
def emulate_server(processes: None) -> Iterator[Emulate]:
    """Start the stand-ins for Google, Slack, Twilio and GitHub, for the session. Tests ask for `emulate`."""
    server = Emulate()
    try:
        server.start()
    except UnavailableError as reason:
        pytest.skip(f"The stand-ins for Google, Slack, Twilio and GitHub cannot run: {reason}")
    yield server
    server.stop()


@pytest.fixture
def emulate(emulate_server: Emulate) -> Emulate:
    """Google, Slack, Twilio and GitHub with the data of seed.py. `Emulate.connect` connects them to a gateway."""
    emulate_server.reset()
    return emulate_server


@pytest.fixture
def socket_mode(emulate: Emulate) -> Iterator[SocketModeServer]:
    """Slack with Socket Mode, which is less patient than Slack."""
    with SocketModeServer(emulate.slack_url, patience=1.0, retries=(0.0, 0.5, 1.0)) as server:
        yield server


@pytest.fixture(scope="session")
def telegram_server() -> Iterator[TelegramServer]:
    """Start the stand-in for Telegram's Bot API, for the session. Tests ask for `telegram`."""
    with TelegramServer() as server:
        yield server


@pytest.fixture
def telegram(telegram_server: TelegramServer) -> TelegramServer:
    """Telegram's Bot API, for a bot that has no chats and no webhook yet."""
    telegram_server.reset()
    return telegram_server


@pytest.fixture(scope="session")
def aimock_server(processes: None) -> Iterator[Aimock]:
    """Start the scripted model, for the session. Tests ask for `aimock`."""
    server = Aimock()
    try:
        server.start()
    except UnavailableError as reason:
        pytest.skip(f"The scripted model cannot run: {reason}")
    yield server
    server.stop()


@pytest.fixture
def aimock(aimock_server: Aimock) -> Aimock:
    """The scripted model without a script. `Aimock.load` gives it one."""
    aimock_server.load([])
    return aimock_server


@pytest.fixture(scope="session")
def receiver_server() -> Iterator[Receiver]:
    """Start a receiver, for the session. Tests ask for `receiver`."""
    with Receiver() as server:
        yield server


@pytest.fixture
def receiver(receiver_server: Receiver) -> Receiver:
    """A server that accepts and records every request."""
    receiver_server.reset()
    return receiver_server


@pytest.fixture(scope="session")
def postgres(processes: None) -> Iterator[PostgresServer]:
    """PostgreSQL, for the session. `make()` makes a new database."""
    with PostgresServer() as server:
        yield server
