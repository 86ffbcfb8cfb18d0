"""Run a server in a child process: wait until it answers, and kill it if it does not stop."""

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
STOP_TIMEOUT = 5.0  # seconds
OUTPUT_TAIL = 4000  # bytes


class Process:
    """A child process, which runs from `start()` to `stop()`.

    Its standard input is a pipe of this process. A server that ends when its standard input ends (leash.mjs makes Node
    do so) therefore ends with the tests, even if these are killed.

    Args:
        name: the name of the server in error messages.
        argv: the command and its arguments.
        ready: returns whether the server answers; may raise `httpx.TransportError` as long as it does not.
        env: environment variables, in addition to those of this process.
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
            error.add_note(f"The output of {self.name}:\n{self.output()}")
            self.stop()
            raise

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop the process. Kill it if it does not end within `timeout` seconds."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(timeout)
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
        """Return the end of the process's output, up to `OUTPUT_TAIL` bytes."""
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
    """Call `start`, up to three times if the server ends at once: another process may have taken its port.

    Raises:
        RuntimeError: the server has ended each time.
    """
    for _ in range(START_TRIES - 1):
        try:
            start()
        except RuntimeError:
            continue
        return
    start()


def free_ports(count: int) -> list[int]:
    """Return the numbers of loopback ports on which nothing listens at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
