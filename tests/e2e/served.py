"""Run `understudy serve` and `understudy worker` in child processes, with a new database."""

import signal
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from commands import Command, environment
from peers import seed
from peers.emulate.server import Emulate
from peers.process import free_ports
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until

from oauth import Keyring

START_TIMEOUT = 60.0  # seconds
WORKER_STARTED = "Understudy answers the messages of"  # in the log of a worker that has started
ROOT = Path(__file__).parents[2]
AGENTS = Path(__file__).with_name("agents")


class Served:
    """A gateway that `understudy serve FILE` runs, with its workers, connected to the stand-ins for the platforms.

    Attributes:
        gate: the path of a file that tells an agent of `agents/` to wait or to continue. The agent gets it as GATE.
    """

    def __init__(self, target: Path, directory: Path, emulate: Emulate, telegram: TelegramServer, **env: str) -> None:
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        self.target = target
        self.database = directory / "understudy.db"
        self.log = directory / "log.txt"
        self.gate = directory / "gate"
        self._child: Command | None = None
        self._workers: list[Command] = []
        self._started = 0  # the number of workers, including those that have ended
        self._directory = directory
        self._env = self._environment(emulate, telegram) | env
        emulate.connect(
            [f"{self.url}/oauth/google/callback"], f"{self.url}/slack/events", f"{self.url}/whatsapp/webhook"
        )

    @property
    def pid(self) -> int:
        """The process id of the gateway."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        self._child = self._run("serve", str(self.target), "--port", self.url.rpartition(":")[2])
        wait_until(self._is_ready, START_TIMEOUT, "understudy serve is ready")

    def work(self) -> int:
        """Start one more worker, wait until it is ready for turns, and return its process id. Needs PostgreSQL."""
        worker = self._run("worker", str(self.target))
        self._workers.append(worker)
        self._started += 1

        def is_working() -> bool:
            assert worker.poll() is None, f"the worker has ended:\n{self.output()}"
            is_known = bool(httpx.get(f"{self.url}/readyz", trust_env=False).json()["workers"])
            return is_known and self.output().count(WORKER_STARTED) == self._started

        wait_until(is_working, START_TIMEOUT, "understudy worker is ready for turns")
        return worker.pid

    def kill_worker(self, pid: int) -> None:
        worker = next(worker for worker in self._workers if worker.pid == pid)
        self._workers.remove(worker)
        worker.kill()
        worker.wait()

    def _run(self, *arguments: str) -> Command:
        with self.log.open("ab") as log:
            return Command(*arguments, directory=self._directory, env=self._env, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def stop(self) -> int:
        """Send SIGTERM to all processes, and return the exit status of the gateway or of a worker that failed."""
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        while self._workers:
            if status := self._workers.pop().wait(20):
                return status
        assert self._child is not None
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(statement).fetchall()

    def stored_bytes(self) -> bytes:
        """Return the bytes of the database file and of its write-ahead log."""
        return b"".join(path.read_bytes() for path in self._directory.glob("understudy.db*"))

    def output(self) -> str:
        return self.log.read_text()

    def _is_ready(self) -> bool:
        assert self._child is not None
        assert self._child.poll() is None, f"the gateway has ended:\n{self.output()}"
        try:
            # On PostgreSQL the gateway answers before it has a worker: the number of workers may be 0.
            return "workers" in httpx.get(f"{self.url}/readyz", trust_env=False).json()
        except httpx.TransportError:
            return False

    def _environment(self, emulate: Emulate, telegram: TelegramServer) -> dict[str, str]:
        return environment(
            self._directory,
            GATE=str(self.gate),
            UNDERSTUDY_DATABASE_URL=f"sqlite:///{self.database}",
            UNDERSTUDY_BASE_URL=self.url,
            UNDERSTUDY_SECRET_KEY=Keyring.generate(),
            GOOGLE_CLIENT_ID=emulate.client_id,
            GOOGLE_CLIENT_SECRET=emulate.client_secret,
            GOOGLE_BASE_URL=emulate.google_url,
            **platform_environment(emulate, telegram),
        )


def platform_environment(emulate: Emulate, telegram: TelegramServer) -> dict[str, str]:
    """Return the settings of the three channels, with the URLs of the stand-ins for the platforms."""
    return {
        "SLACK_BOT_TOKEN": emulate.bot_token,
        "SLACK_SIGNING_SECRET": emulate.signing_secret,
        "SLACK_API_URL": emulate.slack_url,
        "TELEGRAM_BOT_TOKEN": telegram.token,
        "TELEGRAM_WEBHOOK_SECRET": updates.SECRET_TOKEN,
        "TELEGRAM_API_URL": telegram.url,
        "TWILIO_ACCOUNT_SID": emulate.account_sid,
        "TWILIO_AUTH_TOKEN": emulate.auth_token,
        "TWILIO_WHATSAPP_FROM": emulate.whatsapp_number,
        "TWILIO_API_URL": emulate.twilio_url,
    }


def assert_only_mail_of(person: seed.Person, texts: Iterable[str]) -> None:
    """Check that each text contains this person's mail and nobody else's."""
    for text in texts:
        assert person.marker("MAIL", 1) in text
        for other in seed.PEOPLE.values():
            # Look for the whole marker, since a generated id may contain the name, such as thr_YFgeBOBV5FFnr.
            assert other is person or other.marker("MAIL", 1)[:-1] not in text
            assert other is person or other.email not in text
        assert seed.CANARY not in text
