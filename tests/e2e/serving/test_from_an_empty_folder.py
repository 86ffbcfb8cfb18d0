"""From an empty folder to an answered message: the commands of a new operator, who edits no file."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import Command, environment, run
from peers import seed
from peers.postgres import PostgresServer
from peers.process import free_ports
from peers.telegram import updates
from peers.telegram.server import BOT_TOKEN, TelegramServer
from peers.wait import wait_until

pytestmark = [pytest.mark.usefixtures("processes"), pytest.mark.long]

END_TIMEOUT = 30.0  # seconds
ALICE = seed.ALICE.telegram_id
ANSWER = "success (no tool calls)"  # of pydantic-ai's test model


class Operator:
    """Types commands in one folder, with settings in the environment."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._folder = folder
        self._env = env

    def type(self, *arguments: str) -> str:
        """Run a command until it ends without an error, and return what it printed."""
        ended = run(*arguments, directory=self._folder, **self._env)
        assert ended.returncode == 0, f"understudy {' '.join(arguments)}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout + ended.stderr

    @contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """Run a command meanwhile, which ends without an error on SIGTERM."""
        log = self._folder / f"{arguments[0]}.log"
        with log.open("wb") as output:
            env = environment(self._folder, **self._env)
            command = Command(*arguments, directory=self._folder, env=env, stdout=output, stderr=output)
            try:
                yield
                command.terminate()
                assert command.wait(END_TIMEOUT) == 0, log.read_text()
            finally:
                command.kill()


def test_one_process_on_sqlite(tmp_path: Path, telegram: TelegramServer) -> None:
    operator, port = begin(tmp_path, telegram)
    assert "problem" not in operator.type("doctor", "agent.py", *port)
    with operator.running("serve", "agent.py", *port):
        assert_answered(operator, telegram)


def test_a_server_and_a_worker_on_postgresql(
    tmp_path: Path, telegram: TelegramServer, postgres: PostgresServer
) -> None:
    operator, port = begin(tmp_path, telegram, UNDERSTUDY_DATABASE_URL=postgres.make(empty=True))
    operator.type("db", "upgrade")
    assert "start one with `understudy worker FILE`" in operator.type("doctor", "agent.py", *port)
    with operator.running("serve", "agent.py", *port), operator.running("worker", "agent.py"):
        assert_answered(operator, telegram)


def begin(folder: Path, telegram: TelegramServer, **env: str) -> tuple[Operator, tuple[str, ...]]:
    """Write the files of a bot. Return the operator, and the options of a free port."""
    settings = {"UNDERSTUDY_MODEL": "test", "TELEGRAM_BOT_TOKEN": BOT_TOKEN, "TELEGRAM_API_URL": telegram.url}
    operator = Operator(folder, **settings, **env)
    assert "Fill in" not in operator.type("init", "--yes", "--channel", "telegram")
    return operator, ("--port", str(free_ports(1)[0]))


def assert_answered(operator: Operator, telegram: TelegramServer) -> None:
    """Write to the bot as somebody who has to be admitted, and follow what becomes of the message."""
    telegram.send(updates.private_message("let me in"))
    told = wait_until(lambda: re.search(r"this code: (\w+)", "".join(telegram.said(ALICE))), what="a code")
    operator.type("access", "approve", told[1])
    telegram.send(updates.private_message("hello"))
    wait_until(lambda: ANSWER in telegram.said(ALICE), what="the answer")
    (message,) = map(json.loads, operator.type("messages", "--json").splitlines())
    assert "which was answered" in operator.type("show", message["reference"])
    assert "telegram" in operator.type("status")
