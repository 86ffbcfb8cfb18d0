"""A server in a child process, which is waited for when it starts and killed if it does not stop."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO

import httpx

from peers.wait import wait_until

START_TIMEOUT = 20.0  # seconds
START_TRIES = 3
STOP_TIMEOUT = 5.0  # seconds, after which it is killed
OUTPUT_TAIL = 4000  # characters


class Process:
    """`argv`, running from `start()` to `stop()`.

    Its stdin is a pipe that this process holds: a server that ends at the end of its stdin (leash.mjs) does not
    outlive the tests, however these end.
    """

    def __init__(
        self, name: str, argv: Sequence[str], ready: Callable[[], bool], env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self._ready = ready
        self._env = {**os.environ, **(env or {})}
        self._child: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def start(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._child = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=self._log, stderr=subprocess.STDOUT, env=self._env
        )
        try:
            wait_until(self._up, START_TIMEOUT, f"{self.name} answers")
        except BaseException as error:
            error.add_note(f"its output:\n{self.output()}")
            self.stop()
            raise

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin:
            child.stdin.close()
        if self._log:
            self._log.close()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def output(self) -> str:
        """Return the end of what it has printed."""
        if self._log is None or self._log.closed:
            return ""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - OUTPUT_TAIL))
        return self._log.read().decode(errors="replace")

    def _up(self) -> bool:
        assert self._child is not None
        if self._child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with exit code {self._child.returncode}")
        try:
            return self._ready()
        except httpx.TransportError:
            return False


def retrying(start: Callable[[], None]) -> None:
    """Call `start`, and again if the server ends at once: another process may have taken its port meanwhile."""
    for _ in range(START_TRIES - 1):
        try:
            start()
        except RuntimeError:
            continue
        return
    start()


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
