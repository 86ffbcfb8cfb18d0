"""Run the processes of a gateway, kill them and restart them."""

import random
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from commands import Command, environment
from peers.process import free_ports
from peers.wait import wait_until

BOT = Path(__file__).with_name("bot.py")
START_TIMEOUT = 60.0  # seconds, since several processes start at the same time


class Cluster:
    """The web processes and workers of a gateway. With SQLite, the only web process also plays the turns."""

    def __init__(self, directory: Path, env: Mapping[str, str], webs: int, workers: int) -> None:
        self._directory = directory
        self._env = env
        self._ports = free_ports(webs)
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]
        self._argv: list[Sequence[str]] = [("serve", str(BOT), "--port", str(port)) for port in self._ports]
        self._argv += [("worker", str(BOT))] * workers
        self._children: list[Command] = []
        self._began: dict[int, int] = {}  # by index of the process, the offset in its log at which its last start is
        self.killed = 0

    def start(self) -> None:
        self._children = [self._start(place) for place in range(len(self._argv))]
        wait_until(self.is_ready, START_TIMEOUT, "the gateway is ready")

    def kill_one(self, chance: random.Random) -> None:
        """Kill one of the processes with SIGKILL, and start another in its place."""
        place = chance.randrange(len(self._children))
        self._children[place].kill()
        self._children[place].wait()
        self.killed += 1
        self._children[place] = self._start(place)

    def revive(self) -> None:
        """Restart processes that have ended by themselves, as a supervisor does."""
        for place, child in enumerate(self._children):
            if child.poll() is not None:
                self._children[place] = self._start(place)

    def stop(self) -> list[int]:
        """Wait until all processes run, stop them with SIGTERM, and return their exit statuses."""
        wait_until(self.is_up, START_TIMEOUT, "all processes run")
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        try:
            return [child.wait(30) for child in self._children]
        finally:
            for child in self._children:
                child.kill()

    def is_ready(self) -> bool:
        try:
            return all(httpx.get(f"{url}/readyz", trust_env=False).status_code == 200 for url in self.urls)
        except httpx.TransportError:
            return False

    def output(self) -> str:
        return "".join(path.read_text()[-5000:] for path in sorted(self._directory.glob("log-*.txt")))

    def said(self, words: str) -> int:
        """Return how often these words are in the logs of all processes."""
        return sum(path.read_text().count(words) for path in self._directory.glob("log-*.txt"))

    def is_up(self) -> bool:
        return all(map(self._has_come_up, range(len(self._children))))

    def _has_come_up(self, place: int) -> bool:
        """Return whether a process has logged that it runs, or has ended."""
        said = self._log(place).read_bytes()[self._began[place] :]
        return b"Understudy " in said or self._children[place].poll() is not None

    def _log(self, place: int) -> Path:
        return self._directory / f"log-{place}.txt"

    def _start(self, place: int) -> Command:
        with self._log(place).open("ab") as log:
            self._began[place] = log.tell()
            env = environment(self._directory, **self._env)
            return Command(*self._argv[place], directory=self._directory, env=env, stdout=log, stderr=log)
