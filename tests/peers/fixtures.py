"""The peers as pytest fixtures: in conftest.py, `from peers.fixtures import *`.

Each server is started once a session and reset for each test. A test is skipped, with the reason, if it asks for a
server that cannot be had on this machine (no Node, no npm).
"""

from collections.abc import Iterator

import pytest

from peers.aimock import Aimock
from peers.emulate.server import Emulate
from peers.node import UnavailableError
from peers.postgres import PostgresServer
from peers.serving import Receiver
from peers.telegram.server import TelegramServer

__all__ = [
    "aimock",
    "aimock_server",
    "emulate",
    "emulate_server",
    "postgres",
    "receiver",
    "receiver_server",
    "telegram",
    "telegram_server",
]


@pytest.fixture(scope="session")
def emulate_server(processes: None) -> Iterator[Emulate]:
    """Google, Slack, Twilio and GitHub, for the session. Tests ask for `emulate`."""
    server = Emulate()
    try:
        server.start()
    except UnavailableError as reason:
        pytest.skip(f"no emulated Google, Slack and Twilio: {reason}")
    yield server
    server.stop()


@pytest.fixture
def emulate(emulate_server: Emulate) -> Iterator[Emulate]:
    """Google, Slack, Twilio and GitHub as seed.py has them, connected to nothing: see `Emulate.connect`."""
    emulate_server.disconnect()
    emulate_server.reset()
    yield emulate_server
    emulate_server.disconnect()


@pytest.fixture(scope="session")
def telegram_server() -> Iterator[TelegramServer]:
    """Telegram's Bot API, for the session. Tests ask for `telegram`."""
    with TelegramServer() as server:
        yield server


@pytest.fixture
def telegram(telegram_server: TelegramServer) -> TelegramServer:
    """Telegram's Bot API, where nobody has written yet and no webhook is set."""
    telegram_server.reset()
    return telegram_server


@pytest.fixture(scope="session")
def aimock_server(processes: None) -> Iterator[Aimock]:
    """The scripted model, for the session. Tests ask for `aimock`."""
    server = Aimock()
    try:
        server.start()
    except UnavailableError as reason:
        pytest.skip(f"no scripted model: {reason}")
    yield server
    server.stop()


@pytest.fixture
def aimock(aimock_server: Aimock) -> Aimock:
    """The scripted model with no script yet: see `Aimock.load`."""
    aimock_server.load([])
    return aimock_server


@pytest.fixture(scope="session")
def receiver_server() -> Iterator[Receiver]:
    """A receiver for the session. Tests ask for `receiver`."""
    with Receiver() as server:
        yield server


@pytest.fixture
def receiver(receiver_server: Receiver) -> Receiver:
    """A server that takes any request and remembers it."""
    receiver_server.reset()
    return receiver_server


@pytest.fixture(scope="session")
def postgres(processes: None) -> Iterator[PostgresServer]:
    """PostgreSQL, for the session: `make()` makes a database for the test."""
    with PostgresServer() as server:
        yield server
