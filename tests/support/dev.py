"""`understudy dev` in a child process, and the messages that people write there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from commands import Command, environment
from peers.process import free_ports
from peers.wait import wait_until


@dataclass(frozen=True, slots=True)
class Dev:
    """A running `understudy dev`."""

    directory: Path
    address: str
    child: Command

    def printed(self) -> str:
        return (self.directory / "log.txt").read_text()

    def answers(self) -> bool:
        """Return whether the gateway runs."""
        try:
            return httpx.get(f"{self.address}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def window(self, person: str) -> Iterator[httpx.Client]:
        """Yield a client with the cookie of a person's window."""
        with httpx.Client(base_url=f"{self.address}/web/{person}", trust_env=False) as client:
            client.get("/")
            yield client


@contextmanager
def dev(directory: Path, *arguments: str) -> Iterator[Dev]:
    """Run `understudy dev` in a directory until the block ends."""
    port = str(free_ports(1)[0])
    env = {name: value for name, value in environment(directory).items() if not name.startswith("SLACK_")}
    with (directory / "log.txt").open("wb") as log:
        child = Command("dev", *arguments, "--port", port, directory=directory, env=env, stdout=log, stderr=log)
    running = Dev(directory, f"http://127.0.0.1:{port}", child)

    def is_ready() -> bool:
        assert child.poll() is None, running.printed()
        return running.answers()

    try:
        wait_until(is_ready, 60, "understudy dev answers")
        yield running
    finally:
        child.terminate()
        child.wait(20)


def transcript(window: httpx.Client, count: int) -> list[dict[str, Any]]:
    """Wait for a number of entries in the transcript of a window, and return them."""
    wait_until(lambda: len(window.get("/transcript").json()) == count, what=f"{count} entries")
    entries: list[dict[str, Any]] = window.get("/transcript").json()
    return entries
