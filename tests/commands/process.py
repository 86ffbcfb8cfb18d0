"""Run `understudy …` in a process that the zygote forks. Tests of the start itself run `COMMAND` in a new process."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

from commands.zygote import locked, log_of

COMMAND = Path(sys.executable).with_name("understudy")
ZYGOTE = Path(__file__).with_name("zygote.py")
RUN_TIMEOUT = 60.0  # seconds
POLL_INTERVAL = 0.01  # seconds
LARGEST_REPLY = 100  # bytes


def environment(directory: Path, **env: str) -> dict[str, str]:
    """Return the environment of a process: the PATH of this process, a home directory, and the given variables."""
    return {"PATH": os.environ["PATH"], "HOME": str(directory), **env}


class Command:
    """A running `understudy …`, with the methods of `subprocess.Popen` that the tests need."""

    def __init__(
        self, *arguments: str, directory: Path, env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
    ) -> None:
        self._argv = [str(COMMAND), *arguments]
        sys.audit("understudy.fork", self._argv)
        request = {"argv": self._argv, "directory": str(directory), "env": dict(env)}
        self.pid: int = _zygote().ask(request, stdout.fileno(), stderr.fileno())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, which is negative after a signal, or `None` if the process still runs."""
        if self.returncode is None:
            self.returncode = _zygote().ask({"pid": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, and return the exit status.

        Raises:
            subprocess.TimeoutExpired: the process still runs after `timeout` seconds.
        """
        deadline = time.monotonic() + (timeout or float("inf"))
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._argv, timeout or 0)
            time.sleep(POLL_INTERVAL)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(*arguments: str, directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `understudy …` in the environment that `environment` returns, and return its status and output."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        command = Command(
            *arguments, directory=directory, env=environment(directory, **env), stdout=stdout, stderr=stderr
        )
        try:
            status = command.wait(RUN_TIMEOUT)
        finally:
            command.kill()
        printed = []
        for file in (stdout, stderr):
            file.seek(0)
            printed.append(file.read().decode())
    return subprocess.CompletedProcess([str(COMMAND), *arguments], status, *printed)


class _Zygote:
    """The connection of this process to the zygote, which all processes of a test run share.

    The first process that needs the zygote starts it. The zygote ends when nothing is connected to it.
    """

    def __init__(self) -> None:
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        self._address = Path(tempfile.gettempdir()) / f"understudy-zygote-{run}"
        self._log = log_of(self._address)
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with locked(self._address):
            try:
                self._socket.connect(str(self._address))
            except OSError:  # it is not started yet, or has ended
                self._start()
                self._socket.connect(str(self._address))

    def _start(self) -> None:
        self._address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, self._log.open("wb") as log:
            listener.bind(str(self._address))
            listener.listen()
            subprocess.Popen(
                [sys.executable, ZYGOTE, self._address],
                stdin=listener,
                stdout=log,
                stderr=log,
                env=environment(Path(tempfile.gettempdir())),
            )

    def ask(self, request: dict[str, Any], *descriptors: int) -> Any:
        """Send a request, with file descriptors, and return the reply."""
        try:
            with self._lock:
                socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
                return json.loads(self._socket.recv(LARGEST_REPLY))
        except (OSError, ValueError) as error:
            error.add_note(f"The output of the zygote:\n{self._log.read_text()}")
            raise

    def leave(self) -> None:
        self._socket.close()


@cache
def _zygote() -> _Zygote:
    zygote = _Zygote()
    atexit.register(zygote.leave)
    return zygote
