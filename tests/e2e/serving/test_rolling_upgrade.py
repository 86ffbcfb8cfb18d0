"""The processes of one release are replaced by those of the next, while messages arrive."""

import subprocess
from pathlib import Path
from typing import Any

from commands import COMMAND
from e2e.conftest import Serve
from e2e.served import AGENTS, Served
from peers import seed
from peers.emulate.server import Emulate
from peers.postgres import PostgresServer
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from support.schemas.later import EXPANDING, later_release

from oauth import Keyring

HELD_FLOW = AGENTS / "held_flow.py"
PEOPLE = (seed.ALICE, seed.BOB, seed.CAROL)
GAP = 0.5  # seconds between two messages
UPGRADE_TIMEOUT = 60.0  # seconds


class LaterServed(Served):
    """A gateway of a later release, whose packages are in another folder."""

    def __init__(self, packages: Path, *args: Any, **env: str) -> None:
        super().__init__(*args, PYTHONPATH=str(packages), **env)

    def upgrade(self) -> subprocess.Popen[bytes]:
        return self._run("db", "upgrade")

    def _run(self, *arguments: str) -> Any:
        with self.log.open("ab") as log:
            command = [str(COMMAND), *arguments]
            return subprocess.Popen(command, cwd=self._directory, env=self._env, stdout=log, stderr=log)


class Conversations:
    """The messages of three people to the bot, and its answers."""

    def __init__(self, telegram: TelegramServer) -> None:
        self._telegram = telegram
        self._written: dict[int, list[str]] = {person.telegram_id: [] for person in PEOPLE}
        self._count = 0

    def write(self, *, to: Served | None = None) -> None:
        """Write as the next person, by the webhook that is set, or by that of a gateway."""
        person = PEOPLE[self._count % len(PEOPLE)]
        self._count += 1
        text = f"message {self._count}"
        self._written[person.telegram_id].append(f"heard: {text}")
        update = updates.private_message(text, person)
        if to is None:
            self._telegram.send(update)  # Telegram sends it again until a gateway takes it
        else:
            assert updates.post(f"{to.url}/telegram/webhook", update).status_code == 200

    def check(self, what: str) -> None:
        """Wait until all messages are answered, and check that each is answered once, in order."""
        wait_until(lambda: all(len(self._said(each)) >= len(self._written[each]) for each in self._written), 30, what)
        assert {each: self._said(each) for each in self._written} == self._written

    def _said(self, chat: int) -> list[str]:
        return self._telegram.said(chat)


def test_the_processes_of_a_release_are_replaced_one_by_one_and_every_message_is_answered_once(
    serve: Serve, tmp_path: Path, emulate: Emulate, telegram: TelegramServer, postgres: PostgresServer
) -> None:
    env = {"UNDERSTUDY_DATABASE_URL": postgres.make(), "UNDERSTUDY_SECRET_KEY": Keyring.generate()}
    packages = later_release(tmp_path / "packages", *EXPANDING)
    old = serve(HELD_FLOW, **env)
    conversations = Conversations(telegram)
    old.work()
    played = old.gate.with_name("played")
    (tmp_path / "later").mkdir()
    later = LaterServed(packages, HELD_FLOW, tmp_path / "later", emulate, telegram, **env | {"GATE": str(old.gate)})
    conversations.write()
    wait_until(played.exists, what="a turn begins over the old schema")

    upgrade = later.upgrade()
    while upgrade.poll() is None:
        conversations.write()
        try:
            upgrade.wait(GAP)
        except subprocess.TimeoutExpired:
            continue
    assert upgrade.returncode == 0, later.output()
    old.gate.touch()  # the turn ends over the new schema
    conversations.write(to=old)
    conversations.check("the old processes answer over the new schema")

    try:
        later.start()
        worker = later.work()
        for _ in PEOPLE:
            conversations.write(to=old)
            conversations.write(to=later)
        assert old.stop() == 0
        conversations.check("the messages that both accepted are answered")
        old.start()
        assert "this version still runs over it" in old.output()
        for _ in PEOPLE:
            conversations.write(to=old)
        conversations.check("the new worker answers what the old web process accepts")
        assert played.read_text().split()[-1] == str(worker)
        assert old.stop() == 0
        conversations.write(to=later)
        conversations.check("the new processes answer")
    finally:
        assert later.stop() == 0
